package memorytest

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// caller calls the tools of a session.
func (e *env) caller(t *testing.T, have []memory.Attached, session id.Session) func(name, input string) tool.Result {
	t.Helper()
	byName := map[string]tool.Tool{}
	for _, tl := range must(e.Tools(e.sc, have))(t) {
		if !json.Valid(tl.Spec().InputSchema) {
			t.Errorf("%s: the schema %s", tl.Spec().Name, tl.Spec().InputSchema)
		}
		byName[tl.Spec().Name] = tl
	}
	return func(name, input string) tool.Result {
		t.Helper()
		tl, ok := byName[name]
		if !ok {
			return tool.Result{Text: "no tool", IsError: true}
		}
		return must(tl.Call(e.ctx, tool.Call{Key: "k", Input: json.RawMessage(input), SessionID: session.String()}))(t)
	}
}

func (e *env) attach(t *testing.T, given ...memory.Given) []memory.Attached {
	t.Helper()
	return must(e.Attach(e.ctx, e.sc, e.agent, given, "/mnt/memory"))(t)
}

func tools(t *testing.T, e *env) {
	work, rules := e.store(t, "Work, notes!"), e.store(t, "Rules")
	e.put(t, rules, "/rule.md", "be kind to people")
	own := must(e.CreateStore(e.ctx, e.sc, memory.NewStore{Name: "work notes", Agent: e.agent.ID, Description: "My\nown."}))(t)
	have := e.attach(t, memory.Given{Store: work, Mount: "/mnt/memory/work-notes", Instructions: "Keep it short."},
		memory.Given{Store: rules, ReadOnly: true}, memory.Given{Store: id.New[id.MemoryStoreKind](ids)})
	var names []string
	for _, at := range have {
		names = append(names, at.Name+" "+at.Mount)
	}
	equal(t, []string{"work-notes /mnt/memory/work-notes", "rules /mnt/memory/rules", "work-notes-2 /mnt/memory/work-notes-2"}, names)
	if have[2].Store.ID != own.ID {
		t.Errorf("the agent's own store is %s", have[2].Store.Name)
	}
	prompt := memory.Prompt(have, true)
	for _, want := range []string{"- work-notes (/mnt/memory/work-notes)\n  Keep it short.", "- rules (/mnt/memory/rules), which you may only read", ": My own."} {
		if !strings.Contains(prompt, want) {
			t.Errorf("%q is not in the prompt:\n%s", want, prompt)
		}
	}
	sess := id.New[id.SessionKind](ids)
	call := e.caller(t, have, sess)
	for _, step := range []struct {
		tool, input, want string // "!" wants a refusal
	}{
		{memory.ListTool, `{}`, "no memories"},
		{memory.WriteTool, `{"path":"/ada.md","content":"drinks tea, and tea"}`, "Remembered at /ada.md"},
		{memory.WriteTool, `{"path":"ada.md","content":"drinks tea daily"}`, "Replaced /ada.md"},
		{memory.WriteTool, `{"content":"The deploy is on Monday"}`, "Remembered at /notes/the-deploy-is-on-monday.md"},
		{memory.ReadTool, `{"path":"/ada.md"}`, "drinks tea daily"},
		{memory.ReadTool, `{"path":"/none.md"}`, "!no memory"},
		{memory.EditTool, `{"path":"/ada.md","old_text":"tea","new_text":"coffee"}`, "Edited"},
		{memory.EditTool, `{"path":"/ada.md","old_text":"tea","new_text":"coffee"}`, "!does not contain"},
		{memory.EditTool, `{"path":"/ada.md","old_text":"i","new_text":"x"}`, "!2 times"},
		{memory.ListTool, `{"path":"/notes/"}`, "/notes/the-deploy"},
		{memory.SearchTool, `{"query":"drinks coffee daily","limit":1}`, `"source":"work-notes:/ada.md"`},
		{memory.SearchTool, `{"query":"be kind to people","limit":1}`, `"source":"rules:/rule.md"`},
		{memory.WriteTool, `{"store":"rules","path":"/x","content":"y"}`, "!may only be read"},
		{memory.ReadTool, `{"store":"rules","path":"/rule.md"}`, "be kind"},
		{memory.DeleteTool, `{"store":"rules","path":"/rule.md"}`, "!may only be read"},
		{memory.WriteTool, `{"store":"work-notes-2","path":"/own","content":"y"}`, "Remembered"},
		{memory.WriteTool, `{"path":"/ada.md/x","content":"y"}`, "!overlaps"},
		{memory.WriteTool, `{"path":"/a/../b","content":"y"}`, "!segment"},
		{memory.DeleteTool, `{"path":"/ada.md"}`, "Deleted"},
		{memory.DeleteTool, `{"path":"/ada.md"}`, "!no memory"},
		{memory.ListTool, `{"store":"nothing"}`, "!no memory store"},
		{memory.ListTool, `[]`, "!does not fit"},
	} {
		res := call(step.tool, step.input)
		want, refuse := strings.CutPrefix(step.want, "!")
		if res.IsError != refuse || !strings.Contains(res.Text, want) {
			t.Errorf("%s %s: %+v; want %s", step.tool, step.input, res, step.want)
		}
	}
	p := must(e.ListVersions(e.ctx, e.sc, memory.ListVersions{Store: work, By: memory.Actor{Session: sess}}))(t)
	if len(p.Items) != 5 {
		t.Errorf("the session made %d versions", len(p.Items))
	}
	only := e.caller(t, have[1:2], sess)
	if res := only(memory.WriteTool, `{"content":"x"}`); res.Text != "no tool" {
		t.Errorf("a session that may only read is offered a tool that writes: %+v", res)
	}
}

