package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"github.com/bureau-agents/bureau/core/card"
)

// humanOptions change what people are shown.
type humanOptions struct {
	explain, suggestions, quiet, colour bool
	most                                int // findings of a card; 0 is all
}

// cardHuman writes for people, as compilers do: a place that editors can jump to, what is wrong, and the line with a mark below it.
type cardHuman struct {
	w io.Writer
	humanOptions

	shown bool // something was written already
}

// The colours of terminals (ECMA-48, SGR).
const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
	green  = "1;32"
	cyan   = "36"
	faint  = "2"
)

func (h *cardHuman) paint(colour, s string) string {
	if !h.colour || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// coloured reports whether w is a terminal whose user has nothing against colours (https://no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// shownFinding is a finding with its severity.
type shownFinding struct {
	card.Finding

	severity, colour string
}

func (h *cardHuman) card(v cardVerdict) error {
	if v.err != nil || h.quiet && len(v.failures) == 0 {
		return nil //nolint:nilerr // what cannot be read is told on standard error
	}
	if h.shown {
		fmt.Fprintln(h.w)
	}
	h.shown = true
	name := visible(v.input.name)
	if v.url != "" && v.url != v.input.name {
		fmt.Fprintln(h.w, h.paint(faint, "found at "+visible(v.url)))
		name = visible(v.url)
	}
	var all []shownFinding
	for _, f := range v.result.Errors {
		all = append(all, shownFinding{f, "error", red})
	}
	for _, f := range v.result.Warnings {
		all = append(all, shownFinding{f, "warning", yellow})
	}
	slices.SortStableFunc(all, func(a, b shownFinding) int { return cmp.Compare(a.Offset, b.Offset) })
	for i, f := range all {
		if i == h.most && h.most > 0 {
			fmt.Fprintf(h.w, "%s\n", h.paint(faint, fmt.Sprintf("and %d more; --max-findings 0 shows all", len(all)-i)))
			break
		}
		h.finding(name, v.text, f, i > 0 && f.Offset == all[i-1].Offset)
	}
	if h.explain {
		h.marks(v.result)
	}
	if h.suggestions {
		h.suggest(v.result)
	}
	return h.verdict(name, v)
}

// finding writes one finding with its line, unless that is the same place again.
func (h *cardHuman) finding(name string, text []byte, f shownFinding, again bool) {
	place := name
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", name, f.Line, f.Column)
	}
	fmt.Fprintf(h.w, "%s %s %s %s\n", h.paint(bold, place+":"), h.paint(f.colour, f.severity+":"), visible(f.Message), h.paint(cyan, "["+f.Code+"]"))
	margin := "  "
	number := fmt.Sprintf("%5d", f.Line)
	if f.Line > 0 {
		margin = strings.Repeat(" ", len(number))
	}
	if line, mark := excerpt(text, f.Offset); f.Line > 0 && line != "" && !again {
		indent := strings.IndexByte(mark, '^')
		fmt.Fprintf(h.w, "%s %s\n%s %s%s\n", h.paint(faint, number+" |"), line, h.paint(faint, margin+" |"), mark[:indent], h.paint(f.colour, mark[indent:]))
	}
	if about := strings.Join(slices.DeleteFunc([]string{visible(f.Path), f.Source}, func(s string) bool { return s == "" }), ", "); about != "" {
		fmt.Fprintf(h.w, "%s\n", h.paint(faint, margin+" = "+about))
	}
}

// How much of a line is shown, in characters, and how much of it before the mark.
const (
	excerptWidth  = 100
	excerptBefore = 40
)

// excerpt returns the line of text around an offset, or the part of it that lies there, and a line that marks what begins at the offset.
func excerpt(text []byte, offset int) (line, mark string) {
	if offset < 0 || offset > len(text) {
		return "", ""
	}
	// A card may be one line of many megabytes: only what can be shown is looked at.
	begin := offset
	for n := 0; begin > 0 && text[begin-1] != '\n' && n < excerptWidth; n++ {
		_, size := utf8.DecodeLastRune(text[:begin])
		begin -= size
	}
	end, taken := offset, 0
	for end < len(text) && text[end] != '\n' && text[end] != '\r' && taken <= excerptWidth {
		_, size := utf8.DecodeRune(text[end:])
		end, taken = end+size, taken+1
	}
	before, after := []rune(string(text[begin:offset])), []rune(string(text[offset:end]))
	head, tail := "", ""
	if len(before)+len(after) > excerptWidth {
		if len(before) > excerptBefore {
			before, head = before[len(before)-excerptBefore:], "…"
		}
		if room := excerptWidth - len(before); len(after) > room {
			after, tail = after[:room], "…"
		}
	}
	marked := min(max(1, utf8.RuneCount(tokenAt(text[offset:min(len(text), offset+4*excerptWidth)]))), max(1, len(after)))
	shownBefore := head + visible(string(before))
	line = shownBefore + visible(string(after)) + tail
	if strings.TrimSpace(line) == "" {
		return "", ""
	}
	token := "x"
	if len(after) > 0 {
		token = visible(string(after[:marked]))
	}
	return line, strings.Repeat(" ", columns(shownBefore)) + strings.Repeat("^", max(1, columns(token)))
}

