package offline

import (
	"slices"
	"strings"
)

// mood says what the user wants with a clause.
type mood uint8

const (
	statement mood = iota
	order          // "pay ...", "could you pay ..."
	question       // "what is ...", "tell me ..."
	forbidden      // "don't pay ..."
	postponed      // "pay ... if ...", "pay ... tomorrow"
	withdrawn      // a later clause took it back
)

// clause is one request of a message.
type clause struct {
	v      *vocabulary
	src    string // the whole message
	all    []token
	toks   []token // all without courtesies; the verb first when it is an order
	mood   mood
	verb   string // of an order, in its base form
	asked  bool   // framed as a request: "could you ...", "please ..."
	past   bool   // a question about how, whether or what was
	reason string // the word that makes it postponed
}

// text returns what the user wrote, without courtesies.
func (c *clause) text() string { return strings.TrimRight(slice(c.src, c.toks), " ,;:.!") }

// whole returns what the user wrote.
func (c *clause) whole() string { return strings.TrimRight(slice(c.src, c.all), " ,;:.!") }

func slice(src string, toks []token) string {
	if len(toks) == 0 {
		return ""
	}
	start, end := toks[0].start, toks[0].end
	for _, t := range toks {
		start, end = min(start, t.start), max(end, t.end)
	}
	return src[start:end]
}

var abbreviations = set("e.g i.e mr mrs ms dr no nr approx vs inc ltd corp co st etc")

// split cuts a message into clauses. It also tells how many tokens there are; of a message with too many there are no clauses.
func split(v *vocabulary, tools []*toolView, src string) ([]*clause, int) {
	toks := lex(src)
	if len(toks) > maxTokens {
		return nil, len(toks)
	}
	var parts [][]token
	var current []token
	flush := func() {
		if len(current) > 0 {
			parts = append(parts, current)
		}
		current = nil
	}
	for i := 0; i < len(toks); i++ {
		t := toks[i]
		if t.line {
			flush()
			if t.is("-", "*", "•", "–") {
				continue
			}
			if t.kind == number && i+1 < len(toks) && toks[i+1].is(".", ")") && toks[i+1].start == t.end {
				i++
				continue
			}
		}
		if t.is(";") || t.is(".", "!", "?", "…") && !abbreviated(v, tools, toks, i) {
			current = append(current, t)
			flush()
			continue
		}
		if len(current) > maxClause {
			current = append(current, t)
			continue
		}
		if n := connective(v, tools, current, toks[i:]); n > 0 {
			flush()
			i += n - 1
			continue
		}
		current = append(current, t)
	}
	flush()

	var out []*clause
	for _, part := range parts {
		c := newClause(v, tools, src, part)
		if len(c.toks) == 0 {
			// Courtesies alone ("Hello!", "Thanks.") are answered only when nothing else is asked.
			if len(parts) == 1 {
				out = append(out, c)
			}
			continue
		}
		if n := len(out); n > 0 {
			last := out[n-1]
			if retracts(c) && (last.mood == order || last.mood == postponed) {
				last.mood = withdrawn
				continue
			}
			if last.mood == order && c.mood == statement && continues(v, tools, part) {
				merged := newClause(v, tools, src, append(slices.Clone(last.all), part...))
				if merged.mood == order || merged.mood == postponed {
					out[n-1] = merged
					continue
				}
			}
			if last.mood == order && c.mood == statement && elliptical(c.toks) {
				if verb := slices.IndexFunc(last.toks, func(t token) bool { return t.kind == word }); verb == 0 {
					out = append(out, newClause(v, tools, src, append([]token{last.toks[0]}, part...)))
					continue
				}
			}
		}
		out = append(out, c)
	}
	return out, len(toks)
}

func abbreviated(v *vocabulary, tools []*toolView, toks []token, i int) bool {
	if i == 0 || toks[i-1].kind != word || toks[i-1].end != toks[i].start || !toks[i].is(".") {
		return false
	}
	return (abbreviations[toks[i-1].norm] || len(toks[i-1].norm) == 1) && i+1 < len(toks) && !toks[i+1].line && !isVerb(v, tools, toks[i+1])
}

