package agenttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tx"
)

// DocumentConfig of RunDocuments.
type DocumentConfig struct {
	// New returns an empty store, its documents and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, agent.DocumentRepository, tx.Runner)
}

// RunDocuments is the conformance suite of agent.DocumentRepository, with agent.Documents on top of it.
func RunDocuments(t *testing.T, cfg DocumentConfig) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *documentEnv){
		"defaults": documentDefaults, "write": documentWrite, "expected hash": documentExpected, "six writers": documentWriters,
		"all or none": documentsTogether, "limits": documentLimits, "rule names": documentNames, "rules": documentRules, "remove": documentRemove,
		"versions": documentVersions, "restore": documentRestore, "as of": documentAsOf, "clocks differ": documentClocks, "forgotten": documentForgotten,
		"removed rules": documentRemoved, "archived": documentArchived, "foreign tenant": documentForeign, "rollback": documentRollback,
		"forget": documentForget, "trail": documentTrail, "hosting": documentHosting, "prompt": documentPrompt, "read rules": documentTool,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, docs, runner := cfg.New(t)
			e := &documentEnv{
				env: env{s, runner, t.Context(), account.System(id.New[id.TenantKind](ids))}, repo: docs, clock: clocktest.New(), trail: &noted{},
			}
			var err error
			e.docs, err = agent.NewDocuments(agent.DocumentsDeps{
				TX: runner, Clock: e.clock, Repository: docs, Agents: s, Standings: s, Trail: e.trail,
			})
			noError(t, err)
			e.docs.Connect(&e.host, nil)
			a := named(e.sc, "My  Assistant")
			e.insert(t, a)
			e.agent = a
			fn(t, e)
		})
	}
}

type documentEnv struct {
	env
	repo  agent.DocumentRepository
	docs  *agent.Documents
	clock *clocktest.Clock
	trail *noted
	host  host
	agent agent.Agent
}

// host hosts the agent when it has a time.
type host struct {
	at      time.Time
	changes int
}

func (h *host) Changed(context.Context, account.Scope, id.Agent) (bool, error) {
	h.changes++
	return !h.at.IsZero(), nil
}

func (h *host) StartedAt(context.Context, account.Scope, id.Agent) (time.Time, bool, error) {
	return h.at, !h.at.IsZero(), nil
}

// noted is a trail that fails when it has an error.
type noted struct {
	mu    sync.Mutex
	err   error
	notes []string
}

func (n *noted) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, fmt.Sprint(action, " ", metadata))
	return n.err
}

func (e *documentEnv) put(t *testing.T, path agent.DocumentPath, content string) agent.Document {
	t.Helper()
	d, _, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, path, content, "")
	noError(t, err)
	return d
}

func (e *documentEnv) get(t *testing.T, path agent.DocumentPath) agent.Document {
	t.Helper()
	d, err := e.docs.Get(e.ctx, e.sc, e.agent.ID, path)
	noError(t, err)
	return d
}

func rulePath(t *testing.T, name string) agent.DocumentPath {
	t.Helper()
	p, err := agent.RulePath(name)
	noError(t, err)
	return p
}

func documentDefaults(t *testing.T, e *documentEnv) {
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, path := range []agent.DocumentPath{agent.Soul, agent.Workflow} {
		equal(t, agent.Document{Path: path, Hash: empty, UpdatedAt: e.agent.CreatedAt}, e.get(t, path))
	}
	card := e.get(t, agent.IdentityCard)
	equal(t, true, strings.Contains(card.Content, "My Assistant"))
	equal(t, agent.Hash(card.Content), card.Hash)
	equal(t, len(card.Content), card.Size)
	_, err := e.docs.Get(e.ctx, e.sc, e.agent.ID, rulePath(t, "none"))
	is(t, err, agent.ErrDocumentNotFound)
	files, err := e.docs.Files(e.ctx, e.sc, e.agent.ID)
	noError(t, err)
	equal(t, map[string][]byte{"SOUL.md": {}, "WORKFLOW.md": {}, "IDENTITY.md": []byte(card.Content)}, files)
	_, err = e.docs.Get(e.ctx, e.sc, id.New[id.AgentKind](ids), agent.Soul)
	is(t, err, notFound)
	// The hash of a default is one to expect.
	_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.IdentityCard, "mine", card.Hash)
	noError(t, err)
}

