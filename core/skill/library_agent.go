package skill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Ref names a guide in an agent's configuration.
type Ref struct {
	ID      string // an id, a handle
	Type    string // a Source
	Version string // an id, a number, or Latest
}

// CheckRefs returns refs with the ids of tenants' guides and versions spelled as this server spells them. For a guide or a version that the tenant does not have it
// returns ErrSkillNotFound or ErrVersionNotFound, and a fault.Invalid for two guides of one name; the Fields name the place.
func (l *Library) CheckRefs(ctx context.Context, sc account.Scope, refs []Ref) ([]Ref, error) {
	out := make([]Ref, len(refs))
	names := map[string]bool{}
	for i, ref := range refs {
		at := func(err error, member string) error {
			if f, ok := fault.As(err); ok && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
				return f.WithFields(fault.Field{Path: fmt.Sprintf("skills[%d].%s", i, member), Message: f.Message})
			}
			return err
		}
		g, err := l.byRef(ctx, sc, ref)
		if err != nil {
			return nil, at(err, "skill_id")
		}
		v, err := l.version(ctx, sc, g, ref.Version)
		if err != nil {
			return nil, at(err, "version")
		}
		if names[v.Name] {
			return nil, at(ErrBundle.Withf("another skill of the agent has the name %q too", v.Name), "skill_id")
		}
		names[v.Name] = true
		out[i] = ref
		if g.Source == SourceCustom {
			out[i].ID = g.Ref()
		}
		if of, err := id.Parse[id.SkillVersionKind](ref.Version); err == nil {
			out[i].Version = of.String()
		}
	}
	return out, nil
}

// byRef finds a guide. Those that come with the server are also known by their bare names: "pdf" is builtin_pdf.
func (l *Library) byRef(ctx context.Context, sc account.Scope, ref Ref) (Guide, error) {
	name := ref.ID
	if ref.Type == string(SourceBuiltin) && !strings.HasPrefix(name, builtinPrefix) {
		name = builtinPrefix + name
	}
	g, err := l.Get(ctx, sc, name)
	if err == nil && string(g.Source) != ref.Type {
		return Guide{}, ErrSkillNotFound.Withf("no skill %q of the type %q", cut(ref.ID), ref.Type)
	}
	if errors.Is(err, ErrSkillNotFound) {
		err = notFound(ref.ID)
	}
	return g, err
}

// Attached is a guide as an agent has it at this moment.
type Attached struct {
	Name    string // unique among those of the agent
	Guide   Guide
	Version GuideVersion
	Problem string // why it cannot be used; "" when it can
	// Unverified keeps its files from being mounted; they can be read.
	Unverified bool

	content map[string][]byte // of what has no stored files, by path
	pinned  string            // the digest of what content was made of; "" is that of Version
}

// Attach looks up the guides of an agent. One that was deleted has a Problem, and the
// name by which the agent's configuration refers to it.
func (l *Library) Attach(ctx context.Context, sc account.Scope, refs []Ref) ([]Attached, error) {
	out := make([]Attached, 0, len(refs))
	taken := map[string]bool{}
	for _, ref := range refs {
		a := Attached{Name: ref.ID}
		var err error
		if a.Guide, err = l.byRef(ctx, sc, ref); err == nil {
			a.Version, err = l.version(ctx, sc, a.Guide, ref.Version)
		}
		f, _ := fault.As(err)
		switch {
		case err == nil:
			a.Name = a.Version.Name
		case f != nil && f.Kind == fault.NotFound:
			if a.Problem = f.Message; a.Guide.Latest != nil {
				a.Name = a.Guide.Latest.Name
			}
		default:
			return nil, err
		}
		for name, n := a.Name, 2; taken[a.Name]; n++ { // a newer version may have taken another's name
			a.Name = name + "-" + strconv.Itoa(n)
		}
		taken[a.Name] = true
		out = append(out, a)
	}
	return out, l.holdBack(ctx, sc, out)
}

// Prompt tells a model of the guides of its agent: their names and what they are for. dir is the folder of its sandbox that they are
// mounted in; "" is none. Without guides it is "".
func Prompt(have []Attached, dir string) string {
	var b strings.Builder
	for _, a := range have {
		if a.Problem != "" {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("You have skills: instructions for particular tasks. Before you do something that one of them is for, read its " + SkillDoc +
				" with the tool " + ReadTool + " and follow it.")
			if dir != "" {
				b.WriteString(" Their files lie in " + dir + ", one folder for each, and their scripts can be run there.")
			}
			b.WriteString("\n")
		}
		b.WriteString("\n- " + a.Name)
		if dir != "" {
			b.WriteString(" (" + dir + "/" + a.Name + "/" + SkillDoc + ")")
		}
		b.WriteString(": " + line(a.Version.Description))
	}
	return b.String()
}

