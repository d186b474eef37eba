package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Where pages and pictures stand that need no key. Whoever has the address of a report may read it, which is why reports' ids cannot be guessed and
// why a page names neither the account nor another report.
const (
	reportsPath = "/reports/"
	cardsPath   = "/cards/"
	badgePath   = "/badge.svg"
	jsonSuffix  = ".json"
)

// How many requests per minute an address may make for pages, and for badges, which proxies of pictures fetch for many.
const (
	pagesPerMinute  = 120
	badgesPerMinute = 1200
)

//go:embed report.css
var reportCSS string

//go:embed report.html.tmpl
var reportHTML string

var (
	reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
		"words": func(name string) string { return strings.ReplaceAll(name, "_", " ") },
		"plural": func(n int, one string) string {
			if n == 1 {
				return "1 " + one
			}
			return strconv.Itoa(n) + " " + one + "s"
		},
	}).Parse(reportHTML))
	reportCSP = func() string {
		sum := sha256.Sum256([]byte(reportCSS))
		return "default-src 'none'; img-src 'self'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	}()
)

// SharedReportInput names a report by what its address says.
type SharedReportInput struct {
	Report string `path:"report" doc:"The report's id; with .json behind it the answer is JSON."`
}

// SharedCardInput names a card by what its badge's address says.
type SharedCardInput struct {
	Card string `path:"card" doc:"The card's id."`
}

type sharedReportWire struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	URL          string `json:"url"`
	Valid        bool   `json:"valid"`
	Score        int    `json:"score"`
	Version      string `json:"version"`
	VersionBasis string `json:"version_basis"`
	ErrorCount   int    `json:"error_count"`
	WarningCount int    `json:"warning_count"`
	CreatedAt    stamp  `json:"created_at"`
	CardFindingsWire
}

func (f *face) registerReportPages() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "readReport", Method: http.MethodGet, Path: reportsPath + "{report}", Tag: "cards", Summary: "Read a report without a key",
		Description: "A page for people; with `.json` behind the id the same as JSON. Whoever has the address may read it.",
		Produces:    "text/html", Alternative: reflect.TypeFor[sharedReportWire](), PublicRate: pagesPerMinute, Fail: failReport,
		FailAs: reflect.TypeFor[errorWire](),
	}, func(ctx context.Context, in *SharedReportInput) (httpx.Stream, error) {
		name, asJSON := strings.CutSuffix(in.Report, jsonSuffix)
		r, c, err := f.sharedReport(ctx, name)
		if err != nil {
			return nil, err
		}
		if asJSON {
			return sharedJSON(r)
		}
		var page bytes.Buffer
		if err := reportTemplate.Execute(&page, newReportPage(f.publicURL(ctx), r, c)); err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			reportHeaders(w.Header(), "text/html; charset=utf-8")
			_, _ = w.Write(page.Bytes()) // the caller went away; there is nobody to tell
		}, nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "readReportBadge", Method: http.MethodGet, Path: reportsPath + "{report}" + badgePath, Tag: "cards", Summary: "The verdict of a report as a picture",
		Produces: contentSVG, PublicRate: badgesPerMinute,
	}, func(ctx context.Context, in *SharedReportInput) (httpx.Stream, error) {
		r, _, err := f.sharedReport(ctx, in.Report)
		if err != nil {
			return nil, err
		}
		return badge(r.Result.Valid, r.Result.Score, reportBadgeAge), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "readCardBadge", Method: http.MethodGet, Path: cardsPath + "{card}" + badgePath, Tag: "cards", Summary: "The newest verdict on a card as a picture",
		Produces: contentSVG, PublicRate: badgesPerMinute,
	}, func(ctx context.Context, in *SharedCardInput) (httpx.Stream, error) {
		of, err := id.Parse[id.AgentCardKind](in.Card)
		if err != nil {
			return nil, err
		}
		c, err := f.deps.Validation.SharedCard(ctx, of)
		if err != nil {
			return nil, err
		}
		return badge(c.Valid, c.Score, cardBadgeAge), nil
	})
}

func (f *face) sharedReport(ctx context.Context, name string) (validation.Report, validation.Card, error) {
	of, err := validation.ParseReport(name)
	if err != nil {
		return validation.Report{}, validation.Card{}, err
	}
	return f.deps.Validation.Shared(ctx, of)
}