func documentWrite(t *testing.T, e *documentEnv) {
	const text = "# SOUL.md\n\nDu bist hilfsbereit. ✓ \u2028 'x' \\ ?"
	e.clock.Advance(time.Hour)
	got := e.put(t, agent.Soul, text)
	want := agent.Document{Path: agent.Soul, Version: 1, Content: text, Hash: agent.Hash(text), Size: len(text), UpdatedAt: e.clock.Now()}
	equal(t, want, got)
	equal(t, want, e.get(t, agent.Soul))
	e.clock.Advance(time.Hour)
	equal(t, want, e.put(t, agent.Soul, text)) // the same text is no version
	equal(t, 2, e.put(t, agent.Soul, "").Version)
	equal(t, "", e.get(t, agent.Soul).Content)
	equal(t, 1, e.put(t, agent.Workflow, "").Version) // but a first one is
	a, err := e.Get(e.ctx, e.sc, e.agent.ID)
	noError(t, err)
	equal(t, 1, a.Version)
}

func documentExpected(t *testing.T, e *documentEnv) {
	one := e.put(t, agent.Soul, "one")
	_, _, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "two", strings.ToUpper(one.Hash))
	noError(t, err)
	for _, stale := range []string{one.Hash, "not a hash", agent.Hash("")} {
		_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "three", stale)
		is(t, err, agent.ErrDocumentConflict)
	}
	equal(t, "two", e.get(t, agent.Soul).Content)
	rule := rulePath(t, "r")
	_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, rule, "text", agent.Hash("")) // there is none to have been seen
	is(t, err, agent.ErrDocumentConflict)
	e.put(t, rule, "text")
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, rule, "text", agent.Hash(""))
	is(t, err, agent.ErrDocumentConflict)
}

func documentWriters(t *testing.T, e *documentEnv) {
	seen := e.put(t, agent.Soul, "seen").Hash
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, _, errs[i] = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, fmt.Sprint("race ", i), seen)
		})
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			equal(t, fmt.Sprint("race ", i), e.get(t, agent.Soul).Content)
			continue
		}
		is(t, err, agent.ErrDocumentConflict)
	}
	equal(t, 1, won)
	equal(t, 2, e.get(t, agent.Soul).Version)
}

func documentsTogether(t *testing.T, e *documentEnv) {
	_, _, err := e.docs.PutAll(e.ctx, e.sc, e.agent.ID, []agent.DocumentChange{
		{Path: agent.Soul, Content: "s"}, {Path: agent.IdentityCard, Content: "i", Expected: "stale"},
	})
	is(t, err, agent.ErrDocumentConflict)
	equal(t, "", e.get(t, agent.Soul).Content)
	_, _, err = e.docs.PutAll(e.ctx, e.sc, e.agent.ID, nil)
	is(t, err, agent.ErrDocumentInvalid)
	got, _, err := e.docs.PutAll(e.ctx, e.sc, e.agent.ID, []agent.DocumentChange{
		{Path: agent.Soul, Content: "s"}, {Path: agent.IdentityCard, Content: "i"},
	})
	noError(t, err)
	equal(t, []string{"s", "i"}, []string{got[0].Content, got[1].Content})
}

