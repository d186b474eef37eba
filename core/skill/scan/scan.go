package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Skill scans a skill. It is safe for concurrent use and does not change the input.
func Skill(in Input) Report {
	s := &scanner{in: in, rules: ruleBook(), perCode: map[perCode]tally{}, seen: map[seenKey]int{}}
	s.blocked("", in.Digest)
	var units []*unit
	left := MaxTotal
	for _, f := range in.Files {
		if u := s.admit(f, &left); u != nil {
			units = append(units, u)
		}
	}
	s.most = min(maxPatternLen, minPatternLen+patternsPerByte*(MaxTotal-left))
	for i := 0; i < len(units); i++ { // decoding adds to them
		units = append(units, s.unit(units[i])...)
	}
	s.names()
	s.reach(units)
	r := judge(s.found)
	r.Reach = s.used.reach()
	r.Risk = r.Reach.risk(r)
	return r
}

type perCode struct {
	code Code
	path string
}

// tally is how many findings of a kind are kept, and the level of the mildest.
type tally struct{ found, least int }

type seenKey struct {
	code Code
	path string
	line int
}

// scanner is one scan.
type scanner struct {
	in      Input
	rules   *book
	found   []Finding
	perCode map[perCode]tally
	seen    map[seenKey]int // the level of what was found there
	decoded int             // bytes so far
	read    int             // by patterns, in bytes so far
	most    int             // that they may read
	dense   bool
	used    uses
}

// wants reports whether add would keep a finding: most of what a dense text yields is not worth an excerpt.
func (s *scanner) wants(f Finding) bool {
	if level, ok := s.seen[seenKey{f.Code, f.Path, f.Line}]; ok && f.Line > 0 {
		return f.Severity.Level() > level
	}
	t := s.perCode[perCode{f.Code, f.Path}]
	return t.found < maxPerCode || f.Severity.Level() > t.least
}

// add keeps a finding, unless its file has enough of the kind or the line has it already.
func (s *scanner) add(f Finding) {
	key := seenKey{f.Code, f.Path, f.Line}
	if level, ok := s.seen[key]; ok && f.Line > 0 {
		if f.Severity.Level() <= level {
			return
		}
		for i := range s.found {
			if o := &s.found[i]; o.Code == f.Code && o.Path == f.Path && o.Line == f.Line {
				*o = f
			}
		}
		s.seen[key] = f.Severity.Level()
		of := perCode{f.Code, f.Path}
		s.perCode[of] = tally{s.perCode[of].found, s.least(of)}
		return
	}
	of := perCode{f.Code, f.Path}
	t := s.perCode[of]
	switch {
	case t.found < maxPerCode:
		t.found++
		s.found = append(s.found, f)
	case f.Severity.Level() > t.least:
		s.replace(of, t.least, f)
	default:
		return
	}
	s.seen[key] = f.Severity.Level()
	t.least = s.least(of)
	s.perCode[of] = t
}

// replace puts a finding in the place of a milder one of its kind, so that many harmless ones do not hide it.
func (s *scanner) replace(of perCode, level int, f Finding) {
	for i, o := range s.found {
		if (perCode{o.Code, o.Path}) == of && o.Severity.Level() == level {
			delete(s.seen, seenKey{o.Code, o.Path, o.Line})
			s.found[i] = f
			return
		}
	}
}

// least is the level of the mildest finding of a kind.
func (s *scanner) least(of perCode) int {
	level := Critical.Level()
	for _, o := range s.found {
		if (perCode{o.Code, o.Path}) == of {
			level = min(level, o.Severity.Level())
		}
	}
	return level
}

// blocked reports what the operator knows.
func (s *scanner) blocked(path string, digest [sha256.Size]byte) {
	if digest == [sha256.Size]byte{} {
		return
	}
	why, ok := s.in.Blocked[digest]
	if !ok {
		return
	}
	message := "the operator of this server has blocked the digest " + hex.EncodeToString(digest[:])
	if why != "" {
		message += ": " + cutText(why, 200)
	}
	s.add(Finding{Code: CodeBlockedSignature, Severity: Critical, Path: path, Message: message})
}

