package offline

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// filler reads the arguments of one tool from one clause.
type filler struct {
	v        *vocabulary
	c        *clause
	tool     *toolView
	toks     []token
	used     []bool
	args     map[string]any
	evidence float64 // grows with every value that could hardly be meant otherwise
	doubt    string  // why the order is ambiguous
	cues     map[string]bool
	forced   bool // the tool was named by the user
	sure     bool // a leftover can only have been meant for its property
}

// filled is what a filler found.
type filled struct {
	args     json.RawMessage
	evidence float64
	missing  []string // required properties without a value
	doubt    string
	specific bool // a required argument came from a cue or a typed value rather than from what was left over
}

func fill(v *vocabulary, c *clause, t *toolView, used []bool, forced bool) filled {
	f := &filler{v: v, c: c, tool: t, toks: c.toks, used: slices.Clone(used), args: map[string]any{}, cues: map[string]bool{}, forced: forced}
	for _, p := range t.input.props {
		for _, w := range words(p.name) {
			if len(w) > 2 {
				f.cues[stem(w)] = true
			}
		}
	}
	if args, ok := f.written(); ok {
		return filled{args: args, evidence: 3, specific: true}
	}
	for _, pass := range []func(node){f.assigned, f.listed, f.typed, f.named, f.counted, f.addressed, f.phrased} {
		for _, p := range t.input.props {
			if _, done := f.args[p.name]; !done {
				pass(p)
			}
		}
	}
	specific := len(f.args) > 0
	for _, p := range t.input.props {
		if _, done := f.args[p.name]; !done && t.input.required[p.name] {
			f.leftover(p)
		}
	}
	out := filled{evidence: f.evidence, doubt: f.doubt, specific: specific || f.sure}
	for _, p := range t.input.props {
		if _, done := f.args[p.name]; !done && t.input.required[p.name] {
			out.missing = append(out.missing, p.name)
		}
	}
	if len(out.missing) > 0 {
		return out
	}
	out.args, out.missing = f.settle()
	for i, tok := range f.toks {
		if f.used[i] {
			continue
		}
		// A value that the tool has no place for says that another tool is meant.
		switch tok.kind {
		case amount:
			out.evidence -= 3
		case link, email, formula:
			out.evidence -= 2
		case quoted, day:
			out.evidence -= 0.5
		}
	}
	return out
}

// settle returns the arguments once they are valid, leaving out optional ones that are not.
func (f *filler) settle() (json.RawMessage, []string) {
	raw, err := f.tool.valid(f.args)
	if err == nil {
		return raw, nil
	}
	for _, p := range f.tool.input.props {
		if value, ok := f.args[p.name]; ok && !f.tool.input.required[p.name] {
			delete(f.args, p.name)
			if raw, err = f.tool.valid(f.args); err == nil {
				return raw, nil
			}
			f.args[p.name] = value
		}
	}
	for _, p := range f.tool.input.props {
		if !f.tool.input.required[p.name] {
			delete(f.args, p.name)
		}
	}
	if raw, err = f.tool.valid(f.args); err == nil {
		return raw, nil
	}
	var names []string
	for _, p := range f.tool.input.props {
		if f.tool.input.required[p.name] {
			names = append(names, p.name)
		}
	}
	if len(names) == 0 {
		names = []string{"valid input"}
	}
	return nil, names
}

// written takes a JSON object as it stands.
func (f *filler) written() (json.RawMessage, bool) {
	for _, t := range f.toks {
		if t.kind != literal {
			continue
		}
		var args map[string]any
		dec := json.NewDecoder(strings.NewReader(t.text))
		dec.UseNumber()
		if dec.Decode(&args) != nil {
			continue
		}
		if raw, err := f.tool.valid(args); err == nil {
			return raw, true
		}
	}
	return nil, false
}

func (f *filler) set(p node, value any, from, to int) {
	f.args[p.name] = value
	f.take(from, to)
}

func (f *filler) take(from, to int) {
	for i := from; i < to; i++ {
		f.used[i] = true
	}
}

// cast turns text into the property's type.
func cast(p node, text string) (any, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, false
	}
	if len(p.enum) > 0 {
		for _, e := range p.enum {
			if s, ok := e.(string); ok && strings.EqualFold(strings.Join(words(s), " "), strings.Join(words(text), " ")) {
				return s, true
			}
		}
		return nil, false
	}
	switch {
	case p.is("string") || len(p.types) == 0:
		return text, true
	case p.is("number"), p.is("integer"):
		if !decimal.MatchString(text) || p.is("integer") && !p.is("number") && strings.Contains(text, ".") {
			return nil, false
		}
		return json.Number(text), true
	case p.is("boolean"):
		switch strings.ToLower(text) {
		case "true", "yes", "on":
			return true, true
		case "false", "no", "off":
			return false, true
		}
	case p.is("array"):
		if p.items == nil {
			return []any{text}, true
		}
		if one, ok := cast(*p.items, text); ok {
			return []any{one}, true
		}
	}
	return nil, false
}