// tokenAt returns the token that text begins with: a text, a number or a word as a whole, of arrays and objects the bracket.
func tokenAt(text []byte) []byte {
	if len(text) == 0 {
		return nil
	}
	if text[0] == '"' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return text[:i+1]
			case '\n':
				return text[:i]
			}
		}
		return text
	}
	for i, c := range text {
		if strings.IndexByte(" \t\r\n,:[]{}\"", c) >= 0 {
			return text[:max(1, i)]
		}
	}
	return text
}

// visible replaces what could move a terminal's cursor, change its state, or show something else than there is: control characters, invisible and
// bidirectional formatting ones, and bytes that are not UTF-8.
func visible(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteRune(utf8.RuneError)
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Co, r):
			fmt.Fprintf(&b, "<U+%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// columns is how wide a terminal shows s, which visible has returned.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Me, r):
		case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// marks writes what a score is made of.
func (h *cardHuman) marks(r card.Result) {
	fmt.Fprintf(h.w, "%s\n", h.paint(bold, fmt.Sprintf("score %d of 100", r.Score)))
	widest := 0
	for _, m := range r.Marks {
		widest = max(widest, len(m.Criterion))
	}
	for i, m := range r.Marks {
		if i > 0 && !r.Valid {
			fmt.Fprintf(h.w, "  %s\n", h.paint(faint, fmt.Sprintf("the other %d criteria count once the card is valid", len(r.Marks)-i)))
			break
		}
		colour := green
		switch {
		case m.Points == 0 && m.Weight > 0:
			colour = red
		case m.Points < m.Weight:
			colour = yellow
		}
		line := fmt.Sprintf("  %s  %-*s  %s", h.paint(colour, fmt.Sprintf("%3d of %-3d", m.Points, m.Weight)), widest, m.Criterion, visible(m.Reason))
		fmt.Fprintln(h.w, strings.TrimRight(line, " "))
	}
}

// suggest writes what would make a card better.
func (h *cardHuman) suggest(r card.Result) {
	if len(r.Suggestions) == 0 {
		return
	}
	fmt.Fprintf(h.w, "%s\n", h.paint(bold, "suggestions"))
	for _, s := range r.Suggestions {
		worth := ""
		if s.Worth > 0 {
			worth = fmt.Sprintf("+%d", s.Worth)
		}
		where := ""
		if s.Field != "" {
			where = visible(s.Field) + ": "
		}
		fmt.Fprintf(h.w, "  %s  %s%s\n", h.paint(green, fmt.Sprintf("%4s", worth)), where, visible(s.Text))
	}
}

// bases says in words why a card was held to its version.
var bases = map[card.Basis]string{
	card.BasisOption:     "as asked",
	card.BasisDeclared:   "as it declares",
	card.BasisInterfaces: "since it has supportedInterfaces",
	card.BasisDefault:    "since it declares no version",
}

// verdict writes the last line about a card.
func (h *cardHuman) verdict(name string, v cardVerdict) error {
	r := v.result
	what := h.paint(green, "valid")
	if !r.Valid {
		what = h.paint(red, "not valid")
	}
	fmt.Fprintf(h.w, "%s %s as A2A %s (%s), score %d", h.paint(bold, name+":"), what, r.Version, bases[r.Basis], r.Score)
	if n := len(r.Errors); n > 0 {
		fmt.Fprintf(h.w, ", %s", plural(n, "error"))
	}
	if n := len(r.Warnings); n > 0 {
		fmt.Fprintf(h.w, ", %s", plural(n, "warning"))
	}
	_, err := fmt.Fprintln(h.w)
	for _, s := range r.Signatures {
		line := fmt.Sprintf("  signature %d by %q (%s): %s", s.Index, s.KeyID, visible(s.Algorithm), s.State)
		if s.Reason != "" {
			line += ": " + visible(s.Reason)
		}
		fmt.Fprintln(h.w, line)
	}
	for _, f := range v.failures {
		if f.Code != "errors" {
			fmt.Fprintf(h.w, "  %s %s\n", h.paint(red, "does not pass:"), f.Message)
		}
	}
	return err
}

func (h *cardHuman) end(t cardTotals) error {
	if h.quiet || t.cards < 2 {
		return nil
	}
	_, err := fmt.Fprintf(h.w, "\n%s: %d valid, %d not; %s, %s\n", plural(t.cards, "card"), t.valid, t.cards-t.valid, plural(t.errors, "error"),
		plural(t.warnings, "warning"))
	return err
}
