package a2a

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/skill"
)

// The bounds of what a card says, in characters: what registries show. Longer texts are cut.
const (
	maxCardName        = 100
	maxCardDescription = 1000
	maxSkillName       = 100
	maxSkillText       = 500
	maxSkillID         = 64
	maxTag             = 32
	maxTags            = 8
	maxCardSkills      = 100

	// Shorter texts, and names that are said again, are too little to choose by: a sentence is added.
	enoughDescription = 40
	enoughSkillText   = 20
)

// generalSkill is the id of what every agent can do.
const generalSkill = "general"

// Which texts of a portrait are replaced by those of the server.
const (
	plainName = 1 << iota
	plainDescription
)

// ability is one entry of a card's skills.
type ability struct {
	id, name, text string
	tags, examples []string
	output         []string // media types, where they are others than those of the card
}

// fileModes are the media types of what an agent with a sandbox answers: it can make a file of any type, of which these are usual.
func fileModes() []string {
	return []string{"text/plain", "application/json", "text/csv", "text/markdown", "application/pdf", "image/png", "application/octet-stream"}
}

// portrait is what a card says of an agent. The first of skills is the general one.
type portrait struct {
	agent    agent.Agent
	address  string // the server's, without a slash at its end
	skills   []ability
	modified time.Time
	plain    int
}

// base is the address at which the agent speaks A2A: JSON-RPC there, HTTP and JSON below it.
func (p portrait) base() string { return p.address + "/a2a/" + p.agent.ID.String() }

func (p portrait) name() string {
	if name := clean(p.agent.Config.Name, maxCardName); name != "" && p.plain&plainName == 0 {
		return name
	}
	return "Agent " + p.agent.ID.String()
}

func (p portrait) description() string {
	const always = "It answers messages and works on the tasks that it is given."
	text := clean(p.agent.Config.Description, maxCardDescription)
	switch {
	case text == "" || p.plain&plainDescription != 0:
		return p.name() + " is an agent. " + always
	case utf8.RuneCountInString(text) < enoughDescription || strings.EqualFold(text, p.name()):
		return sentence(text) + " " + always
	}
	return text
}

// sentence returns a text with a full stop at its end, unless it ends with a mark of its own.
func sentence(text string) string {
	if r, _ := utf8.DecodeLastRuneInString(text); unicode.IsPunct(r) && r != ')' && r != '"' {
		return text
	}
	return text + "."
}

// addSkills gathers what an agent can do: talk, what was installed for it, what its configuration names, and its sandbox.
func (s *Cards) addSkills(ctx context.Context, sc account.Scope, p *portrait) error {
	cfg := p.agent.Config
	p.skills = []ability{{id: generalSkill}}
	held, err := s.d.Skills.Installed(ctx, sc, p.agent.ID)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.UpdatedAt.After(p.modified) {
			p.modified = h.UpdatedAt
		}
		if h.Problem != "" {
			continue
		}
		a := ability{id: h.Name, name: h.Name, text: h.Description, tags: []string{string(h.Kind)}}
		if h.Structured != nil {
			a.name = h.Structured.Content.Name
			a.tags = append([]string{h.Structured.Content.Category}, h.Structured.Content.Tags...)
		}
		p.add(a)
	}
	if len(cfg.Skills) > 0 {
		refs := make([]skill.Ref, len(cfg.Skills))
		for i, r := range cfg.Skills {
			refs[i] = skill.Ref{ID: r.ID, Type: r.Type, Version: r.Version}
		}
		attached, err := s.d.Guides.Attach(ctx, sc, refs)
		if err != nil {
			return err
		}
		for _, g := range attached {
			if g.Problem == "" {
				p.add(ability{id: g.Name, name: g.Name, text: g.Version.Description, tags: []string{string(skill.ContentInstructions)}})
			}
		}
	}
	p.addToolset(cfg)
	return nil
}

func (p *portrait) addToolset(cfg agent.Config) {
	set, ok := cfg.Toolset()
	if !ok {
		return
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			enabled, _ := set.Lookup(name)
			return enabled
		})
	}
	if has("bash", "edit", "read", "write", "glob", "grep") {
		a := ability{
			id: "files-and-programs", name: "Work with files and programs",
			text:     "Reads, writes and searches files and runs programs in a sandbox of its own, to analyse data, convert documents or write code.",
			tags:     []string{"files", "code", "data"},
			examples: []string{"Write a Python program that sums the numbers in this text, and run it."},
		}
		if has("bash", "edit", "write") {
			a.output = fileModes()
		}
		p.add(a)
	}
	if has("web_fetch", "web_search") {
		p.add(ability{
			id: "web", name: "Read the web", text: "Looks up pages on the web and answers from what they say.",
			tags: []string{"web", "research"}, examples: []string{"Summarize the page at https://www.rfc-editor.org/rfc/rfc8785."},
		})
	}
}

