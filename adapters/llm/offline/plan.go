package offline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/ports/tool"
)

// step is what the model does about one clause: call a tool, or say something.
type step struct {
	clause *clause
	tool   *toolView
	args   json.RawMessage
	search bool   // the tool is asked for knowledge
	say    string // instead of a call
}

const (
	// maxTokens is how many words and marks a message may have.
	maxTokens = 2500
	// maxClause is how many of them one request may have.
	maxClause = 160
)

// plan decides about every clause of a message. It depends on nothing else, so that each answer of a turn comes to the same plan.
func (m *model) plan(message string, tools []*toolView) []step {
	if steps := m.addressed(message, tools); steps != nil {
		return steps
	}
	var steps []step
	var clauses []*clause
	toks := 0
	if len(message) <= maxMessage {
		clauses, toks = split(m.v, tools, message)
	}
	if len(message) > maxMessage || toks > maxTokens {
		return []step{{say: fmt.Sprintf("Your message is too long for me, so I did nothing: I read %d characters and %d words at most.", maxMessage, maxTokens)}}
	}
	introduced := false
	for _, c := range clauses {
		if len(steps) > 0 && steps[len(steps)-1].tool != nil && followsUp(c) {
			continue
		}
		s := m.decide(c, tools)
		if s.tool == nil && s.say == "" {
			if introduced {
				continue
			}
			introduced = true
			s.say = m.introduce(tools)
		}
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		steps = append(steps, step{say: m.introduce(tools)})
	}
	return steps
}

// followsUp reports whether a clause only asks for what is reported anyway: "tell me when you're done", "tell me what it says".
func followsUp(c *clause) bool {
	if c.mood != question {
		return false
	}
	text := strings.ToLower(strings.Join(words(c.text()), " "))
	for _, p := range []string{
		"when you re done", "when you are done", "when it s done", "when it is done", "when done", "once you re done", "once it s done", "how it went",
		"how it goes", "what it says", "what you find", "what you found", "what you get", "what happened", "what happens", "the result", "the results",
		"the outcome", "the answer", "about it", "it", "that", "whether it worked", "if it worked", "what the result is", "what it is", "what it returns",
		"what comes back", "what the answer is",
	} {
		if text == p {
			return true
		}
	}
	return false
}

// candidate is a tool that a clause may mean.
type candidate struct {
	tool *toolView
	filled
	wanted float64 // how much the clause sounds like the tool, without its arguments
	score  float64
}

func (m *model) decide(c *clause, tools []*toolView) step {
	s := step{clause: c}
	switch c.mood {
	case withdrawn:
		s.say = fmt.Sprintf("You took back %q, so I leave it.", c.text())
		return s
	case forbidden:
		s.say = fmt.Sprintf("Understood: %q. I do nothing of the kind.", c.whole())
		return s
	case postponed:
		s.say = fmt.Sprintf("I did nothing about %q: I only act at once and without conditions, and cannot judge %q.", c.whole(), c.reason)
		return s
	}
	if len(c.toks) > maxClause {
		s.say = fmt.Sprintf("I did nothing about the part that begins with %q: it is too long for me. Please say it in fewer words.", slice(c.src, c.toks[:10]))
		return s
	}
	if len(c.toks) == 0 || selfish(c) {
		return s
	}
	forced, used, named := m.named(c, tools)
	if c.mood == statement {
		// "word_count: 'a b c'"
		if t, u := m.heading(c, tools); t != nil {
			forced, used, c.mood = t, u, order
		}
	}
	if forced != nil && c.mood == order {
		s.tool = forced
		f := fill(m.v, c, forced, used, true)
		if f.doubt == "" && f.args != nil {
			s.args = f.args
			return s
		}
		s.tool, s.say = nil, lacking(c, forced, f)
		return s
	}
	if named != "" && c.mood == order {
		s.say = fmt.Sprintf("I have no tool named %q. %s", named, m.offers(tools))
		return s
	}
	if forced != nil && c.mood == question && !c.past {
		s.say = fmt.Sprintf("%s: %s", forced.spec.Name, strings.TrimSpace(forced.spec.Description))
		return s
	}

	best, nearest := m.match(c, tools)
	if best != nil && best.doubt == "" {
		s.tool, s.args = best.tool, best.args
		s.search = best.tool.knowledge() > 0
		return s
	}
	if best != nil {
		s.say = lacking(c, best.tool, best.filled)
		return s
	}
	if nearest != nil && nearest.tool.changes {
		s.say = lacking(c, nearest.tool, nearest.filled)
		return s
	}
	if t := searcher(tools); t != nil && m.asks(c) {
		args := map[string]any{t.queryProp(): c.text()}
		if raw, err := t.valid(args); err == nil {
			s.tool, s.args, s.search = t, raw, true
			return s
		}
	}
	switch {
	case nearest != nil:
		s.say = lacking(c, nearest.tool, nearest.filled)
	case c.mood == order:
		s.say = fmt.Sprintf("I cannot do %q. %s", c.text(), m.introduce(tools))
	case c.mood == question:
		s.say = fmt.Sprintf("I do not know the answer to %q. %s", c.text(), m.introduce(tools))
	}
	return s
}