func documentLimits(t *testing.T, e *documentEnv) {
	most := strings.Repeat("ü", agent.MaxDocument/2)
	e.put(t, agent.Workflow, most)
	equal(t, agent.MaxDocument, e.get(t, agent.Workflow).Size)
	for name, tc := range map[string]struct {
		path    agent.DocumentPath
		content string
	}{
		"long": {agent.Workflow, most + "x"}, "NUL": {agent.Soul, "a\x00"}, "not UTF-8": {rulePath(t, "r"), "\xff"}, "no document": {"../x", "x"},
		"another": {"README.md", "x"}, "folder": {"rules/a/b.md", "x"}, "suffix": {"rules/a", "x"}, "nothing": {"", ""},
	} {
		_, _, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, tc.path, tc.content, "")
		is(t, err, agent.ErrDocumentInvalid)
		if f, ok := fault.As(err); !ok || len(f.Fields) != 1 || f.Fields[0].Path != string(tc.path) {
			t.Errorf("%s: %+v does not name the path", name, err)
		}
	}
	equal(t, most, e.get(t, agent.Workflow).Content)
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		for i := range agent.MaxRules {
			if err := e.repo.AddDocument(ctx, e.sc, e.agent.ID, version(rulePath(t, fmt.Sprint("r", i)), 1, "x", e.clock.Now())); err != nil {
				return err
			}
		}
		return nil
	}))
	_, _, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, rulePath(t, "more"), "x", "")
	is(t, err, agent.ErrTooManyRules)
	e.put(t, rulePath(t, "r7"), "replaced")
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r8")
	noError(t, err)
	e.put(t, rulePath(t, "more"), "x")
}

// version is a version as repositories are given it.
func version(path agent.DocumentPath, n int, content string, at time.Time) agent.Document {
	return agent.Document{Path: path, Version: n, Content: content, Hash: agent.Hash(content), Size: len(content), UpdatedAt: at}
}

func documentNames(t *testing.T, _ *documentEnv) {
	for _, good := range []string{"a", "new-request", "aZ09-_", strings.Repeat("x", agent.MaxRuleName), "-", "CON"} {
		p, err := agent.RulePath(good)
		noError(t, err)
		equal(t, agent.DocumentPath("rules/"+good+".md"), p)
		name, ok := p.Rule()
		equal(t, true, ok && name == good)
	}
	for _, bad := range []string{
		"", "..", ".", "../x", "../../etc/passwd", "a/b", `..\x`, "a.b", "a b", "\x00", "x.md", "üüü", strings.Repeat("x", agent.MaxRuleName+1), "a\n", "a\x00",
	} {
		_, err := agent.RulePath(bad)
		is(t, err, agent.ErrDocumentInvalid)
	}
	for _, none := range []agent.DocumentPath{agent.Soul, "rules/.md", "rules/a", "rules/../SOUL.md", "a.md"} {
		_, ok := none.Rule()
		equal(t, false, ok)
	}
}

func documentRules(t *testing.T, e *documentEnv) {
	for _, name := range []string{"b", "A", "_", "a"} {
		e.put(t, rulePath(t, name), "rule "+name)
	}
	e.put(t, agent.Workflow, "w")
	rules, err := e.docs.Rules(e.ctx, e.sc, e.agent.ID)
	noError(t, err)
	var names []string
	for _, r := range rules {
		name, _ := r.Path.Rule()
		names = append(names, fmt.Sprint(name, r.Size, r.Content))
	}
	equal(t, []string{"A6", "_6", "a6", "b6"}, names) // in the order of bytes, on every database
	files, err := e.docs.Files(e.ctx, e.sc, e.agent.ID)
	noError(t, err)
	equal(t, "rule b", string(files["rules/b.md"]))
	equal(t, "w", string(files["WORKFLOW.md"]))
	equal(t, 7, len(files))
}

func documentRemove(t *testing.T, e *documentEnv) {
	rule := rulePath(t, "r")
	_, err := e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	is(t, err, agent.ErrDocumentNotFound)
	e.put(t, rule, "text")
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	_, err = e.docs.Get(e.ctx, e.sc, e.agent.ID, rule)
	is(t, err, agent.ErrDocumentNotFound)
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	is(t, err, agent.ErrDocumentNotFound)
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "../SOUL")
	is(t, err, agent.ErrDocumentInvalid)
	rules, err := e.docs.Rules(e.ctx, e.sc, e.agent.ID)
	noError(t, err)
	equal(t, 0, len(rules))
	equal(t, 3, e.put(t, rule, "text").Version)
}