// addTools names what is not everybody's business: the tools of the agent's configuration.
func (p *portrait) addTools() {
	for _, t := range p.agent.Config.Tools {
		switch t.Type {
		case agent.CustomTool:
			p.add(ability{id: t.Name, name: t.Name, text: t.Description, tags: []string{"tool", "custom"}})
		case agent.MCPToolset:
			p.add(ability{
				id: "mcp-" + t.MCPServer, name: "Tools of " + t.MCPServer, text: "Uses the tools of the MCP server " + t.MCPServer + ".",
				tags: []string{"tool", "mcp"},
			})
		case agent.AgentToolset: // an ability of the public card already
		case agent.A2AAgent: // whom it asks is its own affair
		}
	}
}

// add adds an ability under an id that no other has, cut to what a card may say.
func (p *portrait) add(a ability) {
	if len(p.skills) >= maxCardSkills {
		return
	}
	a.name = clean(a.name, maxSkillName)
	if a.name == "" {
		a.name = "Skill " + strconv.Itoa(len(p.skills))
	}
	base := slug(a.id)
	if base == "" {
		base = "skill"
	}
	a.id = base
	for n := 2; slices.ContainsFunc(p.skills, func(o ability) bool { return o.id == a.id }); n++ {
		a.id = base + "-" + strconv.Itoa(n)
	}
	switch text := clean(a.text, maxSkillText); {
	case text == "":
		a.text = "Uses the skill " + a.name + " where a task asks for it."
	case utf8.RuneCountInString(text) < enoughSkillText || strings.EqualFold(text, a.name):
		a.text = sentence(text) + " Used where a task asks for it."
	default:
		a.text = text
	}
	a.tags = tidyTags(a.tags)
	if len(a.examples) == 0 {
		a.examples = []string{"Use the skill " + a.name + " for this task."}
	}
	p.skills = append(p.skills, a)
}

// general returns what every agent can do.
func (p portrait) general() ability {
	return ability{
		id: generalSkill, name: clean("Talk to "+p.name(), maxSkillName), text: p.description(), tags: []string{"assistant", "conversation", "tasks"},
		examples: []string{"What can you do for me?", "Work on the following task and tell me what came of it: ..."},
	}
}

// soften takes back what findings are about, and reports whether there was something to take back.
func (p *portrait) soften(findings []card.Finding) bool {
	changed := false
	var drop []int
	for _, f := range findings {
		switch {
		case f.Path == "name" && p.plain&plainName == 0:
			p.plain |= plainName
			changed = true
		case f.Path == "description" && p.plain&plainDescription == 0:
			p.plain |= plainDescription
			changed = true
		case strings.HasPrefix(f.Path, "skills["):
			at, _, _ := strings.Cut(strings.TrimPrefix(f.Path, "skills["), "]")
			n, err := strconv.Atoi(at)
			switch {
			case err != nil || n >= len(p.skills):
			case n > 0:
				drop = append(drop, n)
				changed = true
			case p.plain != plainName|plainDescription: // the general skill speaks in the words of the agent's name and description
				p.plain = plainName | plainDescription
				changed = true
			}
		}
	}
	if len(drop) > 0 {
		var kept []ability
		for i, a := range p.skills {
			if !slices.Contains(drop, i) {
				kept = append(kept, a)
			}
		}
		p.skills = kept
	}
	return changed
}

// clean returns text on one line without what nobody sees, of as many characters as most says at the most; cut where a word ends if one does.
func clean(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector):
			return -1
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	short := string([]rune(text)[:most-1])
	if i := strings.LastIndexByte(short, ' '); i > len(short)/2 {
		short = short[:i]
	}
	return strings.TrimRight(short, " ,;:-") + "\u2026"
}

// slug makes an id of a text: lower-case letters, digits, '-', '_' and '.'.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(text) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '.' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		} else {
			gap = true
		}
		if b.Len() >= maxSkillID {
			break
		}
	}
	return strings.Trim(b.String(), "-._")
}

// tidyTags returns tags in lower case, each once; there are at least two.
func tidyTags(tags []string) []string {
	var out []string
	add := func(tag string) {
		tag = strings.ToLower(clean(tag, maxTag))
		if tag != "" && len(out) < maxTags && !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	for _, t := range tags {
		add(t)
	}
	for _, t := range [...]string{"skill", "agent"} {
		if len(out) < 2 {
			add(t)
		}
	}
	return out
}