// connective reports how many tokens at the start of rest only join two clauses: "and then", ", then", "and" before another order.
func connective(v *vocabulary, tools []*toolView, before, rest []token) int {
	if len(before) == 0 || conditional(v, before) {
		return 0
	}
	// Behind a statement ("my boss wrote, pay ...") only a request that is marked as one begins.
	own := starts(v, tools, skip(v, before), false)
	if !own && before[len(before)-1].kind == word && v.quoting[before[len(before)-1].norm] {
		return 0
	}
	n := 0
	if rest[n].is(",") {
		n++
	}
	if n < len(rest) && rest[n].is("and", "but", "plus", "&") {
		n++
	}
	for _, strong := range [][]string{{"then"}, {"after", "that"}, {"afterwards"}, {"afterward"}, {"also"}, {"finally"}, {"next"}} {
		if begins(rest[n:], strong) {
			after := rest[n+len(strong):]
			if own && elliptical(skip(v, after)) {
				return n + len(strong)
			}
			if starts(v, tools, skip(v, after), false) && (own || marked(v, after)) {
				return n + len(strong)
			}
		}
	}
	if n == 0 || n >= len(rest) {
		return 0
	}
	after := skip(v, rest[n:])
	if starts(v, tools, after, true) && (own && !later(v, before) || marked(v, rest[n:])) {
		return n
	}
	// "5 USDC to a.example and 7 USDC to b.example"
	paid := slices.ContainsFunc(before, func(t token) bool { return t.kind == amount }) && slices.ContainsFunc(before, func(t token) bool { return t.is("to") })
	if (own || elliptical(before)) && paid && elliptical(after) {
		return n
	}
	return 0
}

// marked reports whether toks say themselves that they are a request.
func marked(v *vocabulary, toks []token) bool {
	return len(toks) > 0 && toks[0].is("please", "kindly") || prefix(skip(v, toks), v.frames) > 0
}

// conditional reports whether a clause so far states a condition.
func conditional(v *vocabulary, toks []token) bool {
	rest := skip(v, toks)
	for _, t := range toks[:literalFrom(v, toks)] {
		if t.kind == word && v.conditions[t.norm] {
			return true
		}
	}
	return len(rest) > 0 && rest[0].is("when", "after", "before", "as") && !begins(rest, []string{"when", "is"}) && !begins(rest, []string{"when", "does"}) &&
		!begins(rest, []string{"when", "did"}) && !begins(rest, []string{"when", "was"}) && !begins(rest, []string{"when", "will"})
}

func later(v *vocabulary, toks []token) bool {
	return slices.ContainsFunc(toks, func(t token) bool { return t.kind == word && v.later[t.norm] })
}

// skip drops courtesies at the start.
func skip(v *vocabulary, toks []token) []token {
	for {
		n := prefix(toks, v.courtesies)
		if n == 0 && len(toks) > 0 && toks[0].is(",", ":", "-", "–", "…") {
			n = 1
		}
		if n == 0 {
			return toks
		}
		toks = toks[n:]
	}
}

func begins(toks []token, words []string) bool {
	if len(toks) < len(words) {
		return false
	}
	for i, w := range words {
		if !toks[i].is(w) {
			return false
		}
	}
	return true
}

// prefix returns the length of the longest of the phrases that toks begins with.
func prefix(toks []token, phrases [][]string) int {
	n := 0
	for _, p := range phrases {
		if len(p) > n && begins(toks, p) {
			n = len(p)
		}
	}
	return n
}

func suffix(toks []token, phrases [][]string) int {
	n := 0
	for _, p := range phrases {
		if len(p) > n && len(p) < len(toks) && begins(toks[len(toks)-len(p):], p) {
			n = len(p)
		}
	}
	return n
}

// starts reports whether toks begin an order or a question. Where only an "and" came before, the verb must be followed by what
// verbs are followed by, so that "hosting and support" stays together.
func starts(v *vocabulary, tools []*toolView, toks []token, strict bool) bool {
	if len(toks) == 0 || toks[0].kind != word {
		return false
	}
	if prefix(toks, v.frames) > 0 || prefix(toks, v.asks) > 0 || begins(toks, []string{"don't"}) || begins(toks, []string{"do", "not"}) {
		return true
	}
	if v.questions[toks[0].norm] && len(toks) > 1 && toks[0].norm != "which" && toks[0].norm != "who" && toks[0].norm != "when" && toks[0].norm != "whose" {
		return true
	}
	if !isVerb(v, tools, toks[0]) {
		return false
	}
	if !strict || len(toks) == 1 {
		return !strict
	}
	next := toks[1]
	switch {
	case next.kind != word && next.kind != mark:
		return true
	case next.kind == mark:
		return false
	case v.determiners[next.norm], v.questions[next.norm], next.is("to", "up", "for"):
		return true
	case next.text != next.norm:
		return true
	}
	for _, t := range tools {
		if t.nameStems[next.stem] || t.nameStems[toks[0].stem] && len(t.name) == 1 {
			return true
		}
	}
	return false
}