func documentVersions(t *testing.T, e *documentEnv) {
	list := func(path agent.DocumentPath, limit int) []string {
		t.Helper()
		return pagetest.Walk(t, limit, func(d agent.Document) string {
			return fmt.Sprint(d.Version, " ", d.Size, " ", d.Hash[:4], " ", d.Content, d.Removed)
		}, func(r page.Request) (page.Page[agent.Document], error) {
			return e.docs.Versions(e.ctx, e.sc, e.agent.ID, path, r)
		})
	}
	equal(t, 0, len(list(agent.Soul, 0)))
	rule := rulePath(t, "r")
	e.put(t, rule, "1")
	e.put(t, rule, "22")
	_, err := e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	want := []string{
		"3 0 " + agent.Hash("")[:4] + " true", "2 2 " + agent.Hash("22")[:4] + " false", "1 1 " + agent.Hash("1")[:4] + " false",
	}
	equal(t, want, list(rule, 1))
	equal(t, want, list(rule, 0))
	old, err := e.docs.Version(e.ctx, e.sc, e.agent.ID, rule, 1)
	noError(t, err)
	equal(t, "1", old.Content)
	_, err = e.docs.Version(e.ctx, e.sc, e.agent.ID, rule, 4)
	is(t, err, agent.ErrDocumentNotFound)
	_, err = e.docs.Versions(e.ctx, e.sc, e.agent.ID, rule, page.Request{Cursor: "nonsense"})
	equal(t, fault.Invalid, fault.KindOf(err))
	_, err = e.docs.Versions(e.ctx, e.sc, e.agent.ID, "rules/never-written.md", page.Request{})
	is(t, err, agent.ErrDocumentNotFound)
	_, err = e.docs.Versions(e.ctx, e.sc, e.agent.ID, "README.md", page.Request{})
	is(t, err, agent.ErrDocumentInvalid)
}

func documentRestore(t *testing.T, e *documentEnv) {
	e.put(t, agent.Soul, "one")
	two := e.put(t, agent.Soul, "two")
	_, _, err := e.docs.Restore(e.ctx, e.sc, e.agent.ID, agent.Soul, 1, "stale")
	is(t, err, agent.ErrDocumentConflict)
	got, _, err := e.docs.Restore(e.ctx, e.sc, e.agent.ID, agent.Soul, 1, two.Hash)
	noError(t, err)
	equal(t, "one", got.Content)
	equal(t, 3, got.Version)
	rule := rulePath(t, "r")
	e.put(t, rule, "text")
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	_, _, err = e.docs.Restore(e.ctx, e.sc, e.agent.ID, rule, 2, "")
	is(t, err, agent.ErrDocumentNotFound)
	_, _, err = e.docs.Restore(e.ctx, e.sc, e.agent.ID, rule, 1, "")
	noError(t, err)
	equal(t, "text", e.get(t, rule).Content)
}

// asOf returns the texts of an agent's documents at a time, by path.
func (e *documentEnv) asOf(t *testing.T, at time.Time) map[string]string {
	t.Helper()
	all, err := e.docs.AsOf(e.ctx, e.sc, e.agent.ID, at)
	noError(t, err)
	texts := map[string]string{}
	for _, d := range all {
		if d.Path != agent.IdentityCard {
			texts[string(d.Path)] = d.Content
		}
	}
	return texts
}

