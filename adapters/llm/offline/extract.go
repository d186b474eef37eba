package offline

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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
			if n < len(ws) {
				continue
			}
			score := 10 * n
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

// typed takes values that show by their form what they are.
func (f *filler) typed(p node) {
	r := roleOf(p)
	switch r {
	case roleAmount:
		f.money(p)
		return
	case roleID:
		f.identifier(p)
		return
	case roleCurrency:
		f.currency(p)
		return
	}
	if !p.is("string") && !(p.is("array") && p.items != nil) && len(p.types) > 0 {
		return
	}
	want := map[role][]kind{
		roleEmail: {email}, roleURL: {link}, roleHost: {host}, roleDay: {day}, roleFormula: {formula}, rolePath: {file, host},
	}[r]
	if r == roleFormula && f.c.mood == order && !slices.ContainsFunc(f.toks, func(t token) bool { return t.kind == formula }) {
		// "calculate 42" is no formula, and still one to an evaluator that was named.
		if f.forced {
			want = []kind{number}
		}
	}
	var found []string
	for i, t := range f.toks {
		if f.used[i] || !slices.Contains(want, t.kind) {
			continue
		}
		text := t.norm
		if t.kind == link {
			text = t.text
		}
		if v, ok := cast(p, text); ok && len(found) == 0 {
			f.set(p, v, i, i+1)
			f.evidence++
			if r == roleFormula || r == roleURL {
				f.evidence++
			}
		}
		found = append(found, text)
		if p.is("array") && len(found) > 1 {
			f.used[i] = true
		}
	}
	if p.is("array") && len(found) > 1 {
		f.args[p.name] = found
	}
	if len(found) > 0 {
		return
	}
	// "fetch example.com": an order to fetch makes an address of a host name.
	if r == roleURL && f.c.mood == order {
		for i, t := range f.toks {
			if !f.used[i] && t.kind == host {
				end := i + 1
				text := t.text
				if end < len(f.toks) && f.toks[end].kind == file && f.toks[end].start == t.end {
					text += f.toks[end].text
					end++
				}
				f.set(p, "https://"+text, i, end)
				f.evidence++
				return
			}
		}
	}
	if p.pattern != "" && r != rolePurpose && r != roleBody {
		re, err := regexp.Compile(p.pattern)
		if err != nil || !strings.HasPrefix(p.pattern, "^") {
			return
		}
		for i, t := range f.toks {
			if !f.used[i] && i > 0 && t.kind != mark && !f.v.stop[t.norm] && (re.MatchString(t.norm) || re.MatchString(t.text)) {
				text := t.text
				if !re.MatchString(text) {
					text = t.norm
				}
				f.set(p, text, i, i+1)
				f.evidence++
				return
			}
		}
	}
}

// identifier takes what stands behind the name of the thing, and looks like an id: "order 42", "agent agent_123".
func (f *filler) identifier(p node) {
	thing := stems(p.name)
	for _, named := range []bool{true, false} {
		for i := 1; i < len(f.toks); i++ {
			t := f.toks[i]
			k := i - 1
			for k > 0 && f.toks[k].is("#", "id", "number", "no", "with", "the") {
				k--
			}
			if f.used[i] || t.kind != word && t.kind != number && t.kind != quoted || named && !slices.Contains(thing, f.toks[k].stem) {
				continue
			}
			if t.kind == word && !strings.ContainsAny(t.text, "0123456789") || !named && t.kind == number {
				continue
			}
			if v, ok := cast(p, strings.TrimPrefix(plain(t), "#")); ok {
				f.set(p, v, i, i+1)
				f.evidence++
				return
			}
		}
	}
}

// bareSum reports whether the plain number at i can be a sum of money: nothing countable follows it and nothing that is numbered
// stands before it.
func (f *filler) bareSum(i int) bool {
	if i > 0 && f.toks[i-1].is("invoice", "order", "ticket", "number", "no", "nr", "id", "#", "ref", "reference", "account", "version", "item",
		"bill", "case", "page", "section", "step", "unit", "room", "line", "in", "after", "within", "by") {
		return false
	}
	if i+1 == len(f.toks) {
		return true
	}
	next := f.toks[i+1]
	return next.kind == mark && !next.is("%", "/", ":", "#") || next.kind == word && f.v.prepositions[next.norm] || next.kind == host
}