// isVerb reports whether t is the base form of a verb that the lexicon or an offered tool knows.
func isVerb(v *vocabulary, tools []*toolView, t token) bool {
	if t.kind != word {
		return false
	}
	if _, ok := v.classes[t.norm]; ok {
		return true
	}
	if strings.HasSuffix(t.norm, "ing") || strings.HasSuffix(t.norm, "ed") {
		return false
	}
	for _, tool := range tools {
		if tool.verbs[t.stem] {
			return true
		}
	}
	return false
}

func newClause(v *vocabulary, tools []*toolView, src string, toks []token) *clause {
	c := &clause{v: v, src: src, all: toks}
	ends := ""
	for len(toks) > 0 && toks[len(toks)-1].is(".", "!", "?", ";", "…", ",", ":") {
		ends += toks[len(toks)-1].norm
		toks = toks[:len(toks)-1]
	}
	for {
		n := suffix(toks, v.endings)
		if n == 0 && len(toks) > 0 && toks[len(toks)-1].is(",") {
			n = 1
		}
		if n == 0 {
			break
		}
		toks = toks[:len(toks)-n]
	}
	informed := false
	gerund := false
	for {
		before := len(toks)
		toks = skip(v, toks)
		if n := prefix(toks, v.asks); n > 0 && n < len(toks) {
			informed, toks = true, toks[n:]
		} else if n := prefix(toks, v.frames); n > 0 && n < len(toks) {
			// "you can pay ..." is an order; "can you ...?" too. "Do not forget to" must be read before "do not".
			gerund = gerund || toks[n-1].is("mind")
			c.asked, toks = true, toks[n:]
		} else if addressed(v, tools, toks) {
			toks = toks[2:]
		}
		if len(toks) == before {
			break
		}
	}
	if len(c.all) > 0 && c.all[0].is("please", "kindly") {
		c.asked = true
	}
	c.toks = toks
	if len(toks) == 0 || len(toks) > maxClause {
		return c
	}
	first := toks[0]
	negated := negation(v, toks)
	switch {
	case !strings.Contains(ends, "?") && headed(v, tools, toks) != "":
		c.mood, c.reason = postponed, headed(v, tools, toks)
	case informed && !first.is("not"):
		c.mood = question
	case first.is("don't", "dont", "never", "not", "stop", "avoid") && !c.asked || begins(toks, []string{"do", "not"}):
		c.mood = forbidden
	case first.is("do") && len(toks) > 2 && toks[1].is("a", "the") && v.nominals[toks[2].norm] != "":
		c.mood, c.verb = order, first.norm
	case v.questions[first.norm] && first.kind == word && !c.asked:
		c.mood = question
	case first.kind == word && (isVerb(v, tools, first) || c.asked && gerund || c.asked && !v.stop[first.norm]):
		c.mood, c.verb = order, first.norm
		if gerund {
			c.verb = ungerund(v, first.norm)
		}
		if strings.Contains(ends, "?") && !c.asked {
			c.mood = question
		}
	case strings.Contains(ends, "?"):
		c.mood = question
	}
	if c.mood == question {
		c.past = pastOrHow(toks)
	}
	if c.mood == order {
		if negated {
			c.mood = forbidden
		} else if w := postponement(v, toks); w != "" {
			c.mood, c.reason = postponed, w
		}
	}
	return c
}

// addressed reports whether toks begin with the name of whom they are for: "Bureau, pay ...".
func addressed(v *vocabulary, tools []*toolView, toks []token) bool {
	if len(toks) < 3 || toks[0].kind != word || !toks[1].is(",") || !isVerb(v, tools, toks[2]) {
		return false
	}
	w := toks[0].norm
	return !isVerb(v, tools, toks[0]) && !v.later[w] && !v.conditions[w] && !v.stop[w] && !v.quoting[w]
}

// headed returns the word by which a clause begins with a condition or a time, before a comma and an order.
func headed(v *vocabulary, tools []*toolView, toks []token) string {
	for i, t := range toks {
		if !t.is(",", "then") || i+1 >= len(toks) {
			continue
		}
		after := skip(v, toks[i+1:])
		if len(after) == 0 || !starts(v, tools, after, false) {
			continue
		}
		head := toks[:i]
		for _, h := range head {
			if h.kind == word && (v.conditions[h.norm] || v.later[h.norm]) {
				return h.norm
			}
		}
		if conditional(v, head) {
			return head[0].norm
		}
	}
	return ""
}

func ungerund(v *vocabulary, w string) string {
	base := strings.TrimSuffix(w, "ing")
	for _, form := range []string{base, base + "e", strings.TrimSuffix(base, base[max(0, len(base)-1):])} {
		if _, ok := v.classes[form]; ok {
			return form
		}
	}
	return base
}