// reportHeaders keeps a report out of caches, search engines, frames, and the logs of whatever a reader follows from it.
func reportHeaders(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", reportCSP)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, no-cache")
}

func sharedJSON(r validation.Report) (httpx.Stream, error) {
	body, err := json.Marshal(sharedReportWire{
		ID: validation.SpellReport(r.ID, r.CreatedAt), Name: r.Result.Name, URL: r.Result.URL, Valid: r.Result.Valid, Score: r.Result.Score,
		Version: string(r.Result.Version), VersionBasis: string(r.Result.Basis), ErrorCount: r.ErrorCount, WarningCount: r.WarningCount,
		CreatedAt: stampOf(r.CreatedAt), CardFindingsWire: showCardFindings(r),
	})
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		reportHeaders(w.Header(), "application/json")
		_, _ = w.Write(append(body, '\n')) // the caller went away; there is nobody to tell
	}, nil
}

// failReport answers a browser with a page, and everybody else in the usual form.
func failReport(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		body, err := json.Marshal(encodeError(status, e, w.Header().Get("Request-Id")))
		if err != nil { // strings always marshal
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(body, '\n')) // the caller went away; there is nobody to tell
		return
	}
	p := reportPage{CSS: template.CSS(reportCSS), Problem: "This report cannot be shown: " + e.Message + "."} //nolint:gosec // our own file
	if e.Kind == fault.NotFound {
		p.Problem = "There is no such report. Reports are removed after a time, or by whoever made them."
	}
	var page bytes.Buffer
	if err := reportTemplate.Execute(&page, p); err != nil { // it was parsed at the start, and is given what it needs
		panic(err)
	}
	reportHeaders(w.Header(), "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the caller went away; there is nobody to tell
}

// reportPage is what the template shows.
type reportPage struct {
	CSS     template.CSS
	Problem string // why there is no report; "" otherwise

	Report   validation.Report
	Name     string
	Why      string // the version was applied
	When     string
	JSON     string // address of the same as JSON
	Errors   []pageFinding
	Warnings []pageFinding
	Lines    []pageLine
	Cut      bool // there are more lines
	Laid     bool // the card is not shown as it was sent, but line by line
	History  []pagePoint
	Badges   []pageBadge
}

type pageFinding struct {
	card.Finding

	Anchor string
	Line   int // in the card as it is shown; 0 when it is not
}

type pageLine struct {
	Number int
	Text   string
	Kind   string // "error", "warning" or ""
	Notes  []pageNote
}

type pageNote struct{ Kind, Message, Anchor string }

type pagePoint struct {
	Valid bool
	Score int
	When  string
}

type pageBadge struct{ Title, Path, Markdown string }

// bases say why a card was held to its version.
var bases = map[card.Basis]string{
	card.BasisOption:     "as it was asked for",
	card.BasisDeclared:   "as the card declares",
	card.BasisInterfaces: "because the card has supportedInterfaces",
	card.BasisDefault:    "because the card declares no version",
}

const pageTime = "2 January 2006, 15:04 UTC"

func newReportPage(publicURL string, r validation.Report, c validation.Card) reportPage {
	spelled := validation.SpellReport(r.ID, r.CreatedAt)
	p := reportPage{
		CSS: template.CSS(reportCSS), Report: r, Name: r.Result.Name, Why: bases[r.Result.Basis], When: r.CreatedAt.Format(pageTime), //nolint:gosec // our own file
		JSON: reportsPath + spelled + jsonSuffix,
	}
	if strings.TrimSpace(p.Name) == "" {
		p.Name = "An agent card without a name"
	}
	text, lineOf := layCard(r.Text)
	p.Laid = text != r.Text
	notes := make(map[int][]pageNote)
	show := func(all []card.Finding, kind string) []pageFinding {
		out := make([]pageFinding, len(all))
		for i, f := range all {
			out[i] = pageFinding{f, kind + strconv.Itoa(i+1), lineOf(f)}
			if out[i].Line > 0 {
				notes[out[i].Line] = append(notes[out[i].Line], pageNote{kind, f.Message, out[i].Anchor})
			}
		}
		return out
	}
	p.Errors, p.Warnings = show(r.Result.Errors, "error"), show(r.Result.Warnings, "warning")
	if text != "" {
		p.Lines, p.Cut = pageLines(text, notes)
	}
	for i := len(c.Trend) - 1; i >= 0; i-- {
		p.History = append(p.History, pagePoint{c.Trend[i].Valid, c.Trend[i].Score, c.Trend[i].At.Format(pageTime)})
	}
	p.Badges = append(p.Badges, newPageBadge(publicURL, "This verdict", reportsPath+spelled))
	if !c.ID.IsZero() {
		p.Badges = append(p.Badges, newPageBadge(publicURL, "The newest verdict on this card", cardsPath+c.ID.String()))
	}
	return p
}