// money finds the sum that an order is about, and notes when there may be several.
func (f *filler) money(p node) {
	// A sum that is only dictated ("saying pay 20 USDC") is part of a text.
	dictated := slices.IndexFunc(f.toks, func(t token) bool { return t.kind == word && f.v.speech[t.norm] || t.is("that") })
	own := f.toks
	if dictated > 0 {
		own = f.toks[:dictated]
	}
	var found []int
	for i, t := range own {
		if t.kind == amount && !f.used[i] {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		for i, t := range own {
			if t.kind == number && !f.used[i] && f.bareSum(i) {
				found = append(found, i)
				break
			}
		}
	}
	if len(found) == 0 {
		return
	}
	i := found[0]
	before := func(k int) bool {
		return k > 0 && (f.toks[k-1].is("or", "and", "-", "–", "to", "+", "*", "/", "x") && k > 1 && (f.toks[k-2].kind == number || f.toks[k-2].kind == amount) ||
			f.toks[k-1].kind == number || f.toks[k-1].is("least", "most", "than", "between", "about", "around", "roughly", "approximately", "some"))
	}
	if doubt := f.qualified(own, found); doubt != "" {
		f.doubt = doubt
	}
	torn := i > 1 && f.toks[i-1].is(",", ".") && f.toks[i-2].kind == number && f.toks[i-1].end == f.toks[i].start
	if torn || before(i) || len(found) > 1 && before(found[1]) || i+2 < len(f.toks) && f.toks[i+1].is("or", "-", "–") && (f.toks[i+2].kind == number || f.toks[i+2].kind == amount) {
		f.doubt = vague
	}
	if i+1 < len(f.toks) && (f.toks[i+1].is("each", "apiece", "per") || i+2 < len(f.toks) && f.toks[i+1].is("a") && f.toks[i+2].is("day", "week", "month", "year")) {
		f.doubt = "it asks for more than one payment"
	}
	v, ok := cast(p, f.toks[i].norm)
	if !ok {
		return
	}
	start := i
	for start > 0 && f.toks[start-1].is("of", "for", "sum", "amount", "total") && !f.used[start-1] {
		start--
	}
	f.set(p, v, start, i+1)
	f.evidence++
	if f.toks[i].kind == amount {
		f.evidence++
	}
}

// vague is the doubt about sums that cannot be taken as they are written.
const vague = "the amount is not one definite number"

// qualified returns the doubt about a sum that words make another one ("half of 20 USDC", "20 USDC plus tax"), that is for another
// day, or beside another one. What an order is for does not count.
func (f *filler) qualified(toks []token, found []int) string {
	for i, t := range toks {
		if t.is("for", "about", "regarding", "because", "covering", "re", "(") && i > found[0] {
			return ""
		}
		if i > found[0] && slices.Contains(found, i) || t.kind == formula {
			return vague
		}
		if t.kind == day && !f.hasRole(roleDay) {
			return "it names a day, and I only act at once"
		}
		if t.is("twice", "thrice", "half", "double", "triple", "quarter", "plus", "minus", "times", "percent", "%", "less", "extra") ||
			t.is("up") && i+1 < len(toks) && toks[i+1].is("to") {
			return vague
		}
	}
	return ""
}

// currency takes the code that stands with the sum. A dollar sign alone may be many currencies: an optional property is left to
// its default, a required one gets USD.
func (f *filler) currency(p node) {
	for _, t := range f.toks {
		if t.kind != amount {
			continue
		}
		code := t.code
		if code == "$" {
			if !f.tool.input.required[p.name] {
				return
			}
			code = "USD"
			if len(p.enum) > 0 {
				if _, ok := cast(p, code); !ok && p.fallback == nil && len(p.enum) == 1 {
					code, _ = p.enum[0].(string)
				}
			}
		}
		if v, ok := cast(p, code); ok {
			f.args[p.name] = v
			f.evidence += 0.5
			return
		}
		if t.code != "$" {
			f.doubt = "it does not take " + code
			return
		}
	}
	for i, t := range f.toks {
		if code, ok := currency(t); ok && !f.used[i] && code != "$" && (i == 0 || f.toks[i-1].is("in", "to", "into", "from", "currency")) {
			if v, ok := cast(p, code); ok {
				f.set(p, v, i, i+1)
				return
			}
		}
	}
	if f.tool.input.required[p.name] && p.fallback == nil && len(p.enum) == 1 {
		f.args[p.name] = p.enum[0]
	}
}

// named reads values behind a property's name: "titled 'x'", "subject hello", "limit 5", "5 results".
func (f *filler) named(p node) {
	if roleOf(p) == roleAmount || roleOf(p) == roleCurrency || roleOf(p) == roleFrom || roleOf(p) == roleTo {
		return
	}
	for from := 0; ; {
		start, end, ok := f.mention(p, from)
		if !ok {
			break
		}
		from = end
		i := end
		link := false
		for i < len(f.toks) && f.toks[i].is("is", "of", "as", "named", "called", "equals", "to", "line", "saying") {
			link = link || !f.toks[i].is("line")
			i++
		}
		if i >= len(f.toks) {
			continue
		}
		t := f.toks[i]
		if t.kind == word && !link && !f.introduced(start) {
			continue
		}
		if len(p.enum) == 0 && (p.is("number") || p.is("integer")) && t.kind != number {
			continue
		}
		if t.kind == mark || t.kind == host && roleOf(p) == roleBody {
			continue
		}
		if v, stop, ok := f.value(p, i); ok {
			f.set(p, v, start, stop)
			f.evidence += 0.7
			return
		}
	}
	if p.is("number") || p.is("integer") {
		for i, t := range f.toks {
			if t.kind == number && !f.used[i] && i+1 < len(f.toks) && f.toks[i+1].kind == word && slices.Contains(stems(p.name), f.toks[i+1].stem) {
				if v, ok := cast(p, t.norm); ok {
					f.set(p, v, i, i+2)
					f.evidence += 0.7
					return
				}
			}
		}
	}
}

// introduced reports whether the property's name at i is followed by its value without a link word: "with subject hello".
func (f *filler) introduced(i int) bool {
	if i == 0 || f.toks[i].line {
		return true
	}
	leads := func(t token) bool { return t.is("with", "and", ",", "in", "under") }
	return leads(f.toks[i-1]) || f.toks[i-1].is("the", "a") && i > 1 && leads(f.toks[i-2])
}

// counted takes the plain numbers that are left, in order. A sum of money is found by money or not at all: "pay 3 invoices" is not
// about 3 USDC.
func (f *filler) counted(p node) {
	switch {
	case roleOf(p) == roleAmount && f.movesMoney():
		return
	case p.is("number"), p.is("integer"):
		if !f.tool.input.required[p.name] && !f.forced {
			return
		}
		for i, t := range f.toks {
			if f.used[i] || t.kind != number && t.kind != amount {
				continue
			}
			if v, ok := cast(p, t.norm); ok {
				f.set(p, v, i, i+1)
				f.evidence += 0.5
				return
			}
		}
	case p.is("array") && p.items != nil && (p.items.is("number") || p.items.is("integer")):
		var values []any
		for i, t := range f.toks {
			if !f.used[i] && t.kind == number {
				if v, ok := cast(*p.items, t.norm); ok {
					values = append(values, v)
					f.used[i] = true
				}
			}
		}
		if len(values) > 0 {
			f.args[p.name] = values
			f.evidence++
		}
	}
}

// addressed takes what stands behind a preposition: the payee behind "to", the city behind "in".
func (f *filler) addressed(p node) {
	if !p.is("string") && len(p.types) > 0 || len(p.enum) > 0 {
		return
	}
	switch roleOf(p) {
	case roleRecipient:
		f.recipient(p)
	case rolePlace:
		f.after(p, "in", "at", "near", "around", "for", "of")
		if _, ok := f.args[p.name]; !ok {
			f.proper(p)
		}
	case roleHost:
		f.after(p, "for", "of", "on", "to")
	case roleFrom:
		if f.after(p, "from"); f.args[p.name] == nil {
			// "10 miles": the unit behind the number
			for i := 1; i < len(f.toks); i++ {
				if f.toks[i-1].kind == number && f.toks[i].kind == word && !f.used[i] && !f.v.prepositions[f.toks[i].norm] {
					f.set(p, f.toks[i].text, i, i+1)
					f.evidence += 0.5
					return
				}
				if f.toks[i-1].kind == amount && f.toks[i-1].code != "$" {
					f.args[p.name] = f.toks[i-1].code
					return
				}
			}
		}
	case roleTo:
		if f.after(p, "to", "into", "in"); f.args[p.name] == nil {
			// "how many kilometers are 10 miles"
			for i := 0; i+2 < len(f.toks); i++ {
				if f.toks[i].is("how") && f.toks[i+1].is("many", "much") && f.toks[i+2].kind == word && !f.used[i+2] && !f.v.stop[f.toks[i+2].norm] {
					f.set(p, f.toks[i+2].text, i, i+3)
					f.evidence += 0.5
					return
				}
			}
		}
	}
}

// recipient finds whom an order is for.
func (f *filler) recipient(p node) {
	// Money that goes to the user, or comes from whom is named, goes to nobody else.
	for i := 1; i < len(f.toks); i++ {
		if f.toks[i-1].is("to") && f.toks[i].is("me", "us", "myself", "ourselves", "you", "yourself") {
			return
		}
	}
	isName := func(t token) bool { return t.kind == host || t.kind == email || t.kind == quoted || t.kind == link }
	var found []int
	for i, t := range f.toks {
		if !f.used[i] && (t.kind == host || t.kind == email || t.kind == link) {
			found = append(found, i)
		}
	}
	alternatives := func(i int) {
		if i+2 < len(f.toks) && (f.toks[i+1].is("or", "and", "/", "&") && isName(f.toks[i+2]) || f.toks[i+1].is(",") && isName(f.toks[i+2])) {
			f.doubt = "it names more than one " + strings.ReplaceAll(p.name, "_", " ")
		}
	}
	for _, preposition := range []string{"to", "with", "at", "from", "towards", "by"} {
		for i := 1; i < len(f.toks); i++ {
			if !f.toks[i-1].is(preposition) || f.used[i] && f.used[i-1] {
				continue
			}
			k := i
			for k < len(f.toks) && f.toks[k].is("the", "vendor", "payee", "merchant", "supplier", "agent", "user", "channel", "account", "of", "at", "our", "my") && k < i+3 {
				k++
			}
			if k < len(f.toks) && !f.used[k] && isName(f.toks[k]) {
				if v, ok := cast(p, plain(f.toks[k])); ok {
					alternatives(k)
					f.set(p, v, i-1, k+1)
					f.evidence += 1
					return
				}
			}
		}
	}
	if len(found) == 1 {
		if v, ok := cast(p, plain(f.toks[found[0]])); ok {
			f.set(p, v, found[0], found[0]+1)
			f.evidence += 1
			return
		}
	}
	if len(found) > 1 {
		f.doubt = "it names more than one " + strings.ReplaceAll(p.name, "_", " ")
		if v, ok := cast(p, plain(f.toks[found[0]])); ok {
			f.set(p, v, found[0], found[0]+1)
		}
		return
	}
	if f.after(p, "to", "with"); f.args[p.name] != nil {
		return
	}
	// "pay Acme 20 USDC", "tell Bob that ...", "message @bob: ..."
	if len(f.toks) > 1 && f.c.mood == order {
		k := 1
		for k < len(f.toks) && (f.used[k] || f.toks[k].is("agent", "user", "the", "vendor", "my", "our") || slices.Contains(stems(p.name), f.toks[k].stem)) {
			k++
		}
		end := k
		for end < len(f.toks) && !f.used[end] && f.toks[end].kind == word && (capital(f.toks[end].text) || strings.HasPrefix(f.toks[end].text, "@")) {
			end++
		}
		if end > k {
			f.set(p, strings.TrimPrefix(f.text(k, end), "@"), k, end)
			f.evidence += 0.5
		}
	}
}

func plain(t token) string {
	if t.kind == quoted {
		return t.norm
	}
	return strings.TrimSuffix(t.text, "/")
}

// after takes the phrase behind the first of the prepositions that has one.
func (f *filler) after(p node, prepositions ...string) {
	for _, w := range prepositions {
		for i := 1; i < len(f.toks); i++ {
			if !f.toks[i-1].is(w) || f.used[i] || f.used[i-1] && i > 1 {
				continue
			}
			k := i
			for k < len(f.toks) && f.toks[k].is("the", "a", "an") {
				k++
			}
			if k >= len(f.toks) || f.used[k] || f.toks[k].is("me", "us", "it", "him", "her", "them", "you", "this", "that") {
				continue
			}
			if t := f.toks[k]; t.kind != word {
				if t.kind == quoted || t.kind == host || t.kind == email || t.kind == link {
					f.set(p, plain(t), i-1, k+1)
					f.evidence += 0.5
					return
				}
				continue
			}
			end := f.phraseEnd(k, true)
			if end == k {
				continue
			}
			if v, ok := cast(p, f.text(k, end)); ok {
				f.set(p, v, i-1, end)
				f.evidence += 0.5
				return
			}
		}
	}
}

// proper takes the first capitalised words that nothing else took.
func (f *filler) proper(p node) {
	for i := 1; i < len(f.toks); i++ {
		end := i
		for end < len(f.toks) && !f.used[end] && f.toks[end].kind == word && capital(f.toks[end].text) && !f.v.stop[f.toks[end].norm] {
			end++
		}
		if end > i {
			f.set(p, f.text(i, end), i, end)
			return
		}
	}
}

func capital(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsUpper(r)
}

// phraseEnd returns where the phrase that begins at i ends: before a used token, punctuation, the name of another property, and,
// for short ones, before a preposition or a typed value.
func (f *filler) phraseEnd(i int, short bool) int {
	end := i
	for end < len(f.toks) && !f.used[end] {
		t := f.toks[end]
		if t.is(".", "!", "?", ";") || t.line && end > i {
			break
		}
		if short && (t.kind != word || f.v.prepositions[t.norm] && end > i && !t.is("of") || f.v.later[t.norm] || t.is("today", "now", "like", "and", "or", "is", "are", "please")) {
			break
		}
		if end > i && f.otherCue(end) {
			break
		}
		end++
	}
	// Prepositions whose object belongs to somebody else stay behind.
	for end > i+1 && (f.toks[end-1].kind == mark && !f.toks[end-1].is(")", "%") || f.toks[end-1].is("to", "from", "with", "and", "for", "in", "at", "on", "by", "of", "the", "a")) {
		end--
	}
	return end
}

// otherCue reports whether another property's value is introduced at i: "with subject ...", ", priority high".
func (f *filler) otherCue(i int) bool {
	t := f.toks[i]
	if t.kind != word {
		return false
	}
	if f.v.speech[t.norm] && f.hasRole(roleBody, roleTitle) {
		return true
	}
	if t.is("with", "and", "using", "in", "under") && i+1 < len(f.toks) {
		k := i + 1
		if f.toks[k].is("the", "a") && k+1 < len(f.toks) {
			k++
		}
		return f.toks[k].kind == word && f.cues[f.toks[k].stem]
	}
	return f.toks[i-1].is(",") && f.cues[t.stem]
}

func (f *filler) hasRole(roles ...role) bool {
	return slices.ContainsFunc(f.tool.input.props, func(p node) bool {
		_, done := f.args[p.name]
		return !done && slices.Contains(roles, roleOf(p))
	})
}

func (f *filler) text(from, to int) string {
	if from >= to {
		return ""
	}
	if to-from == 1 && f.toks[from].kind == quoted {
		return strings.TrimSpace(f.toks[from].norm)
	}
	return strings.TrimSpace(f.c.src[f.toks[from].start:f.toks[to-1].end])
}

// phrased takes free text behind the words that introduce it.
func (f *filler) phrased(p node) {
	if !p.is("string") && len(p.types) > 0 || len(p.enum) > 0 || p.pattern != "" && roleOf(p) == roleOther {
		return
	}
	switch roleOf(p) {
	case rolePurpose:
		if !f.behind(p, "because", "for", "regarding", "concerning", "covering", "about", "re", "towards") && !f.bracketed(p) && (f.hasMoney() || f.tool.input.required[p.name]) {
			f.object(p)
		}
	case roleBody:
		if !f.behind(p, "saying", "says", "telling", "stating", "reading", "that", ":") {
			f.quote(p)
		}
	case roleTitle:
		if !f.behind(p, "titled", "called", "named", "entitled", "title", ":") && !f.quote(p) && f.tool.input.required[p.name] {
			f.behind(p, "about", "for", "regarding", "that", "saying")
		}
	case roleSubject:
		f.behind(p, "about", "regarding", "re", "concerning", "on")
	case roleCode:
		if !f.quote(p) {
			f.behind(p, ":")
		}
	case roleQuery:
		if !f.quote(p) && f.c.mood == order {
			f.behind(p, "for", "about", "on", "regarding")
		}
	case roleOther:
		f.quote(p)
	}
}

// movesMoney reports whether the tool gives an amount to somebody.
func (f *filler) movesMoney() bool {
	return f.hasMoney() && slices.ContainsFunc(f.tool.input.props, func(p node) bool {
		return roleOf(p) == roleRecipient || roleOf(p) == roleCurrency || roleOf(p) == roleTo
	})
}

func (f *filler) hasMoney() bool {
	return slices.ContainsFunc(f.tool.input.props, func(p node) bool { return roleOf(p) == roleAmount })
}

// behind takes the text behind the first of the cues that has one.
func (f *filler) behind(p node, cues ...string) bool {
	for _, cue := range cues {
		for i := 1; i+1 < len(f.toks); i++ {
			if !f.toks[i].is(cue) || f.used[i] || f.used[i+1] {
				continue
			}
			k := i + 1
			for k < len(f.toks) && f.toks[k].is(":", "of", ",") || k == i+1 && f.toks[i].is("because") && k < len(f.toks) && f.toks[k].is("of") {
				k++
			}
			if k >= len(f.toks) || f.used[k] || f.toks[k].is("me", "us") && k+1 == len(f.toks) {
				continue
			}
			if f.toks[k].kind == quoted {
				f.set(p, strings.TrimSpace(f.toks[k].norm), i, k+1)
				f.evidence += 0.7
				return true
			}
			end := f.phraseEnd(k, false)
			if end == k {
				continue
			}
			text := f.text(k, end)
			if v, ok := cast(p, text); ok {
				f.set(p, v, i, end)
				f.evidence += 0.3
				return true
			}
		}
	}
	return false
}

// quote takes the first quotation that is left.
func (f *filler) quote(p node) bool {
	for i, t := range f.toks {
		if t.kind == quoted && !f.used[i] && strings.TrimSpace(t.norm) != "" {
			f.set(p, t.norm, i, i+1)
			f.evidence += 0.7
			return true
		}
	}
	return false
}

// bracketed takes what stands in parentheses.
func (f *filler) bracketed(p node) bool {
	for i := 0; i+2 < len(f.toks); i++ {
		if !f.toks[i].is("(") {
			continue
		}
		for k := i + 1; k < len(f.toks) && !f.used[k]; k++ {
			if f.toks[k].is(")") && k > i+1 {
				f.set(p, f.text(i+1, k), i, k+1)
				return true
			}
		}
	}
	return false
}

// object takes what the verb is about: "settle the invoice of ..." is about "the invoice".
func (f *filler) object(p node) {
	i := 1
	for i < len(f.toks) && f.used[i] {
		i++
	}
	end := f.phraseEnd(i, true)
	content := false
	for _, t := range f.toks[min(i, len(f.toks)):end] {
		content = content || !f.v.stop[t.norm] && !t.is("money", "payment", "amount", "sum", "funds", "transfer", "total", "pay")
	}
	if end > i && content {
		f.set(p, f.text(i, end), i, end)
	}
}

// leftover fills a required property with what no other took.
func (f *filler) leftover(p node) {
	if p.fallback != nil {
		f.args[p.name] = p.fallback
		return
	}
	if p.is("object") && len(p.props) > 0 {
		inner := &filler{v: f.v, c: f.c, tool: &toolView{input: p, schema: f.tool.schema}, toks: f.toks, used: f.used, args: map[string]any{}, cues: f.cues}
		for _, pass := range []func(node){inner.assigned, inner.listed, inner.typed, inner.named, inner.counted, inner.addressed, inner.phrased} {
			for _, q := range p.props {
				if _, done := inner.args[q.name]; !done && len(q.props) == 0 {
					pass(q)
				}
			}
		}
		if len(inner.args) > 0 {
			f.args[p.name] = inner.args
		}
		return
	}
	if p.is("array") && p.items != nil && p.items.is("string") {
		var values []any
		for i, t := range f.toks {
			if t.kind == quoted && !f.used[i] {
				values = append(values, t.norm)
				f.used[i] = true
			}
		}
		if len(values) == 0 {
			for _, part := range regexp.MustCompile(`,\s*(?:and\s+)?|\s+and\s+`).Split(f.rest(), -1) {
				if part = strings.TrimSpace(part); part != "" {
					values = append(values, part)
				}
			}
		}
		if len(values) > 0 {
			f.args[p.name] = values
		}
		return
	}
	if !p.is("string") && len(p.types) > 0 || len(p.enum) > 0 {
		return
	}
	switch roleOf(p) {
	case roleQuery:
		// A query is best asked in the user's own words.
		if text := f.rest(); text != "" && f.c.mood == order {
			f.args[p.name] = text
		} else if text := f.c.text(); text != "" {
			f.args[p.name] = text
		}
	case roleSubject, roleBody, roleTitle, rolePurpose:
		if text := f.rest(); text != "" {
			f.args[p.name] = text
			return
		}
		// One text may serve as both: "e-mail bob@x.example about the launch".
		for _, q := range f.tool.input.props {
			if r := roleOf(q); r == roleSubject || r == roleBody || r == roleTitle {
				if text, ok := f.args[q.name].(string); ok {
					f.args[p.name] = text
					return
				}
			}
		}
	case rolePlace:
		// "weather berlin"
		if text := f.rest(); text != "" && len(strings.Fields(text)) <= 3 {
			f.args[p.name] = text
			f.sure = true
		}
	case roleOther, roleUnit:
		if text := f.rest(); text != "" && p.pattern == "" {
			f.args[p.name] = text
		}
	}
}

// rest returns the longest stretch of words that nothing took, behind the verb and without the words that lead to it.
func (f *filler) rest() string {
	from, to := 0, 0
	for i := 0; i < len(f.toks); {
		if f.used[i] || i == 0 && f.c.mood == order {
			i++
			continue
		}
		start := i
		for i < len(f.toks) && !f.used[i] {
			i++
		}
		end := i
		leads := func(k int) bool {
			t := f.toks[k]
			return t.kind == mark || t.kind == word && (f.v.prepositions[t.norm] || f.tool.nameStems[t.stem]) ||
				t.is("and", "text", "string", "word", "words", "sentence", "phrase", "tool", "skill", "it", "following", "me", "us", "what", "is")
		}
		for start < end && (leads(start) || start+1 < end && f.toks[start].is("the", "a", "an", "this") && leads(start+1)) {
			start++
		}
		for start < end && (f.toks[end-1].kind == mark || f.v.prepositions[f.toks[end-1].norm] || f.toks[end-1].is("and", "the", "a")) {
			end--
		}
		if end-start > to-from {
			from, to = start, end
		}
	}
	if from >= to {
		return ""
	}
	text := f.text(from, to)
	f.take(from, to)
	return text
}