// Mounted is a file of an agent's guide for its sandbox.
type Mounted struct {
	Path string // in the guide's folder: "scripts/make_pdf.py"
	Size int64
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Files returns the files of a guide that has no Problem.
func (l *Library) Files(sc account.Scope, a Attached) []Mounted {
	out := make([]Mounted, len(a.Version.Files))
	for i, f := range a.Version.Files {
		out[i] = Mounted{f.Path, f.Size, func(ctx context.Context) (io.ReadCloser, error) {
			_, r, err := l.openAttached(ctx, sc, a, f.Path)
			return r, err
		}}
	}
	return out
}

func (l *Library) openAttached(ctx context.Context, sc account.Scope, a Attached, path string) (File, io.ReadCloser, error) {
	if a.content == nil {
		return l.Open(ctx, sc, a.Guide, a.Version, path)
	}
	f, ok := a.Version.file(path)
	if !ok {
		return File{}, nil, ErrFileNotFound.Withf("the skill has no file %q", cut(path))
	}
	return f, io.NopCloser(bytes.NewReader(a.content[path])), nil
}

// ReadTool is the name of the tool by which agents read their guides.
const ReadTool = "read_skill"

// readTool lets an agent read its guides.
type readTool struct {
	l    *Library
	sc   account.Scope
	have []Attached
	spec tool.Spec
}

var _ tool.Tool = readTool{}

// Tool returns the tool by which an agent reads its guides; have must not be empty.
func (l *Library) Tool(sc account.Scope, have []Attached) (tool.Tool, error) {
	names := make([]string, len(have))
	for i, a := range have {
		names[i] = a.Name
	}
	schema, err := json.Marshal(map[string]any{
		"type": "object",
		"properties": map[string]any{
			"skill": map[string]any{"type": "string", "enum": names, "description": "Which skill."},
			"file":  map[string]any{"type": "string", "description": "A file of the skill, such as reference.md; " + SkillDoc + " when left out.", "maxLength": MaxBundlePath},
		},
		"required": []string{"skill"},
	})
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	return readTool{l, sc, have, tool.Spec{
		Name:        ReadTool,
		Description: "Read the instructions of one of your skills before you use it, or another file that belongs to the skill.",
		InputSchema: schema, Idempotent: true,
	}}, nil
}

// Spec implements tool.Tool.
func (t readTool) Spec() tool.Spec { return t.spec }

// Call implements tool.Tool.
func (t readTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	var in struct {
		Skill string `json:"skill"`
		File  string `json:"file"`
	}
	if json.Unmarshal(call.Input, &in) != nil {
		return refused("the input must be an object with the text \"skill\" and, if wanted, the text \"file\"")
	}
	for _, a := range t.have {
		switch {
		case a.Name != in.Skill:
			continue
		case a.Problem != "":
			return refused("the skill %q is not available: %s", a.Name, a.Problem)
		}
		// The names are unknown outside of sessions; the content is asked for all the same.
		session, _ := id.Parse[id.SessionKind](call.SessionID)
		agent, _ := id.Parse[id.AgentKind](call.AgentID)
		if err := t.l.Admit(ctx, t.sc, a, session, agent, UseRead); errors.Is(err, ErrQuarantined) {
			return refused("the skill %q is not available: %s", a.Name, problemHeld)
		} else if err != nil {
			return tool.Result{}, err
		}
		return t.read(ctx, a, strings.TrimPrefix(in.File, a.Name+"/"))
	}
	return refused("you have no skill %q", cut(in.Skill))
}

func refused(format string, args ...any) (tool.Result, error) {
	return tool.Result{Text: fmt.Sprintf(format, args...), IsError: true}, nil
}

func (t readTool) read(ctx context.Context, a Attached, path string) (tool.Result, error) {
	if path == "" {
		path = SkillDoc
	}
	f, r, err := t.l.openAttached(ctx, t.sc, a, path)
	if err != nil {
		if fe, ok := fault.As(err); ok && fe.Kind == fault.NotFound {
			return refused("%s; %s", fe.Message, list(a.Version))
		}
		return tool.Result{}, err
	}
	defer r.Close()
	if f.Size > tool.MaxResultBytes {
		return refused("%s has %d bytes, which is more than can be shown", path, f.Size)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return tool.Result{}, fmt.Errorf("skill: read %s: %w", path, err)
	}
	if !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 {
		return refused("%s is no text: it has %d bytes", path, f.Size)
	}
	text := string(content)
	if path == SkillDoc && len(a.Version.Files) > 1 {
		text += "\n\n[" + list(a.Version) + "]"
	}
	return tool.Result{Text: text}, nil
}

// list names the files of a version, as far as they fit into a line or two.
func list(v GuideVersion) string {
	const most = 50
	var names []string
	for _, f := range v.Files {
		if f.Path != SkillDoc && len(names) < most {
			names = append(names, f.Path)
		}
	}
	if len(names) == 0 {
		return "the skill has no file but " + SkillDoc
	}
	more := ""
	if n := len(v.Files) - 1 - len(names); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return "Files of this skill, beside " + SkillDoc + ": " + strings.Join(names, ", ") + more
}
