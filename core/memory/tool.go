package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tool"
)

// The names of the tools by which agents use their stores.
const (
	ListTool   = "memory_list"
	ReadTool   = "memory_read"
	SearchTool = "memory_search"
	WriteTool  = "memory_write"
	EditTool   = "memory_edit"
	DeleteTool = "memory_delete"
)

// ToolNames returns the names of all tools.
func ToolNames() []string {
	return []string{ListTool, ReadTool, SearchTool, WriteTool, EditTool, DeleteTool}
}

// memoryTool is one of the tools in one session.
type memoryTool struct {
	s    *Service
	sc   account.Scope
	have []Attached
	spec tool.Spec
	do   func(t memoryTool, ctx context.Context, at Attached, in toolInput, by Actor) (tool.Result, error)
}

var _ tool.Tool = memoryTool{}

type toolInput struct {
	Store   string `json:"store"`
	Path    string `json:"path"`
	Content string `json:"content"`
	Query   string `json:"query"`
	Limit   int    `json:"limit"`
	OldText string `json:"old_text"`
	NewText string `json:"new_text"`
}

// Tools returns the tools for the stores of a session; those that write are left out when all may only be read.
func (s *Service) Tools(sc account.Scope, have []Attached) ([]tool.Tool, error) {
	const path = `"path":{"type":"string","maxLength":1024,"description":%q}`
	writable := false
	for _, at := range have {
		writable = writable || !at.ReadOnly
	}
	var out []tool.Tool
	for _, t := range []struct {
		name, description string
		properties        string
		required          []string
		writes            bool
		idempotent        bool
		do                func(t memoryTool, ctx context.Context, at Attached, in toolInput, by Actor) (tool.Result, error)
	}{
		{
			ListTool, "List the paths of memories in a memory store.", fmt.Sprintf(path, "The folder to list, such as /notes/; everything when left out."),
			nil, false, true, memoryTool.list,
		},
		{
			ReadTool, "Read a memory by its path.", fmt.Sprintf(path, "The path of the memory, such as /notes/ada.md."), []string{"path"}, false, true,
			memoryTool.read,
		},
		{
			SearchTool, "Search the memories for notes about a subject.",
			`"query":{"type":"string","minLength":1,"maxLength":4000,"description":"What to look for."},` +
				`"limit":{"type":"integer","minimum":1,"maximum":20,"default":5,"description":"How many memories to return."}`,
			[]string{"query"}, false, true, memoryTool.search,
		},
		{
			WriteTool, "Remember a text for later sessions: writes it to a memory and replaces what that said before.",
			`"content":{"type":"string","minLength":1,"description":"The text to remember."},` +
				fmt.Sprintf(path, "Where to keep it, such as /notes/ada.md; chosen by the text when left out."),
			[]string{"content"}, true, true, memoryTool.write,
		},
		{
			EditTool, "Edit a memory: replaces one piece of its text by another.",
			fmt.Sprintf(path, "The path of the memory.") + `,"old_text":{"type":"string","minLength":1,"description":"What is there once now."},` +
				`"new_text":{"type":"string","description":"What it becomes."}`,
			[]string{"path", "old_text", "new_text"}, true, false, memoryTool.edit,
		},
		{
			DeleteTool, "Delete a memory that should not be remembered any more.", fmt.Sprintf(path, "The path of the memory."), []string{"path"}, true,
			false, memoryTool.remove,
		},
	} {
		if t.writes && !writable {
			continue
		}
		properties, required := t.properties, t.required
		if len(have) > 1 {
			var names []string
			for _, at := range have {
				if !t.writes || !at.ReadOnly {
					names = append(names, at.Name)
				}
			}
			enum, err := json.Marshal(names)
			if err != nil {
				return nil, fmt.Errorf("memory: %w", err)
			}
			properties = `"store":{"type":"string","enum":` + string(enum) + `,"default":` + fmt.Sprintf("%q", names[0]) +
				`,"description":"Which memory store; the first when left out."},` + properties
		}
		asked, err := json.Marshal(append([]string{}, required...))
		if err != nil {
			return nil, fmt.Errorf("memory: %w", err)
		}
		schema := `{"type":"object","properties":{` + properties + `},"required":` + string(asked) + `}`
		out = append(out, memoryTool{s, sc, have, tool.Spec{
			Name: t.name, Description: t.description, InputSchema: json.RawMessage(schema), Idempotent: t.idempotent,
		}, t.do})
	}
	return out, nil
}

// Spec implements tool.Tool.
func (t memoryTool) Spec() tool.Spec { return t.spec }

func refused(format string, args ...any) (tool.Result, error) {
	return tool.Result{Text: fmt.Sprintf(format, args...), IsError: true}, nil
}

// Call implements tool.Tool.
func (t memoryTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	var in toolInput
	if json.Unmarshal(call.Input, &in) != nil {
		return refused("the input does not fit %s", t.spec.Name)
	}
	var by Actor
	if s, err := id.Parse[id.SessionKind](call.SessionID); err == nil {
		by.Session = s
	}
	writes := t.spec.Name == WriteTool || t.spec.Name == EditTool || t.spec.Name == DeleteTool
	for _, at := range t.have {
		switch {
		case in.Store == "" && writes && at.ReadOnly:
			continue
		case in.Store != "" && in.Store != at.Name:
			continue
		case writes && at.ReadOnly:
			return refused("%s: %s", at.Name, ErrReadOnly.Message)
		}
		res, err := t.do(t, ctx, at, in, by)
		if isOurs(err) {
			return tool.Result{Text: publicMessage(err), IsError: true}, nil
		}
		return res, err
	}
	return refused("there is no memory store %q", in.Store)
}