// lacking says why an order was not carried out.
func lacking(c *clause, t *toolView, f filled) string {
	if f.doubt != "" {
		return fmt.Sprintf("I did not use %s for %q: %s. Please say it in one definite request.", t.spec.Name, c.text(), f.doubt)
	}
	return fmt.Sprintf("I did not use %s for %q: I found no %s in it.", t.spec.Name, c.text(), strings.Join(f.missing, " and no "))
}

// selfish reports whether a clause asks about the model itself.
func selfish(c *clause) bool {
	text := strings.ToLower(strings.Join(words(c.text()), " "))
	for _, p := range []string{
		"who are you", "what are you", "what can you do", "what do you do", "help", "are you an ai", "are you a language model", "are you an llm",
		"are you a bot", "are you human", "which model are you", "what model are you", "introduce yourself", "what is your name", "what tools do you have",
		"which tools do you have", "what else can you do", "what skills do you have", "which skills do you have", "are you chatgpt", "are you claude",
	} {
		if text == p {
			return true
		}
	}
	return false
}

// named finds a tool that the clause calls by its name: "use the word_count tool on ...", "... with the calculator skill". It marks
// the words that do so. Without such a tool it returns the name that was asked for.
func (m *model) named(c *clause, tools []*toolView) (found *toolView, used []bool, unknown string) {
	used = make([]bool, len(c.toks))
	length := 0
	for _, t := range tools {
		for i := range c.toks {
			n := nameAt(c.toks[i:], t)
			if n == 0 || n < length {
				continue
			}
			start, end := i, i+n
			tail := end < len(c.toks) && c.toks[end].is("tool", "skill", "plugin", "function")
			if tail {
				end++
			}
			if start > 0 && c.toks[start-1].is("tool", "skill", "plugin", "function") {
				start--
				tail = true
			}
			if start > 0 && c.toks[start-1].is("the", "your", "a", "my", "our") {
				start--
			}
			lead := start > 0 && (c.toks[start-1].is("use", "call", "run", "invoke", "using", "with", "via", "try", "apply", "execute", "through"))
			exact := c.toks[i].text == t.spec.Name && strings.ContainsAny(t.spec.Name, "_-")
			if !(lead && (tail || exact || c.toks[start-1].is("use", "using", "via", "call", "invoke")) || tail && start > 0 || exact) {
				continue
			}
			if lead {
				start--
			}
			found, length = t, n
			used = make([]bool, len(c.toks))
			for k := start; k < end; k++ {
				used[k] = true
			}
			// "use X to compute ...": the verb behind is not an argument.
			if end+1 < len(c.toks) && c.toks[end].is("to", "and") && c.toks[end+1].kind == word && len(m.v.classes[c.toks[end+1].norm]) > 0 {
				used[end], used[end+1] = true, true
			}
		}
	}
	if found == nil {
		if t, rest := m.chosen(c, tools); t != nil {
			return t, rest, ""
		}
	}
	if found != nil || len(c.toks) < 3 || !c.toks[0].is("use", "call", "invoke", "run") {
		return found, used, ""
	}
	for i := 1; i < len(c.toks) && i < 6; i++ {
		if c.toks[i].is("tool", "skill", "plugin") && i > 1 {
			k := 1
			if c.toks[k].is("the", "your", "a", "my") {
				k++
			}
			if k < i {
				return nil, used, slice(c.src, c.toks[k:i])
			}
		}
	}
	return nil, used, ""
}