// ownStore checks that an agent without a store gets one, and one only, when it first writes something down.
func ownStore(t *testing.T, e *env) {
	have := e.attach(t)
	if len(have) != 1 || memory.Prompt(have, true) != "" {
		t.Fatalf("got %+v", have)
	}
	sess := id.New[id.SessionKind](ids)
	call := e.caller(t, have, sess)
	for _, c := range []struct{ tool, input string }{
		{memory.ListTool, `{}`}, {memory.SearchTool, `{"query":"x"}`}, {memory.WriteTool, `{"path":"/../x","content":"y"}`},
	} {
		call(c.tool, c.input)
	}
	if p := must(e.ListStores(e.ctx, e.sc, memory.ListStores{}))(t); len(p.Items) != 0 {
		t.Errorf("looking made the store %+v", p.Items)
	}
	var wg sync.WaitGroup
	for _, path := range []string{"/a", "/b", "/c"} {
		wg.Go(func() {
			if res := call(memory.WriteTool, `{"path":"`+path+`","content":"x"}`); res.IsError {
				t.Error(res.Text)
			}
		})
	}
	wg.Wait()
	p := must(e.ListStores(e.ctx, e.sc, memory.ListStores{Agent: e.agent.ID}))(t)
	if len(p.Items) != 1 || p.Items[0].Memories != 3 || p.Items[0].Name != "Memory of Clerk" {
		t.Errorf("got %+v", p.Items)
	}
	if again := e.attach(t); len(again) != 1 || again[0].Store.ID != p.Items[0].ID || memory.Prompt(again, false) == "" {
		t.Errorf("the next session has %+v", again)
	}
	if other := must(e.Attach(e.ctx, e.sc, agent.Agent{ID: id.New[id.AgentKind](ids)}, nil, "/m"))(t); other[0].Store.ID == p.Items[0].ID {
		t.Error("another agent has the same store")
	}
}

func sandboxes(t *testing.T, e *env) {
	store := e.store(t, "s")
	a, b := e.put(t, store, "/a.md", "one"), e.put(t, store, "/dir/b.md", "two")
	e.put(t, store, "/dir/c.md", "three")
	at := e.attach(t, memory.Given{Store: store})[0]
	snap := must(e.Snapshot(e.ctx, e.sc, at))(t)
	if len(snap.Memories) != 3 || snap.Version != must(e.Snapshot(e.ctx, e.sc, at))(t).Version {
		t.Fatalf("got %+v", snap)
	}
	by := memory.Actor{Session: id.New[id.SessionKind](ids)}
	must(e.Update(e.ctx, e.sc, store, b.ID, memory.Patch{Content: ptr("two of somebody else")}))(t)
	err := e.TakeBack(e.ctx, e.sc, at, snap, []memory.Change{
		{Path: "/a.md", Content: "one of the sandbox"}, {Path: "/dir/b.md", Content: "two of the sandbox"}, {Path: "/dir/c.md", Removed: true},
		{Path: "/new.md", Content: "new"}, {Path: "/bad", Content: "\xff"}, {Path: "/never", Removed: true},
	}, by)
	f, _ := fault.As(err)
	if f == nil || !strings.Contains(f.Message, "/dir/b.md") || !strings.Contains(f.Message, "/bad") || strings.Contains(f.Message, "/a.md") {
		t.Errorf("got %v", err)
	}
	got := map[string]string{}
	for _, item := range must(e.List(e.ctx, e.sc, memory.ListRequest{Store: store, Full: true}))(t).Items {
		got[item.Memory.Path] = item.Memory.Content
	}
	equal(t, map[string]string{"/a.md": "one of the sandbox", "/dir/b.md": "two of somebody else", "/new.md": "new"}, got)
	if v := must(e.ListVersions(e.ctx, e.sc, memory.ListVersions{Store: store, Memory: a.ID}))(t).Items[0]; v.By != by {
		t.Errorf("the change is by %+v", v.By)
	}
	next := must(e.Snapshot(e.ctx, e.sc, at))(t)
	if next.Version == snap.Version {
		t.Error("a change does not show in the version")
	}
	if err := e.TakeBack(e.ctx, e.sc, at, snap, []memory.Change{{Path: "/new.md", Content: "new"}}, by); err != nil {
		t.Errorf("what is there already: %v", err)
	}
	at.ReadOnly = true
	is(t, "a store to read", e.TakeBack(e.ctx, e.sc, at, next, []memory.Change{{Path: "/x"}}, by), memory.ErrReadOnly)
}
