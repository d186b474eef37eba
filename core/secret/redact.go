package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MinRedacted is how many characters a secret has at least to be redacted: shorter ones would be found in any text.
const MinRedacted = 6

// Known is a secret that may turn up in a text.
type Known struct {
	Name  string // what is shown instead: "[redacted:Name]"
	Value Value
}

// Redactor takes secrets out of texts: as they are, escaped for JSON or for URLs, and in base64 or hexadecimal. Each is replaced by
// "[redacted:NAME]"; where several overlap, the longest gives the name to all of it. A nil Redactor knows no secrets and costs nothing.
// It is immutable, and so safe for concurrent use.
type Redactor struct {
	// An Aho-Corasick automaton over all patterns. Node 0 is the root.
	first [256]int32 // the root's children by their byte; 0 for none
	nodes []node
	shown []string // by pattern
	known []Known  // all of the above, for Join
}

// node keeps its children in a list: nearly all have one, and few have more than two.
type node struct {
	b       byte  // by which one gets here
	child   int32 // the first; 0 for none
	sibling int32 // the next child of the node before; 0 for none
	depth   int32
	fail    int32
	pattern int32 // which ends here; -1 for none
	suffix  int32 // the nearest node along fail at which a pattern ends; 0 for none
}

// NewRedactor returns a Redactor of the given secrets; nil when there are none to redact.
func NewRedactor(known []Known) *Redactor {
	r := &Redactor{nodes: []node{{pattern: -1}}}
	for _, k := range known {
		text := strings.TrimSpace(k.Value.Reveal())
		if utf8.RuneCountInString(text) < MinRedacted {
			continue
		}
		shown := int32(len(r.shown))
		for _, p := range spellings(text) {
			r.add(p, shown)
		}
		r.shown = append(r.shown, "[redacted:"+plainName(k.Name)+"]")
		r.known = append(r.known, k)
	}
	if len(r.shown) == 0 {
		return nil
	}
	r.link()
	return r
}

// Join returns a Redactor of what either of two knows; the names are those of the first where both have one.
func Join(first, second *Redactor) *Redactor {
	switch {
	case second == nil:
		return first
	case first == nil:
		return second
	}
	all := slices.Clone(first.known)
	for _, k := range second.known {
		if !slices.ContainsFunc(first.known, func(o Known) bool { return o.Value.Equal(k.Value) }) {
			all = append(all, k)
		}
	}
	if len(all) == len(first.known) {
		return first
	}
	return NewRedactor(all)
}

// plainName is a name without what would end the brackets or the line.
func plainName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c <= ' ' || c == '[' || c == ']' || c == '"' || c == '\\' || c == 0x7f {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(name, "_"))
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64])
	}
	if name == "" {
		return "secret"
	}
	return name
}

// minLine is how long a line of a secret is that counts as one by itself, in bytes: shorter ones stand in other texts, too.
const minLine = 12

// spellings returns the texts in which a secret is found.
func spellings(text string) []string {
	out := []string{text}
	if strings.Contains(text, "\n") { // a key in PEM, and all else that has lines, is often shown by lines, which logs are read by
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); len(line) >= minLine && !strings.HasPrefix(line, "-----") {
				out = append(out, line)
			}
		}
	}
	once := escaped(text, false)
	out = append(out, once, escaped(text, true), escaped(once, false), strings.ReplaceAll(once, "/", `\/`))
	for _, enc := range []string{url.QueryEscape(text), url.PathEscape(text)} {
		out = append(out, enc, lowerHex(enc))
	}
	digits := hex.EncodeToString([]byte(text))
	out = append(out, digits, strings.ToUpper(digits))
	for before := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			out = append(out, inBase64(enc, text, before))
		}
	}
	return out
}

// escaped returns text as it stands in a JSON string.
func escaped(text string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	_ = e.Encode(text) //nolint:errchkjson // strings always encode
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), `"`), `"`)
}

// lowerHex writes %2F as %2f.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// inBase64 returns the characters that stand for text alone when it is encoded behind some bytes of a group of three and in front of
// whatever follows.
func inBase64(enc *base64.Encoding, text string, before int) string {
	all := enc.EncodeToString(append(make([]byte, before), text...))
	from := (before*8 + 5) / 6
	to := (before + len(text)) * 8 / 6
	if from >= to {
		return ""
	}
	return all[from:to]
}

// add puts a pattern into the automaton. One that is known keeps its first name.
func (r *Redactor) add(pattern string, shown int32) {
	if len(pattern) < MinRedacted {
		return
	}
	at := int32(0)
	for i := range len(pattern) {
		b := pattern[i]
		to := r.child(at, b)
		if to == 0 {
			to = int32(len(r.nodes))
			r.nodes = append(r.nodes, node{b: b, sibling: r.nodes[at].child, depth: r.nodes[at].depth + 1, pattern: -1})
			r.nodes[at].child = to
			if at == 0 {
				r.first[b] = to
			}
		}
		at = to
	}
	if r.nodes[at].pattern < 0 {
		r.nodes[at].pattern = shown
	}
}

// child returns the child of a node by a byte, or 0.
func (r *Redactor) child(at int32, b byte) int32 {
	if at == 0 {
		return r.first[b]
	}
	to := r.nodes[at].child
	for to != 0 && r.nodes[to].b != b {
		to = r.nodes[to].sibling
	}
	return to
}