// chosen finds a tool that takes one of several named things, when the clause names one of them by what the tool calls it: "use the
// invoices skill to ..." for a tool whose property "skill" may be "invoices". Everything but that name is marked: it is what the thing
// is wanted for.
func (m *model) chosen(c *clause, tools []*toolView) (*toolView, []bool) {
	if len(c.toks) < 3 || !c.toks[0].is("use", "apply", "follow", "load", "open", "read", "with", "using", "try") {
		return nil, nil
	}
	for _, t := range tools {
		for _, p := range t.input.props {
			if !t.input.required[p.name] || t.changes {
				continue
			}
			for _, v := range p.enum {
				text, ok := v.(string)
				if !ok {
					continue
				}
				thing := &toolView{spec: tool.Spec{Name: text}, name: words(text)}
				for i := 1; i < len(c.toks); i++ {
					n := nameAt(c.toks[i:], thing)
					if n == 0 || !c.toks[i-1].is(p.name) && !(i+n < len(c.toks) && c.toks[i+n].is(p.name)) {
						continue
					}
					used := make([]bool, len(c.toks))
					for k := range used {
						used[k] = k < i || k >= i+n
					}
					return t, used
				}
			}
		}
	}
	return nil, nil
}

// heading finds a tool whose name begins the clause, before a colon or as only identifiers are spelled.
func (m *model) heading(c *clause, tools []*toolView) (*toolView, []bool) {
	for _, t := range tools {
		n := nameAt(c.toks, t)
		if n == 0 || n >= len(c.toks) || !c.toks[n].is(":") && (c.toks[0].text != t.spec.Name || !strings.ContainsAny(t.spec.Name, "_-")) {
			continue
		}
		used := make([]bool, len(c.toks))
		for i := range n {
			used[i] = true
		}
		return t, used
	}
	return nil, nil
}

// nameAt returns how many tokens at the start of toks spell the tool's name.
func nameAt(toks []token, t *toolView) int {
	if strings.EqualFold(toks[0].text, t.spec.Name) || toks[0].kind == quoted && strings.EqualFold(toks[0].norm, t.spec.Name) {
		return 1
	}
	if len(t.name) == 0 || len(toks) < len(t.name) {
		return 0
	}
	joined := words(toks[0].text)
	if toks[0].kind == word && slices.Equal(joined, t.name) {
		return 1
	}
	for i, w := range t.name {
		if toks[i].kind != word || toks[i].norm != w {
			return 0
		}
	}
	return len(t.name)
}