func documentAsOf(t *testing.T, e *documentEnv) {
	before := e.clock.Now()
	first := e.clock.Advance(time.Second)
	e.put(t, agent.Soul, "one")
	e.put(t, rulePath(t, "r"), "rule")
	second := e.clock.Advance(time.Second)
	e.put(t, agent.Soul, "two")
	_, err := e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	equal(t, map[string]string{"SOUL.md": "", "WORKFLOW.md": ""}, e.asOf(t, before))
	equal(t, map[string]string{"SOUL.md": "one", "WORKFLOW.md": "", "rules/r.md": "rule"}, e.asOf(t, first))
	equal(t, e.asOf(t, first), e.asOf(t, second.Add(-time.Microsecond)))
	equal(t, map[string]string{"SOUL.md": "two", "WORKFLOW.md": ""}, e.asOf(t, second))
	equal(t, e.asOf(t, second), e.asOf(t, time.Time{}))
}

func documentClocks(t *testing.T, e *documentEnv) {
	now := e.clock.Now()
	e.put(t, agent.Soul, "one")
	e.clock.Set(now.Add(-time.Minute)) // another server's
	two := e.put(t, agent.Soul, "two")
	equal(t, now, two.UpdatedAt)
	equal(t, "", e.asOf(t, now.Add(-time.Second))["SOUL.md"])
	equal(t, "two", e.asOf(t, now)["SOUL.md"])
}

func documentForgotten(t *testing.T, e *documentEnv) {
	start := e.clock.Now()
	write := func(from, to int) {
		noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
			for i := from; i <= to; i++ {
				at := start.Add(time.Duration(i) * time.Second)
				if err := e.repo.AddDocument(ctx, e.sc, e.agent.ID, version(agent.Soul, i, fmt.Sprint("text ", i), at)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	write(1, agent.MaxDocumentVersions+2)
	p, err := e.docs.Versions(e.ctx, e.sc, e.agent.ID, agent.Soul, page.Request{Limit: 100})
	noError(t, err)
	equal(t, agent.MaxDocumentVersions, len(p.Items))
	equal(t, "", p.Next)
	_, err = e.docs.Version(e.ctx, e.sc, e.agent.ID, agent.Soul, 2)
	is(t, err, agent.ErrDocumentNotFound)
	equal(t, "text 3", e.asOf(t, start.Add(time.Second))["SOUL.md"]) // stands for those that are forgotten
	equal(t, "text 4", e.asOf(t, start.Add(4*time.Second))["SOUL.md"])
	equal(t, "", e.asOf(t, start)["SOUL.md"])
}

func documentRemoved(t *testing.T, e *documentEnv) {
	gone := func(i int) agent.DocumentPath { return rulePath(t, fmt.Sprint("gone", i)) }
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		for i := range agent.MaxRemovedRules + 1 {
			d := version(gone(i), 1, "", e.clock.Advance(time.Second))
			d.Removed = true
			if err := e.repo.AddDocument(ctx, e.sc, e.agent.ID, d); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := e.docs.Version(e.ctx, e.sc, e.agent.ID, gone(0), 1)
	is(t, err, agent.ErrDocumentNotFound)
	_, err = e.docs.Version(e.ctx, e.sc, e.agent.ID, gone(1), 1)
	noError(t, err)
}

func documentArchived(t *testing.T, e *documentEnv) {
	e.put(t, agent.Soul, "s")
	_, err := e.Update(e.ctx, e.sc, e.agent.ID, func(a *agent.Agent) error {
		at := a.CreatedAt
		a.Standing, a.ArchivedAt = agent.Archived, &at
		return nil
	})
	noError(t, err)
	_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "t", "")
	is(t, err, agent.ErrArchived)
	equal(t, "s", e.get(t, agent.Soul).Content)
}

func documentForeign(t *testing.T, e *documentEnv) {
	e.put(t, agent.Soul, "s")
	e.put(t, rulePath(t, "r"), "r")
	other := account.System(id.New[id.TenantKind](ids))
	a := e.agent.ID
	for name, call := range map[string]func() error{
		"get":      func() error { _, err := e.docs.Get(e.ctx, other, a, agent.Soul); return err },
		"put":      func() error { _, _, err := e.docs.Put(e.ctx, other, a, agent.Soul, "x", ""); return err },
		"remove":   func() error { _, err := e.docs.Remove(e.ctx, other, a, "r"); return err },
		"rules":    func() error { _, err := e.docs.Rules(e.ctx, other, a); return err },
		"versions": func() error { _, err := e.docs.Versions(e.ctx, other, a, agent.Soul, page.Request{}); return err },
		"version":  func() error { _, err := e.docs.Version(e.ctx, other, a, agent.Soul, 1); return err },
		"restore":  func() error { _, _, err := e.docs.Restore(e.ctx, other, a, agent.Soul, 1, ""); return err },
		"files":    func() error { _, err := e.docs.Files(e.ctx, other, a); return err },
	} {
		if err := call(); !errors.Is(err, notFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error { return e.docs.Forget(ctx, other, a) }))
	equal(t, "s", e.get(t, agent.Soul).Content)
}

func documentRollback(t *testing.T, e *documentEnv) {
	e.put(t, rulePath(t, "r"), "r")
	e.trail.err = errors.New("the trail is gone")
	_, _, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "s", "")
	is(t, err, e.trail.err)
	_, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	is(t, err, e.trail.err)
	equal(t, "", e.get(t, agent.Soul).Content)
	equal(t, "r", e.get(t, rulePath(t, "r")).Content)
}

func documentForget(t *testing.T, e *documentEnv) {
	e.put(t, agent.Soul, "s")
	e.put(t, agent.Soul, "s2")
	e.put(t, rulePath(t, "r"), "r")
	for range 2 {
		noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error { return e.docs.Forget(ctx, e.sc, e.agent.ID) }))
	}
	equal(t, "", e.get(t, agent.Soul).Content)
	_, err := e.docs.Version(e.ctx, e.sc, e.agent.ID, agent.Soul, 1)
	is(t, err, agent.ErrDocumentNotFound)
}