// link makes the failure links, breadth first.
func (r *Redactor) link() {
	queue := make([]int32, 1, len(r.nodes)) // the root
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for to := r.nodes[at].child; to != 0; to = r.nodes[to].sibling {
			if at != 0 {
				fail := r.step(r.nodes[at].fail, r.nodes[to].b)
				r.nodes[to].fail = fail
				r.nodes[to].suffix = r.nodes[fail].suffix
				if r.nodes[fail].pattern >= 0 {
					r.nodes[to].suffix = fail
				}
			}
			queue = append(queue, to)
		}
	}
}

// step follows an edge, or the failure links to a node that has one.
func (r *Redactor) step(at int32, b byte) int32 {
	for at != 0 {
		if to := r.child(at, b); to != 0 {
			return to
		}
		at = r.nodes[at].fail
	}
	return r.first[b]
}

// span is a part of a text to be replaced.
type span struct {
	from, to int
	shown    int32
	longest  int // of the patterns in it
}

// scan runs the automaton over text, whose first byte is number pos, and adds what it finds to spans. Spans are in order and do not overlap.
func (r *Redactor) scan(at int32, text string, pos int, spans []span) (int32, []span) {
	for i := range len(text) {
		if at = r.step(at, text[i]); at == 0 {
			continue
		}
		n := &r.nodes[at]
		end := pos + i + 1
		if n.pattern >= 0 {
			spans = cover(spans, span{end - int(n.depth), end, n.pattern, int(n.depth)})
		}
		for s := n.suffix; s != 0; s = r.nodes[s].suffix {
			spans = cover(spans, span{end - int(r.nodes[s].depth), end, r.nodes[s].pattern, int(r.nodes[s].depth)})
		}
	}
	return at, spans
}

// cover adds a span, and makes one of those that it overlaps.
func cover(spans []span, s span) []span {
	for len(spans) > 0 {
		last := spans[len(spans)-1]
		if last.to <= s.from {
			break
		}
		spans = spans[:len(spans)-1]
		if last.longest >= s.longest {
			s.shown, s.longest = last.shown, last.longest
		}
		s.from, s.to = min(s.from, last.from), max(s.to, last.to)
	}
	return append(spans, s)
}

// Redact returns text without secrets.
func (r *Redactor) Redact(text string) string {
	if r == nil {
		return text
	}
	_, spans := r.scan(0, text, 0, nil)
	if len(spans) == 0 {
		return text
	}
	return r.replace(text, 0, spans)
}

// minCut is how much of a secret's beginning tells something of it, in bytes.
const minCut = 4

// RedactCut is Redact for a text whose end was cut off: what it ends with may be the beginning of a secret, and is replaced like one.
func (r *Redactor) RedactCut(text string) string {
	if r == nil {
		return text
	}
	at, spans := r.scan(0, text, 0, nil)
	if depth := int(r.nodes[at].depth); depth >= minCut {
		of := at
		for r.nodes[of].pattern < 0 {
			of = r.nodes[of].child
		}
		spans = cover(spans, span{len(text) - depth, len(text), r.nodes[of].pattern, depth})
	}
	return r.replace(text, 0, spans)
}

// replace returns text, whose first byte is number pos, with the spans replaced.
func (r *Redactor) replace(text string, pos int, spans []span) string {
	var b strings.Builder
	at := 0
	for _, s := range spans {
		b.WriteString(text[at : s.from-pos])
		b.WriteString(r.shown[s.shown])
		at = s.to - pos
	}
	b.WriteString(text[at:])
	return b.String()
}

// Stream returns a Stream for one text.
func (r *Redactor) Stream() *Stream { return &Stream{r: r} }

// Stream redacts a text that comes in pieces, wherever they are cut: what it returns, put together, is what Redact makes of the whole.
// It holds back what may be the beginning of a secret. It is not safe for concurrent use.
type Stream struct {
	r       *Redactor
	at      int32
	pending []byte // what has not been returned
	pos     int    // the number of pending's first byte
	spans   []span // within pending
}

// Write takes the next piece and returns what may be shown by now.
func (s *Stream) Write(piece string) string {
	if s.r == nil || piece == "" {
		return piece
	}
	s.at, s.spans = s.r.scan(s.at, piece, s.pos+len(s.pending), s.spans)
	s.pending = append(s.pending, piece...)
	// No secret that is yet to be found begins before this.
	return s.release(s.pos + len(s.pending) - int(s.r.nodes[s.at].depth))
}

// release returns the text up to safe, or up to a span that goes on behind it.
func (s *Stream) release(safe int) string {
	done := 0
	for done < len(s.spans) && s.spans[done].to <= safe {
		done++
	}
	if done < len(s.spans) {
		safe = min(safe, s.spans[done].from)
	}
	if safe == s.pos {
		return ""
	}
	out := string(s.pending[:safe-s.pos])
	if done > 0 {
		out = s.r.replace(out, s.pos, s.spans[:done])
	}
	s.pending, s.pos = append(s.pending[:0], s.pending[safe-s.pos:]...), safe
	s.spans = append(s.spans[:0], s.spans[done:]...)
	return out
}

// Flush returns the rest, at the end of the text. The Stream can take another text afterwards.
func (s *Stream) Flush() string {
	if s.r == nil {
		return ""
	}
	out := s.release(s.pos + len(s.pending))
	*s = Stream{r: s.r}
	return out
}