// match returns the tool that fits the clause best, with its arguments, and the one that it sounds most like but does not fit.
func (m *model) match(c *clause, tools []*toolView) (best, nearest *candidate) {
	for _, t := range tools {
		wanted, ok := m.wanted(c, t)
		if !ok {
			continue
		}
		used := make([]bool, len(c.toks))
		if c.mood == order && len(used) > 0 {
			used[0] = true
		}
		cand := &candidate{tool: t, filled: fill(m.v, c, t, used, false), wanted: wanted}
		cand.score = wanted + cand.evidence
		if cand.args == nil {
			if wanted >= 2.5 && (nearest == nil || wanted+cand.evidence > nearest.score) {
				nearest = cand
			}
			continue
		}
		if c.mood != order && !cand.specific && len(t.input.required) > 0 {
			continue
		}
		if cand.score >= 2.5 && (best == nil || cand.score > best.score) {
			best = cand
		}
	}
	// A tool that sounds much more like the order than the one that fits is what the user meant: better nothing than something else.
	if best != nil && nearest != nil && best.tool.changes && nearest.wanted > best.score {
		return nil, nearest
	}
	return best, nearest
}

// wanted measures how much a clause sounds like a tool, and whether it may call it at all.
func (m *model) wanted(c *clause, t *toolView) (float64, bool) {
	verb := 0.0
	if c.mood == order {
		verb = m.verbFit(c, t)
	}
	object, inName := m.objectFit(c, t)
	hasFormula := slices.ContainsFunc(c.toks, func(t token) bool { return t.kind == formula })
	computes := hasFormula && slices.ContainsFunc(t.input.props, func(p node) bool { return roleOf(p) == roleFormula })
	if c.mood == order && verb > 0 {
		// A tool that only shares a verb's broad meaning needs something else in common: an argument, found by fill, or a word.
		return verb + object, true
	}
	if t.changes {
		return 0, false
	}
	reads := slices.ContainsFunc(c.toks, func(t token) bool { return t.kind == link }) && t.lookup &&
		slices.ContainsFunc(t.input.props, func(p node) bool { return roleOf(p) == roleURL })
	if computes || reads || m.converts(c, t) {
		return 2 + object, true
	}
	if c.mood == question && c.past && !t.lookup || c.mood == order {
		return 0, false
	}
	if c.mood == statement && (len(c.toks) == 0 || m.v.pronouns[c.toks[0].norm]) {
		return 0, false
	}
	if t.knowledge() > 0 && !inName {
		return 0, false
	}
	return 1 + object, object > 0 && (inName || object >= 1.4)
}

// converts reports whether a clause asks how many of one unit some of another are ("how many km are 10 miles", "what is 10 miles in
// km"), and the tool takes a value, a unit and a unit.
func (m *model) converts(c *clause, t *toolView) bool {
	asked := false
	for i, tok := range c.toks {
		if tok.kind != number || i+1 >= len(c.toks) || c.toks[i+1].kind != word {
			continue
		}
		asked = asked || begins(c.toks, []string{"how", "many"}) || i+3 < len(c.toks) && c.toks[i+2].is("in", "to", "into")
	}
	if !asked || c.mood != question {
		return false
	}
	var value, from, to bool
	for _, p := range t.input.props {
		value = value || p.is("number") || p.is("integer")
		from = from || roleOf(p) == roleFrom
		to = to || roleOf(p) == roleTo
	}
	return value && from && to
}

// verbFit compares the order's verb with the tool's.
func (m *model) verbFit(c *clause, t *toolView) float64 {
	s := stem(c.verb)
	fit := 0.0
	switch {
	case t.nameStems[s] && t.verbs[s]:
		fit = 4
	case t.verbs[s]:
		fit = 3
	case t.nameStems[s]:
		fit = 2.5
	}
	classes := slices.Clone(m.v.classes[c.verb])
	if m.v.light[c.verb] {
		// "make a payment of ..." is an order to pay, and "make a note about the payment" is none.
		for _, tok := range c.toks[1:min(len(c.toks), 5)] {
			if tok.kind != word || m.v.prepositions[tok.norm] {
				break
			}
			if k, ok := m.v.nominals[tok.norm]; ok {
				classes = append(classes, k)
				break
			}
		}
	}
	if t.classes["pay"] && slices.Contains(classes, "pay") && !slices.Contains([]string{"pay", "settle"}, c.verb) && !m.sumFirst(c) {
		return 0
	}
	for _, k := range classes {
		if t.classes[k] && k != "use" {
			fit = max(fit, 2)
		}
	}
	if fit == 0 && t.descStems[s] && !m.v.stop[c.verb] && !m.v.generic[s] && !t.changes {
		fit = 1
	}
	return fit
}

