package offline

import (
	"slices"
)

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
