package offline

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

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
		if !f.quote(p) && !f.behind(p, ":") && f.forced && !f.verbatim(p, "run", "execute") {
			f.behind(p, "for", "matching")
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

// verbatim takes everything behind one of the verbs as it stands, but for the end of the sentence: a command is no prose.
func (f *filler) verbatim(p node, verbs ...string) bool {
	for i := 0; i+1 < len(f.toks); i++ {
		if !f.toks[i].is(verbs...) {
			continue
		}
		from, to := i+1, len(f.toks)
		for from < to && f.toks[from].is("the", "this", "command", "following") {
			from++
		}
		for to > from && f.toks[to-1].is(".", "!", "?") {
			to--
		}
		if from == to || slices.Contains(f.used[from:to], true) {
			continue
		}
		f.set(p, f.text(from, to), i, to)
		f.evidence += 0.5
		return true
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
