package offline

import (
	"regexp"
	"slices"
	"strings"
)

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