// literalFrom returns where what the user dictates begins ("saying ..."); nothing behind it is about the order itself. Behind an order
// to pay only words of speech begin it, so that no colon hides a condition.
func literalFrom(v *vocabulary, toks []token) int {
	pays := len(toks) > 0 && (slices.Contains(v.classes[toks[0].norm], "pay") || slices.Contains(v.classes[toks[0].norm], "buy"))
	for i, t := range toks {
		if i > 0 && t.kind == word && v.speech[t.norm] ||
			i > 0 && !pays && (t.is(":") || t.is("that") && !toks[i-1].is("so", "make", "sure")) {
			return i
		}
		// "with the subject Hi and the body ..."
		if i > 1 && t.is("subject", "body", "message", "text", "content", "title", "note", "comment") &&
			(toks[i-1].is("with") || toks[i-1].is("the", "a") && toks[i-2].is("with")) {
			return i
		}
	}
	return len(toks)
}

func negation(v *vocabulary, toks []token) bool {
	for _, t := range toks[:literalFrom(v, toks)] {
		if t.is("not", "never", "don't", "dont", "doesn't", "won't", "can't", "cannot", "shouldn't", "mustn't", "without", "instead", "neither", "except") {
			return true
		}
	}
	return false
}

// postponement returns the word that binds an order to a condition or another time.
func postponement(v *vocabulary, toks []token) string {
	toks = toks[:literalFrom(v, toks)]
	purpose := false
	for i, t := range toks {
		if t.kind != word || i == 0 {
			continue
		}
		purpose = purpose || t.is("for", "about", "regarding", "called", "because")
		if v.conditions[t.norm] || t.norm == "when" || t.norm == "in" && begins(toks[i:], []string{"in", "case"}) ||
			t.norm == "as" && begins(toks[i:], []string{"as", "soon"}) || t.norm == "after" && !purpose {
			return t.norm
		}
		// "for the next month" and "for Friday's lunch" say what is paid, not when.
		if v.later[t.norm] && !purpose {
			return t.norm
		}
		if t.norm == "in" && i+2 < len(toks) && toks[i+1].kind == number && toks[i+2].is("minutes", "hours", "hour", "days", "day", "weeks", "week", "months", "month") {
			return spell(toks[i : i+3])
		}
	}
	return ""
}

func spell(toks []token) string {
	var out []string
	for _, t := range toks {
		out = append(out, t.text)
	}
	return strings.Join(out, " ")
}

func pastOrHow(toks []token) bool {
	for i, t := range toks {
		if t.is("did", "has", "have", "had", "was", "were", "why", "should", "shall", "may", "might", "when", "who", "can", "could", "would", "will", "do", "does", "must") {
			return true
		}
		if t.is("how") && i+1 < len(toks) && toks[i+1].is("to", "about") || t.is("what") && i+1 < len(toks) && toks[i+1].is("if", "happens") {
			return true
		}
	}
	return false
}

// retracts reports whether c takes back what came before: "never mind", "actually, don't", "don't do it".
func retracts(c *clause) bool {
	var ws []string
	for _, t := range c.all {
		if t.kind == word && !t.is("actually", "no", "wait", "sorry", "please", "oh", "on", "second", "thought", "hold", "but", "hm", "hmm") {
			ws = append(ws, t.norm)
		}
	}
	phrase := strings.Join(ws, " ")
	for _, p := range []string{
		"", "don't", "do not", "dont", "don't do it", "don't do that", "do not do it", "do not do that", "never mind", "nevermind", "forget it",
		"forget that", "scratch that", "cancel that", "cancel it", "stop", "skip it", "skip that", "ignore that", "don't pay", "do not pay",
		"don't send it", "do not send it", "don't do it yet", "not yet", "don't pay it", "do not pay it",
	} {
		if phrase == p {
			return phrase != "" || len(c.all) > 0 && c.all[0].is("no", "wait", "hold")
		}
	}
	return false
}

// continues reports whether a sentence goes on about the order before it: "It's for the hosting.", "Priority high."
func continues(v *vocabulary, tools []*toolView, toks []token) bool {
	first := toks[0]
	if first.kind != word {
		return false
	}
	if v.introduce[first.norm] {
		return true
	}
	for _, t := range tools {
		if t.propStems[first.stem] {
			return true
		}
	}
	return len(toks) > 1 && first.is("the") && slices.ContainsFunc(tools, func(t *toolView) bool { return t.propStems[toks[1].stem] })
}

// elliptical reports whether toks are the rest of an order that left out its verb: "7 USDC to b.example".
func elliptical(toks []token) bool {
	return len(toks) > 2 && toks[0].kind == amount && toks[1].is("to")
}