var decimal = regexp.MustCompile(`^-?(?:0|[1-9]\d{0,17})(?:\.\d{1,18})?$`)

// mention finds the words of a property's name, from the start of the clause, and returns where they end.
func (f *filler) mention(p node, from int) (start, end int, ok bool) {
	ws := words(p.name)
	if len(ws) == 0 || len(ws) == 1 && len(ws[0]) < 3 {
		return 0, 0, false
	}
	for i := from; i < len(f.toks); i++ {
		t := f.toks[i]
		if t.kind != word || f.used[i] {
			continue
		}
		if strings.EqualFold(t.text, p.name) {
			return i, i + 1, true
		}
		n := 0
		for n < len(ws) && i+n < len(f.toks) && f.toks[i+n].kind == word && f.toks[i+n].stem == stem(ws[n]) {
			n++
		}
		if n == len(ws) {
			return i, i + n, true
		}
	}
	return 0, 0, false
}

// assigned reads "name=value" and "name: value".
func (f *filler) assigned(p node) {
	for from := 0; ; {
		_, end, ok := f.mention(p, from)
		if !ok {
			return
		}
		from = end
		if end+1 >= len(f.toks) || !f.toks[end].is("=", ":") {
			continue
		}
		if value, stop, ok := f.value(p, end+1); ok {
			f.set(p, value, end-1, stop)
			f.evidence++
			return
		}
	}
}

// value reads one value of the property's type at i.
func (f *filler) value(p node, i int) (any, int, bool) {
	if i >= len(f.toks) {
		return nil, 0, false
	}
	t := f.toks[i]
	if t.kind != word && t.kind != mark {
		if p.is("string") && t.kind == amount && roleOf(p) != roleAmount {
			if v, ok := cast(p, t.text); ok {
				return v, i + 1, true
			}
		}
		if v, ok := cast(p, t.norm); ok {
			return v, i + 1, true
		}
	}
	end := f.phraseEnd(i, false)
	for ; end > i; end-- {
		if v, ok := cast(p, f.text(i, end)); ok {
			return v, end, true
		}
		if p.is("string") && len(p.enum) == 0 {
			break
		}
	}
	return nil, 0, false
}

// listed finds the values of enums, and switches.
func (f *filler) listed(p node) {
	if p.constant != nil {
		f.args[p.name] = p.constant
		return
	}
	if p.is("boolean") && len(p.enum) == 0 {
		if start, end, ok := f.mention(p, 0); ok {
			on := start == 0 || !f.toks[start-1].is("no", "not", "without", "non", "disable", "disabled")
			f.set(p, on, start, end)
			f.evidence += 0.5
			return
		}
		for i, t := range f.toks {
			if f.tool.input.required[p.name] && i > 0 && t.is("on", "off", "enable", "disable", "enabled", "disabled", "true", "false", "yes", "no") {
				f.set(p, t.is("on", "enable", "enabled", "true", "yes"), i, i+1)
				return
			}
		}
		return
	}
	if len(p.enum) == 0 || roleOf(p) == roleCurrency {
		return
	}
	best, bestScore, at, until := any(nil), 0, 0, 0
	for _, e := range p.enum {
		s, ok := e.(string)
		if !ok {
			continue
		}
		ws := words(s)
		if len(ws) == 0 {
			continue
		}
		for i := range f.toks {
			n := 0
			for n < len(ws) && i+n < len(f.toks) && !f.used[i+n] && sameWord(f.toks[i+n], ws[n], s) {
				n++
			}
			score := 10 * len(ws)
			if n < len(ws) {
				if f.used[i] || !strings.EqualFold(f.toks[i].text, s) { // "meeting-notes" is one word here and two there
					continue
				}
				n = 1
			}
			// "to kilometers" goes to the property "to", "high priority" to "priority".
			if i > 0 && f.toks[i-1].kind == word && (f.toks[i-1].norm == p.name || roleOf(p) == roleTo && f.toks[i-1].is("into", "to", "in")) {
				score += 5
			}
			if i > 0 && f.toks[i-1].kind == number && roleOf(p) == roleFrom {
				score += 4
			}
			if roleOf(p) == roleFrom && i > 0 && f.toks[i-1].is("to", "into", "in") || roleOf(p) == roleTo && i > 0 && (f.toks[i-1].is("from") || f.toks[i-1].kind == number) {
				score -= 8
			}
			if near := i + n; near < len(f.toks) && f.cues[f.toks[near].stem] && slices.Contains(stems(p.name), f.toks[near].stem) {
				score += 5
			}
			if score > bestScore {
				best, bestScore, at, until = e, score, i, i+n
			}
		}
	}
	if best != nil {
		f.set(p, best, at, until)
		f.evidence += 0.7
	}
}

func sameWord(t token, w, whole string) bool {
	if t.kind == quoted {
		return strings.EqualFold(t.norm, whole)
	}
	if t.kind != word {
		return t.norm == w
	}
	// One-letter values ("C") only count as they are written.
	if len(w) == 1 {
		return t.text == whole
	}
	return t.norm == w || t.stem == stem(w)
}