// sumFirst reports whether what is to be sent, given or bought is money or has its price: nothing but names and words for money may
// stand before a sum that is sent. "Send a reminder about 20 USDC to ..." sends no money.
func (m *model) sumFirst(c *clause) bool {
	if slices.Contains(m.v.classes[c.verb], "buy") {
		return true
	}
	for _, tok := range c.toks[min(1, len(c.toks)):] {
		switch {
		case tok.kind == amount || tok.kind == number:
			return true
		case tok.kind == word && !m.v.determiners[tok.norm] && !capital(tok.text) &&
			!tok.is("payment", "transfer", "sum", "amount", "total", "money", "funds", "donation", "remittance", "tip", "of", "to", "with", "over", "quick", "small", "out", "for"):
			return false
		}
	}
	return true
}

// objectFit counts the words that a clause shares with a tool beside the verb.
func (m *model) objectFit(c *clause, t *toolView) (score float64, inName bool) {
	seen := map[string]bool{}
	for i, tok := range c.toks {
		if tok.kind != word || m.v.stop[tok.norm] || m.v.generic[tok.stem] || seen[tok.stem] || i == 0 && c.mood == order {
			continue
		}
		seen[tok.stem] = true
		switch {
		case t.nameStems[tok.stem]:
			score += 2
			inName = true
		case t.propStems[tok.stem]:
			score += 1
		case t.descStems[tok.stem]:
			score += 0.7
		}
	}
	return score, inName
}

// searcher returns the tool that searches knowledge, if one is offered.
func searcher(tools []*toolView) *toolView {
	var best *toolView
	for _, t := range tools {
		if k := t.knowledge(); k > 0 && (best == nil || k > best.knowledge()) {
			best = t
		}
	}
	return best
}

// asks reports whether a clause may be looked up in what the agent was taught.
func (m *model) asks(c *clause) bool {
	content := 0
	for _, t := range c.toks {
		if t.kind != mark && !(t.kind == word && m.v.stop[t.norm]) {
			content++
		}
	}
	switch c.mood {
	case question:
		return content > 0
	case order:
		for _, k := range m.v.classes[c.verb] {
			if !m.v.lexicon.changes[k] {
				return content > 1
			}
		}
		return len(m.v.classes[c.verb]) == 0 && content > 1
	default:
		return content > 0 && c.toks[0].kind == word && !m.v.pronouns[c.toks[0].norm]
	}
}

// maxOffered bounds how many tools an introduction names.
const maxOffered = 12

// introduce says what the model is, and what it can do.
func (m *model) introduce(tools []*toolView) string {
	return "I am Bureau's offline model: a small program that matches requests to tools by rules, not a language model. " + m.offers(tools)
}

func (m *model) offers(tools []*toolView) string {
	if len(tools) == 0 {
		return "I have no tools here, so there is nothing that I can do for you."
	}
	var parts []string
	for i, t := range tools {
		if i == maxOffered {
			parts = append(parts, fmt.Sprintf("and %d more", len(tools)-i))
			break
		}
		about, _, _ := strings.Cut(strings.TrimSpace(t.spec.Description), "\n")
		if first, _, ok := strings.Cut(about, ". "); ok {
			about = first
		}
		parts = append(parts, strings.TrimRight(fmt.Sprintf("%s (%s)", t.spec.Name, strings.TrimRight(about, ".")), " ()"))
		if about != "" {
			parts[i] += ")"
		}
	}
	return "I can use these tools: " + strings.Join(parts, ", ") + "."
}