func cutText(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// admit looks at a file as a whole and returns its text, nil when it has none.
func (s *scanner) admit(f File, left *int) *unit {
	digest := f.Digest
	if digest == [sha256.Size]byte{} {
		digest = sha256.Sum256(f.Content)
	}
	s.blocked(f.Path, digest)
	s.fileName(f.Path)
	content := f.Content
	cut := f.Size > int64(len(content))
	if most := min(MaxFile, *left); len(content) > most {
		content, cut = content[:most], true
	}
	sort := s.sortOf(f.Path, f.Kind, content)
	if sort.opaque {
		return nil
	}
	*left -= len(content)
	if cut {
		severity := Medium
		if sort.kind == KindData {
			severity = Low
		}
		s.add(Finding{Code: CodeUnscanned, Severity: severity, Path: f.Path, Message: "only the beginning of the file was scanned: it is larger than a scan reads"})
	}
	if sort.kind == KindCode {
		s.used.executes = true
	}
	return newUnit(f.Path, sort.kind, strings.ToValidUTF8(string(content), "\uFFFD"))
}

// unit scans a text and returns what was hidden in it.
func (s *scanner) unit(u *unit) []*unit {
	whole := u.whole()
	lower := whole.lower()
	s.patterns(u, whole, lower, false)
	if bare, changed := lower.unquoted(); changed {
		s.patterns(u, bare, bare, true)
	}
	s.invisible(u)
	s.secrets(u, whole)
	if u.kind == KindInstructions {
		s.markdown(u)
	}
	s.combine(u)
	s.use(u, whole)
	if u.depth >= 2 {
		return nil
	}
	return s.decode(u, whole)
}

// book is the rules, ready to use.
type book struct {
	rules []rule
	words *words
}

var ruleBook = sync.OnceValue(func() *book {
	b := &book{rules: slices.Concat(execRules(), networkRules(), accessRules(), proseRules())}
	lists := make([][]string, len(b.rules))
	for i := range b.rules {
		r := &b.rules[i]
		r.re = regexp.MustCompile(r.pattern)
		if r.but != "" {
			r.except = regexp.MustCompile(r.but)
		}
		lists[i] = r.near
	}
	b.words = newWords(lists)
	return b
})

// rule is a pattern with what it means.
type rule struct {
	code Code
	// code and prose are the severities in programs and in what agents read; "" does not apply there. Comments of programs count as prose.
	inCode, inProse Severity
	near            []string // words, in lower case, one of which stands in or near each match
	pattern         string   // RE2, for text in lower case
	but             string   // a line that has this is passed over
	message         string
	// refine may change what a match means; a severity of "" passes it over.
	refine func(m match) (Code, Severity, string)
	// shell has the rule look at the text without quotes, too.
	shell bool
	// cheap is for rules that match what is ordinary, too, and weigh it quickly: more of their matches are looked at.
	cheap bool

	re, except *regexp.Regexp
}

// match is where a rule applied.
type match struct {
	rule     *rule
	unit     *unit
	text     string // what matched, in lower case
	line     string // the line around it, in lower case
	row      int    // index of the line
	severity Severity
	wary     bool
}

// window is a part of a text that a rule has to look at.
type window struct{ from, to int }

// How far a pattern may reach before and after a word that it needs.
const (
	before = 400
	after  = 800
)

// patterns runs every rule over the parts of a text that have one of its words.
func (s *scanner) patterns(u *unit, own, lower view, bare bool) {
	windows := make([][]window, len(s.rules.rules))
	s.rules.words.find(lower.text, func(of int32, end int) {
		if bare && !s.rules.rules[of].shell {
			return
		}
		from, to := max(end-before, 0), min(end+after, len(lower.text))
		list := windows[of]
		if n := len(list); n > 0 && list[n-1].to >= from {
			list[n-1].to = to
			return
		}
		windows[of] = append(list, window{from, to})
	})
	for i, list := range windows {
		for _, w := range list {
			// A window begins and ends with a rune, so that no pattern sees half of one.
			for w.from > 0 && !utf8.RuneStart(lower.text[w.from]) {
				w.from--
			}
			if s.read += w.to - w.from; s.read > s.most {
				s.tooDense(u)
				return
			}
			s.apply(&s.rules.rules[i], u, own, lower, w, bare)
		}
	}
}

func (s *scanner) tooDense(u *unit) {
	if !s.dense {
		s.dense = true
		s.add(Finding{
			Code: CodeUnscanned, Severity: High, Path: u.path,
			Message: "the rest was not scanned: the text holds so many suspicious words that it seems made to exhaust a scan",
		})
	}
}

func (s *scanner) apply(r *rule, u *unit, own, lower view, w window, bare bool) {
	most := 200
	if r.cheap {
		most = 10_000
	}
	found := r.re.FindAllStringIndex(lower.text[w.from:w.to], most)
	for _, at := range found {
		from, to := w.from+at[0], w.from+at[1]
		// Patterns may begin with a character before what they mean.
		for from < to && (lower.text[from] == '\n' || lower.text[from] == ' ') {
			from++
		}
		n := lower.lineOf(from)
		m := match{rule: r, unit: u, text: lower.text[from:to], line: lower.around(from, to), row: n, wary: u.lines[n].wary}
		switch u.lines[n].place {
		case inCode, inHidden:
			m.severity = r.inCode
			if u.lines[n].place == inHidden && r.inProse.Level() > m.severity.Level() {
				m.severity = r.inProse
			}
		default:
			m.severity = r.inProse
		}
		if m.severity == "" || r.except != nil && r.except.MatchString(m.line) {
			continue
		}
		f := Finding{Code: r.code, Severity: m.severity, Message: r.message}
		if r.refine != nil {
			f.Code, f.Severity, f.Message = r.refine(m)
		}
		if f.Severity == "" {
			continue
		}
		if bare && f.Severity.Level() >= Medium.Level() {
			f.Message += "; quotes inside of the words hide it"
		}
		s.report(u, n, f, own.rowAt(n), from-lower.starts[n], u.lines[n].place == inHidden)
	}
	if len(found) == most && s.perCode[perCode{r.code, u.path}].found < maxPerCode {
		s.tooDense(u) // unless enough was found anyway
	}
}

// rowAt returns a line of a view.
func (v view) rowAt(n int) string {
	if n+1 < len(v.starts) {
		return strings.TrimRight(v.text[v.starts[n]:v.starts[n+1]], "\n")
	}
	return v.text[v.starts[n]:]
}

// report adds a finding of a line, weighed by where the line stands.
func (s *scanner) report(u *unit, n int, f Finding, row string, column int, hidden bool) {
	l := u.lines[n]
	switch {
	case l.wary && !hidden:
		f = quoted(f)
	case hidden && f.Severity.Level() >= Medium.Level():
		in := Finding{Code: CodeHiddenText, Severity: High, Path: u.path, Line: n + 1, Message: "what only the agent reads contains more than a remark"}
		if u.depth > 0 {
			in.Line = u.at
		}
		if s.wants(in) {
			in.Excerpt = shown(row, column)
			s.add(in)
		}
	}
	f.Path, f.Line = u.path, n+1
	if u.depth > 0 {
		f.Line = u.at
		f.Message += "; it was hidden in " + u.layer
		if f.Severity == Medium && !l.wary {
			f.Severity = High // nobody encodes what may be seen
		}
	}
	if s.wants(f) {
		f.Excerpt = shown(row, column)
		s.add(f)
	}
}

// quoted is a finding in a text that warns of what it quotes. What would be malicious is still shown to a reviewer: a warning is easily
// written.
func quoted(f Finding) Finding {
	switch {
	case f.Code.Malicious() || f.Severity == Critical:
		f.Severity = Medium
		if f.Code.Malicious() {
			f.Code = CodeDangerousExec
		}
		f.Message += ", in a text that seems to warn of it"
	case f.Severity == High || f.Severity == Medium:
		f.Severity = Low
		f.Message += ", in a text that seems to warn of it"
	}
	return f
}

// combine looks for what only the whole of a file shows.
func (s *scanner) combine(u *unit) {
	g := u.signals
	took := max(g.secrets, g.dumps)
	switch {
	case took == 0:
	case g.drop > 0:
		s.addAt(u, g.drop, CodeCredentialTheft, Critical, "the file reads secrets and sends to an address for collecting data")
	case g.sends > 0:
		s.addAt(u, g.sends, CodeExfiltration, High, "the file reads secrets and sends something over the network")
	}
}

func (s *scanner) addAt(u *unit, n int, code Code, severity Severity, message string) {
	f := Finding{Code: code, Severity: severity, Message: message}
	s.report(u, n-1, f, u.row(n-1), 0, false)
}