func documentTrail(t *testing.T, e *documentEnv) {
	e.put(t, agent.Soul, "the text itself")
	e.put(t, agent.Soul, "the text itself")
	e.put(t, rulePath(t, "r"), "r")
	_, err := e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	equal(t, 3, len(e.trail.notes))
	all := strings.Join(e.trail.notes, "\n")
	equal(t, true, strings.Contains(all, agent.Hash("the text itself")) && !strings.Contains(all, "the text itself"))
	equal(t, true, strings.HasPrefix(e.trail.notes[2], "agent_document_removed "))
}

func documentHosting(t *testing.T, e *documentEnv) {
	_, restart, err := e.docs.Put(e.ctx, e.sc, e.agent.ID, rulePath(t, "r"), "r", "")
	noError(t, err)
	equal(t, false, restart)
	e.host.at = e.clock.Now()
	_, restart, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "s", "")
	noError(t, err)
	equal(t, true, restart)
	_, restart, err = e.docs.Restore(e.ctx, e.sc, e.agent.ID, agent.Soul, 1, "")
	noError(t, err)
	equal(t, true, restart)
	restart, err = e.docs.Remove(e.ctx, e.sc, e.agent.ID, "r")
	noError(t, err)
	equal(t, true, restart)
	equal(t, 4, e.host.changes)
	_, _, err = e.docs.Put(e.ctx, e.sc, e.agent.ID, agent.Soul, "x", "stale")
	is(t, err, agent.ErrDocumentConflict)
	equal(t, 4, e.host.changes)
}