func rooted(path string) string {
	if path != "" && path[0] != '/' {
		return "/" + path
	}
	return path
}

func (t memoryTool) list(ctx context.Context, at Attached, in toolInput, _ Actor) (tool.Result, error) {
	if at.implied {
		return tool.Result{Text: "There are no memories yet."}, nil
	}
	const most = 200
	p, err := t.s.List(ctx, t.sc, ListRequest{Request: page.Request{Limit: most}, Store: at.Store.ID, Prefix: rooted(in.Path)})
	if err != nil {
		return tool.Result{}, err
	}
	if len(p.Items) == 0 {
		return tool.Result{Text: "There are no memories here."}, nil
	}
	var b strings.Builder
	for _, item := range p.Items {
		fmt.Fprintf(&b, "%s (%d bytes)\n", item.Memory.Path, item.Memory.Size)
	}
	if p.Next != "" {
		fmt.Fprintf(&b, "[and more: list a folder]\n")
	}
	return tool.Result{Text: b.String()}, nil
}

// find returns the memory at a path, or a refusal.
func (t memoryTool) find(ctx context.Context, at Attached, path string) (Memory, error) {
	if at.implied {
		return Memory{}, id.NotFound[id.MemoryKind](path)
	}
	m, found, err := t.s.At(ctx, t.sc, at.Store.ID, rooted(path))
	if err == nil && !found {
		err = id.NotFound[id.MemoryKind](path)
	}
	return m, err
}

func (t memoryTool) read(ctx context.Context, at Attached, in toolInput, _ Actor) (tool.Result, error) {
	m, err := t.find(ctx, at, in.Path)
	if err != nil {
		return tool.Result{}, err
	}
	return tool.Result{Text: m.Content}, nil
}

func (t memoryTool) search(ctx context.Context, at Attached, in toolInput, _ Actor) (tool.Result, error) {
	type found struct {
		Text   string  `json:"text"`
		Source string  `json:"source"`
		Score  float64 `json:"score"`
	}
	out := struct {
		Results []found `json:"results"`
		Message string  `json:"message,omitempty"`
	}{Results: []found{}}
	if in.Limit <= 0 {
		in.Limit = 5
	}
	// Without a store all of them are searched.
	for _, other := range t.have {
		if other.implied || in.Store != "" && other.Name != at.Name {
			continue
		}
		hits, err := t.s.Search(ctx, t.sc, other.Store.ID, in.Query, in.Limit)
		if err != nil && !isNotFound(err) {
			return tool.Result{}, err
		}
		for _, h := range hits {
			source := h.Path
			if len(t.have) > 1 {
				source = other.Name + ":" + h.Path
			}
			out.Results = append(out.Results, found{h.Content, source, h.Score})
		}
	}
	slices.SortStableFunc(out.Results, func(a, b found) int { return cmp.Compare(b.Score, a.Score) })
	out.Results = out.Results[:min(len(out.Results), in.Limit)]
	if len(out.Results) == 0 {
		out.Message = "There are no memories yet."
	}
	b, err := json.Marshal(out)
	if err != nil {
		return tool.Result{}, fmt.Errorf("memory: %w", err)
	}
	return tool.Result{Text: string(b)}, nil
}

func (t memoryTool) write(ctx context.Context, at Attached, in toolInput, by Actor) (tool.Result, error) {
	if in.Path == "" {
		in.Path = "/notes/" + slug(cutRunes(in.Content, 60)) + ".md"
	}
	n := NewMemory{Path: rooted(in.Path), Content: in.Content, By: by}
	if err := checkNew(n); err != nil {
		return tool.Result{}, err
	}
	if err := t.s.make(ctx, t.sc, at); err != nil {
		return tool.Result{}, err
	}
	m, made, err := t.s.Write(ctx, t.sc, at.Store.ID, n)
	switch {
	case err != nil:
		return tool.Result{}, err
	case made:
		return tool.Result{Text: "Remembered at " + m.Path + "."}, nil
	}
	return tool.Result{Text: "Replaced " + m.Path + "."}, nil
}

func (t memoryTool) edit(ctx context.Context, at Attached, in toolInput, by Actor) (tool.Result, error) {
	for range 5 {
		m, err := t.find(ctx, at, in.Path)
		if err != nil {
			return tool.Result{}, err
		}
		switch n := strings.Count(m.Content, in.OldText); {
		case in.OldText == "":
			return refused("old_text must not be empty")
		case n == 0:
			return refused("%s does not contain old_text", m.Path)
		case n > 1:
			return refused("%s contains old_text %d times; give more of the text around it", m.Path, n)
		}
		content := strings.Replace(m.Content, in.OldText, in.NewText, 1)
		_, err = t.s.Update(ctx, t.sc, at.Store.ID, m.ID, Patch{Content: &content, Expect: &m.Digest, By: by})
		if errors.Is(err, ErrPrecondition) {
			continue // somebody else has changed it meanwhile; perhaps elsewhere in the text
		}
		if err != nil {
			return tool.Result{}, err
		}
		return tool.Result{Text: "Edited " + m.Path + "."}, nil
	}
	return refused("the memory is being changed by others; try again")
}

func (t memoryTool) remove(ctx context.Context, at Attached, in toolInput, by Actor) (tool.Result, error) {
	m, err := t.find(ctx, at, in.Path)
	if err != nil {
		return tool.Result{}, err
	}
	if err := t.s.Delete(ctx, t.sc, at.Store.ID, m.ID, nil, by); err != nil {
		return tool.Result{}, err
	}
	return tool.Result{Text: "Deleted " + m.Path + "."}, nil
}