func newPageBadge(publicURL, title, path string) pageBadge {
	return pageBadge{title, path + badgePath, fmt.Sprintf("![Agent card](%s%s%s)", publicURL, path, badgePath)}
}

// Bounds of what a page shows.
const (
	maxPageLines = 5000
	maxPageLine  = 2000 // characters
)

func pageLines(text string, notes map[int][]pageNote) (lines []pageLine, cut bool) {
	for line := range strings.Lines(text) {
		if len(lines) == maxPageLines {
			return lines, true
		}
		l := pageLine{Number: len(lines) + 1, Text: strings.TrimRight(line, "\r\n")}
		if utf8.RuneCountInString(l.Text) > maxPageLine {
			l.Text, cut = string([]rune(l.Text)[:maxPageLine])+"…", true
		}
		l.Notes = notes[l.Number]
		for _, n := range l.Notes {
			if l.Kind != "error" {
				l.Kind = n.Kind
			}
		}
		lines = append(lines, l)
	}
	return lines, cut
}

// denseLine is how long a line is, in bytes, that nobody reads.
const denseLine = 200

// layCard returns how a card is shown, and a function that says on which line of that a finding is, 0 for none. Cards are mostly sent on one line;
// those are laid out anew, and findings are looked for by their pointers.
func layCard(text string) (string, func(card.Finding) int) {
	dense := false
	for line := range strings.Lines(text) {
		dense = dense || len(line) > denseLine
	}
	var laid bytes.Buffer
	if !dense || laidSize(text) > maxLaid || json.Indent(&laid, []byte(text), "", "  ") != nil {
		return text, func(f card.Finding) int {
			if text == "" {
				return 0
			}
			return f.Line
		}
	}
	root := linesOf(laid.String())
	return laid.String(), func(f card.Finding) int {
		at := root
		for i, step := range strings.Split(f.Pointer, "/") {
			inner, ok := at.steps[step]
			if i > 0 && ok { // a pointer begins with a slash
				at = inner
			} else if i > 0 {
				break
			}
		}
		return at.line
	}
}

// maxLaid is how long a card may become by being laid out, in bytes. What is deeply nested becomes many times as long, and stays as it was sent.
const maxLaid = 8 << 20

// laidSize returns about how long a JSON text is once it is laid out.
func laidSize(text string) int {
	size, depth, quoted := len(text), 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{', b == '[':
			depth++
			size += 2 * depth
		case b == '}', b == ']':
			depth--
			size += 2 * depth
		case b == ',':
			size += 2 * depth
		}
	}
	return size
}

// place is a value of a JSON text: the line where it begins, and what it holds, by keys and indexes as pointers spell them.
type place struct {
	line  int
	steps map[string]*place
}

// linesOf returns where the values of a JSON text are. It takes memory with the length of the text, which pointers to all values would not.
func linesOf(text string) *place {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	line, seen := 1, 0
	next := func() (json.Token, bool) {
		t, err := d.Token()
		to := min(int(d.InputOffset()), len(text))
		line += strings.Count(text[seen:to], "\n")
		seen = to
		return t, err == nil
	}
	var value func(p *place) bool
	value = func(p *place) bool {
		t, ok := next()
		if p.line == 0 {
			p.line = line // of a member this is its key's
		}
		delim, nested := t.(json.Delim)
		for i := 0; ok && nested && d.More(); i++ {
			step, inner := strconv.Itoa(i), &place{}
			if delim == '{' {
				key, good := next()
				step, ok = key.(string)
				if ok = ok && good; !ok {
					return false
				}
				step = strings.NewReplacer("~", "~0", "/", "~1").Replace(step)
				inner.line = line
			}
			if p.steps == nil {
				p.steps = make(map[string]*place)
			}
			p.steps[step] = inner
			ok = value(inner)
		}
		if ok && nested {
			_, ok = next()
		}
		return ok
	}
	root := &place{}
	value(root)
	return root
}
