package offline

import (
	"slices"
	"strings"
)

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