func documentPrompt(t *testing.T, e *documentEnv) {
	prompt := func() string {
		t.Helper()
		text, err := e.docs.Prompt(e.ctx, e.sc, e.agent)
		noError(t, err)
		return text
	}
	inOrder := func(text string, parts ...string) {
		t.Helper()
		at := 0
		for _, p := range parts {
			i := strings.Index(text[at:], p)
			if i < 0 {
				t.Fatalf("%q is not there, or not in its place:\n%s", p, text)
			}
			at += i + len(p)
		}
	}
	equal(t, "", prompt())
	started := e.clock.Advance(time.Second)
	e.put(t, agent.Workflow, "the workflow")
	inOrder(prompt(), "My Assistant", "the workflow") // its name comes with the first document
	e.put(t, agent.Soul, "the soul")
	e.put(t, agent.IdentityCard, " \n\t")
	equal(t, "the soul\n\nthe workflow", prompt())
	e.put(t, rulePath(t, "refunds"), "secret procedure")
	e.put(t, rulePath(t, "greeting"), "another")
	text := prompt()
	inOrder(text, "the soul", "the workflow", agent.ReadRuleTool, "- greeting", "- refunds")
	equal(t, false, strings.Contains(text, "secret procedure"))
	e.host.at = started // what an instance was started with stays until its restart
	e.clock.Advance(time.Second)
	e.put(t, agent.Soul, "another soul")
	equal(t, text, prompt())
	e.host.at = e.clock.Now()
	inOrder(prompt(), "another soul", "the workflow")
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error { return e.docs.Forget(ctx, e.sc, e.agent.ID) }))
	inOrder(prompt(), "My Assistant") // a hosted agent knows its name in any case
}

// reader reads rules as a worker does.
type reader struct {
	rules map[string]string
	asked bool
	err   error
}

func (r reader) ReadRule(_ context.Context, _ account.Scope, _ id.Agent, name string) (string, bool, error) {
	text, ok := r.rules[name]
	if r.err == nil && r.asked && !ok {
		return "", true, agent.ErrDocumentNotFound
	}
	return text, r.asked, r.err
}

func documentTool(t *testing.T, e *documentEnv) {
	tools := func() []tool.Tool {
		t.Helper()
		tools, err := e.docs.Tools(e.ctx, e.sc, e.agent.ID)
		noError(t, err)
		return tools
	}
	read := func(with tool.Tool, input string) string {
		t.Helper()
		res, err := with.Call(e.ctx, tool.Call{Input: []byte(input)})
		noError(t, err)
		if res.IsError {
			return "error: " + res.Text
		}
		return res.Text
	}
	equal(t, 0, len(tools()))
	e.put(t, agent.Soul, "s")
	equal(t, 0, len(tools()))
	e.put(t, rulePath(t, "refunds"), "the procedure")
	e.put(t, rulePath(t, "empty"), "")
	got := tools()
	equal(t, 1, len(got))
	equal(t, agent.ReadRuleTool, got[0].Spec().Name)
	equal(t, "the procedure", read(got[0], `{"name":"refunds"}`))
	equal(t, "the procedure", read(got[0], `{"name":" refunds.md "}`))
	equal(t, "The rule is empty.", read(got[0], `{"name":"empty"}`))
	for _, bad := range []string{`{"name":"none"}`, `{"name":"../SOUL"}`, `{}`} {
		equal(t, "error: There is no rule of this name. You have: empty, refunds.", read(got[0], bad))
	}
	equal(t, true, strings.HasPrefix(read(got[0], `[]`), "error: "))

	e.host.at = e.clock.Now()
	e.clock.Advance(time.Second)
	e.put(t, rulePath(t, "refunds"), "changed")
	_, err := e.docs.Remove(e.ctx, e.sc, e.agent.ID, "empty")
	noError(t, err)
	equal(t, "the procedure", read(tools()[0], `{"name":"refunds"}`)) // as it was when the instance started
	equal(t, "The rule is empty.", read(tools()[0], `{"name":"empty"}`))

	e.docs.Connect(&e.host, reader{rules: map[string]string{"refunds": "from the instance"}, asked: true})
	equal(t, "from the instance", read(tools()[0], `{"name":"refunds"}`))
	equal(t, true, strings.HasPrefix(read(tools()[0], `{"name":"empty"}`), "error: "))
	e.docs.Connect(&e.host, reader{})
	equal(t, "the procedure", read(tools()[0], `{"name":"refunds"}`))
	e.docs.Connect(&e.host, reader{err: errors.New("no answer")})
	_, err = tools()[0].Call(e.ctx, tool.Call{Input: []byte(`{"name":"refunds"}`)})
	equal(t, true, err != nil)
}
