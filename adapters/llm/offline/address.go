package offline

import (
	"regexp"
	"slices"
	"strings"
)

// somebody is a tool that takes a message to one of several: beside the name, which is one of a list, it needs a text alone.
type somebody struct {
	tool  *toolView
	name  string // the property that says whom
	names []string
	body  string // the property that takes the message
}

// reaches returns the tools that take messages to somebody.
func reaches(tools []*toolView) []somebody {
	var out []somebody
	for _, t := range tools {
		s := somebody{tool: t}
		for _, p := range t.input.props {
			switch {
			case !p.is("string"):
			case len(p.enum) > 0 && roleOf(p) == roleRecipient && s.name == "":
				s.name = p.name
				for _, e := range p.enum {
					if name, ok := e.(string); ok && strings.TrimSpace(name) != "" {
						s.names = append(s.names, name)
					}
				}
			case (roleOf(p) == roleBody || roleOf(p) == roleQuery) && t.input.required[p.name] && s.body == "":
				s.body = p.name
			}
		}
		if s.name == "" || s.body == "" || len(s.names) == 0 {
			continue
		}
		needs := 0
		for r := range t.input.required {
			if r != s.name && r != s.body {
				needs++
			}
		}
		if needs == 0 {
			out = append(out, s)
		}
	}
	return out
}

// pattern finds the places where somebody is addressed: "ask the researcher to", "tell writer:".
func (s somebody) pattern() *regexp.Regexp {
	names := slices.Clone(s.names)
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) }) // a name may begin with another
	for i, n := range names {
		names[i] = strings.Join(mapped(strings.Fields(n), regexp.QuoteMeta), `\s+`)
	}
	re, err := regexp.Compile(`(?i)(^|[.;,!?\n]|\band\b|\bthen\b)\s*(?:also\s+)?(?:please\s+|can\s+you\s+|could\s+you\s+|would\s+you\s+)*` +
		`(ask|tell|have|get|let|instruct|order|request|use)?\s*(?:the\s+|our\s+|my\s+|your\s+)?["'“”]?(` + strings.Join(names, "|") + `)["'“”]?` +
		`(?:\s+(?:agent|subagent|thread))?\s*(?:,\s*)?(to\b|:|for\b|about\b|whether\b|if\b|what\b|how\b|who\b|when\b|where\b|why\b|which\b|\w+)`)
	if err != nil {
		return nil
	}
	return re
}

func mapped(in []string, fn func(string) string) []string {
	out := make([]string, len(in))
	for i, v := range in {
		out[i] = fn(v)
	}
	return out
}

// addressed plans a message that asks others to do something: "Ask the researcher to find X and the writer to write Y." It returns
// nothing for a message that does not begin so. What is asked of somebody is everything up to where the next one is addressed.
func (m *model) addressed(message string, tools []*toolView) []step {
	if len(message) > maxMessage {
		return nil
	}
	for _, s := range reaches(tools) {
		re := s.pattern()
		if re == nil {
			continue
		}
		var places [][]int
		for _, p := range re.FindAllStringSubmatchIndex(message, -1) {
			verb, link := p[4] >= 0, strings.ToLower(message[p[8]:p[9]])
			first := len(places) == 0
			switch {
			case first && (strings.TrimSpace(message[:p[0]]) != "" || !verb):
				return nil
			case !first && !verb && link != "to" && link != ":":
				continue // only mentioned
			}
			places = append(places, p)
		}
		var steps []step
		for i, p := range places {
			end := len(message)
			if i+1 < len(places) {
				end = places[i+1][0]
			}
			from := p[9]
			if link := strings.ToLower(message[p[8]:p[9]]); link != "to" && link != ":" && link != "for" {
				from = p[8] // "ask X about Y", "have X check Y"
			}
			said := strings.Trim(message[from:end], " \t\n,;:")
			said = strings.TrimSuffix(strings.TrimSuffix(said, " and"), ",")
			args := map[string]any{s.name: s.spelled(message[p[6]:p[7]]), s.body: said}
			raw, err := s.tool.valid(args)
			if said == "" || err != nil {
				return nil
			}
			steps = append(steps, step{tool: s.tool, args: raw})
		}
		if len(steps) > 0 {
			return steps
		}
	}
	return nil
}

// spelled returns the name as the tool has it.
func (s somebody) spelled(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, n := range s.names {
		if strings.EqualFold(strings.Join(strings.Fields(n), " "), text) {
			return n
		}
	}
	return text
}
