package audittest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite needs of a store.
type Store struct {
	TX         tx.Runner
	Repository audit.Repository
	Seals      audit.SealRepository
	// Overlapping says that two transactions can write at the same time.
	Overlapping bool
	// Tamper changes the stored entry behind the repository's back: it sets its metadata, or deletes it when metadata
	// is "".
	Tamper func(ctx context.Context, sc account.Scope, e id.AuditEntry, metadata string) error
}

// Config says how to test a store.
type Config struct {
	New func(t *testing.T) Store
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *bench){
		"Record":               testRecord,
		"Metadata":             testMetadata,
		"RolledBack":           testRolledBack,
		"Missing":              testMissing,
		"ForeignTenant":        testForeign,
		"Filters":              testFilters,
		"PagingToTheEnd":       testPaging,
		"Empty":                testEmpty,
		"MoreThanABatch":       testBatches,
		"LateCommit":           testLateCommit,
		"ConcurrentSealers":    testSealers,
		"Changed":              testChanged,
		"Removed":              testRemoved,
		"TailRemoved":          testTail,
		"ExportRoundTrip":      testExport,
		"ExportTampered":       testExportTampered,
		"RunSealsByItself":     testRun,
		"RunSweepsForOthers":   testSweep,
		"Cancelled":            testCancelled,
		"SealedStaysUntouched": testSealedStays,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, cfg.New(t)))
		})
	}
}

var bg = context.Background()

// bench is a service over the store with a tenant of its own.
type bench struct {
	*audit.Service

	st  Store
	sc  account.Scope
	ids id.Generator
	now time.Time
}

func newBench(t *testing.T, st Store) *bench {
	t.Helper()
	b := &bench{st: st, ids: id.NewGenerator(time.Now), now: time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC)}
	b.sc = account.System(id.New[id.TenantKind](b.ids))
	b.Service = b.service(t, audit.Config{})
	return b
}

func (b *bench) service(t *testing.T, c audit.Config) *audit.Service {
	t.Helper()
	s, err := audit.NewService(audit.Deps{
		TX: b.st.TX, Clock: clock.Func(func() time.Time { return b.now }), IDs: b.ids, Logger: slog.New(slog.DiscardHandler),
		Repository: b.st.Repository, Seals: b.st.Seals,
	}, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *bench) record(t *testing.T, n audit.NewEntry) id.AuditEntry {
	t.Helper()
	var e id.AuditEntry
	err := b.st.TX.Do(bg, func(ctx context.Context) (err error) {
		e, err = b.Record(ctx, b.sc, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (b *bench) records(t *testing.T, n int) []id.AuditEntry {
	t.Helper()
	var out []id.AuditEntry
	err := b.st.TX.Do(bg, func(ctx context.Context) error {
		out = nil
		for i := range n {
			e, err := b.Record(ctx, b.sc, audit.NewEntry{Action: "tested", Metadata: map[string]any{"n": i}})
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bench) verify(t *testing.T) audit.Report {
	t.Helper()
	r, err := b.Verify(bg, b.sc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (b *bench) valid(t *testing.T, count int64) {
	t.Helper()
	if r := b.verify(t); !r.Valid || r.Count != count || r.First != nil {
		t.Errorf("the trail is %+v (%+v); want %d valid entries", r, r.First, count)
	}
}

func (b *bench) broken(t *testing.T, index int64, e id.AuditEntry, reason string) {
	t.Helper()
	r := b.verify(t)
	if r.Valid || r.First == nil {
		t.Fatalf("the trail is %+v; want it broken", r)
	}
	if r.First.Index != index || r.First.ID != e || !strings.Contains(r.First.Reason, reason) {
		t.Errorf("broken at %+v; want entry %d, %s, because %q", *r.First, index, e, reason)
	}
}

func testRecord(t *testing.T, b *bench) {
	agent, key := id.New[id.AgentKind](b.ids), id.New[id.APIKeyKind](b.ids)
	b.sc.Key = key
	one := b.record(t, audit.NewEntry{Action: "agent_frozen", Agent: agent, Metadata: map[string]any{"b": 1, "a": "x"}})
	b.sc.Key = id.APIKey{}
	two := b.record(t, audit.NewEntry{Action: "server_started"})
	got, err := b.List(bg, b.sc, audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Items) != 2 || got.Items[0].ID != two || got.Items[1].ID != one {
		t.Fatalf("listed %+v; want the latest first", got.Items)
	}
	first, second := got.Items[1], got.Items[0]
	if first.Seq != 1 || first.PrevHash != audit.Genesis || second.Seq != 2 || second.PrevHash != first.Hash {
		t.Errorf("chained as %+v and %+v", first, second)
	}
	if first.Actor() != key.String() || second.Actor() != "system" || first.Agent != agent || !second.Agent.IsZero() {
		t.Errorf("actors %q and %q", first.Actor(), second.Actor())
	}
	want := `{"action":"agent_frozen","actor":"` + key.UUID().String() + `","agent_id":"` + agent.UUID().String() +
		`","created_at":"2026-11-21T12:00:00.123456Z","id":"` + one.UUID().String() + `","metadata":{"a":"x","b":1},"prev_hash":"` +
		audit.Genesis + `","seq":1,"tenant_id":"` + b.sc.Tenant.UUID().String() + `"}`
	if diff := cmp.Diff(want, string(first.Canonical())); diff != "" {
		t.Error(diff)
	}
	again, err := b.Get(bg, b.sc, one)
	if err != nil || again.Hash != first.Hash || string(again.Metadata) != `{"a":"x","b":1}` {
		t.Errorf("got %+v, %v", again, err)
	}
	b.valid(t, 2)
}

func testMetadata(t *testing.T, b *bench) {
	type meta struct {
		Text string `json:"text"`
	}
	for _, c := range []struct {
		in   any
		want string
	}{
		{nil, `{}`},
		{meta{"<é\u2028\x00>"}, "{\"text\":\"<é\u2028\\u0000>\"}"},
		{map[string]any{"n": 1 << 60, "f": 1.50, "z": nil, "l": []int{2, 1}}, `{"f":1.5,"l":[2,1],"n":1152921504606846976,"z":null}`},
	} {
		e := b.record(t, audit.NewEntry{Action: "tested", Metadata: c.in})
		got, err := b.Get(bg, b.sc, e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got.Metadata)); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []any{"text", 5, []string{"a"}, func() {}} {
		if _, err := b.Record(bg, b.sc, audit.NewEntry{Action: "tested", Metadata: bad}); !errors.Is(err, audit.ErrMetadata) {
			t.Errorf("metadata %T: %v; want ErrMetadata", bad, err)
		}
	}
	b.valid(t, 3)
}

func testRolledBack(t *testing.T, b *bench) {
	boom := errors.New("boom")
	err := b.st.TX.Do(bg, func(ctx context.Context) error {
		if _, err := b.Record(ctx, b.sc, audit.NewEntry{Action: "tested"}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	b.valid(t, 0)
}

func testMissing(t *testing.T, b *bench) {
	_, err := b.Get(bg, b.sc, id.New[id.AuditEntryKind](b.ids))
	if !errors.Is(err, id.NotFound[id.AuditEntryKind]("")) {
		t.Errorf("Get: %v; want audit_entry_not_found", err)
	}
}

func testForeign(t *testing.T, b *bench) {
	other := newBench(t, b.st)
	e := b.record(t, audit.NewEntry{Action: "tested"})
	if _, err := other.Get(bg, other.sc, e); !errors.Is(err, id.NotFound[id.AuditEntryKind]("")) {
		t.Errorf("Get: %v; want audit_entry_not_found", err)
	}
	other.valid(t, 0)
	other.records(t, 2)
	other.valid(t, 2)
	b.valid(t, 1)
}

func testFilters(t *testing.T, b *bench) {
	agent := id.New[id.AgentKind](b.ids)
	start := b.now
	b.record(t, audit.NewEntry{Action: "a", Agent: agent, Metadata: map[string]any{"n": 0}})
	b.now = b.now.Add(time.Minute)
	b.record(t, audit.NewEntry{Action: "b", Agent: agent, Metadata: map[string]any{"n": 1}})
	b.now = b.now.Add(time.Minute)
	key := id.New[id.APIKeyKind](b.ids)
	b.sc.Key = key
	b.record(t, audit.NewEntry{Action: "a", Metadata: map[string]any{"n": 2}})
	for want, f := range map[int]audit.Filter{
		3: {Page: page.Request{Limit: 1, Count: true}}, 2: {Action: "a", Page: page.Request{Offset: 5, Count: true}}, 0: {},
	} {
		if p, err := b.List(bg, b.sc, f); err != nil || p.Total != want {
			t.Errorf("%+v: %d in all, %v; want %d", f, p.Total, err, want)
		}
	}
	for name, c := range map[string]struct {
		f    audit.Filter
		want []string
	}{
		"all":    {audit.Filter{}, []string{`{"n":2}`, `{"n":1}`, `{"n":0}`}},
		"agent":  {audit.Filter{Agent: agent}, []string{`{"n":1}`, `{"n":0}`}},
		"action": {audit.Filter{Action: "a"}, []string{`{"n":2}`, `{"n":0}`}},
		"both":   {audit.Filter{Action: "a", Agent: agent}, []string{`{"n":0}`}},
		"since":  {audit.Filter{Since: start.Add(time.Minute)}, []string{`{"n":2}`, `{"n":1}`}},
		"until":  {audit.Filter{Until: start.Add(time.Minute)}, []string{`{"n":0}`}},
		"key":    {audit.Filter{Key: key}, []string{`{"n":2}`}},
		"system": {audit.Filter{System: true}, []string{`{"n":1}`, `{"n":0}`}},
		"second": {audit.Filter{Page: page.Request{Limit: 2, Offset: 2}}, []string{`{"n":0}`}},
		"beyond": {audit.Filter{Page: page.Request{Limit: 2, Offset: 4}}, nil},
	} {
		p, err := b.List(bg, b.sc, c.f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range p.Items {
			got = append(got, string(e.Metadata))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func testPaging(t *testing.T, b *bench) {
	want := b.records(t, 7)
	var got []id.AuditEntry
	f := audit.Filter{Page: page.Request{Limit: 3}}
	for {
		p, err := b.List(bg, b.sc, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Items {
			got = append([]id.AuditEntry{e.ID}, got...)
		}
		if f.Page.Cursor = p.Next; p.Next == "" {
			break
		}
		b.record(t, audit.NewEntry{Action: "meanwhile"}) // must not shift what is still to come
	}
	if diff := cmp.Diff(len(want), len(got)); diff != "" {
		t.Fatal(diff)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d is %s; want %s", i, got[i], want[i])
		}
	}
	if _, err := b.List(bg, b.sc, audit.Filter{Page: page.Request{Cursor: "x"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

func testEmpty(t *testing.T, b *bench) {
	if r := b.verify(t); !r.Valid || r.Count != 0 || r.Head != audit.Genesis || r.Tenant != b.sc.Tenant {
		t.Errorf("an empty trail is %+v", r)
	}
	var out bytes.Buffer
	if err := b.Export(bg, b.sc, 0, &out); err != nil {
		t.Fatal(err)
	}
	if r, err := audit.VerifyExport(&out); err != nil || !r.Valid || r.Count != 0 {
		t.Errorf("its export is %+v, %v", r, err)
	}
}

func testBatches(t *testing.T, b *bench) {
	b.records(t, 1101)
	b.valid(t, 1101)
	b.records(t, 500)
	b.valid(t, 1601)
}

// testLateCommit has an entry with a smaller id commit after a greater one was sealed: it is chained later, and not
// forgotten.
func testLateCommit(t *testing.T, b *bench) {
	if !b.st.Overlapping {
		t.Skip("this store has one writer")
	}
	recorded, release := make(chan struct{}), make(chan struct{})
	var early id.AuditEntry
	var wg sync.WaitGroup
	wg.Go(func() {
		err := b.st.TX.Do(bg, func(ctx context.Context) (err error) {
			early, err = b.Record(ctx, b.sc, audit.NewEntry{Action: "early"})
			close(recorded)
			<-release // a test may wait here, where the store's users may not
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-recorded
	late := b.record(t, audit.NewEntry{Action: "late"})
	b.valid(t, 1)
	close(release)
	wg.Wait()
	b.valid(t, 2)
	got, err := b.List(bg, b.sc, audit.Filter{})
	if err != nil || len(got.Items) != 2 || got.Items[0].ID != early || got.Items[1].ID != late {
		t.Errorf("the chain is %+v, %v; want the late commit last", got.Items, err)
	}
}

func testSealers(t *testing.T, b *bench) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := b.Record(bg, b.sc, audit.NewEntry{Action: "tested"}); err != nil {
					t.Error(err)
				}
				if err := b.Seal(bg, b.sc); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.valid(t, 80)
}

func testChanged(t *testing.T, b *bench) {
	es := b.records(t, 5)
	b.valid(t, 5)
	if err := b.st.Tamper(bg, b.sc, es[2], `{"n":7}`); err != nil {
		t.Fatal(err)
	}
	b.broken(t, 3, es[2], "hash")
}

func testRemoved(t *testing.T, b *bench) {
	es := b.records(t, 5)
	b.valid(t, 5)
	if err := b.st.Tamper(bg, b.sc, es[2], ""); err != nil {
		t.Fatal(err)
	}
	b.broken(t, 3, es[3], "removed")
}

func testTail(t *testing.T, b *bench) {
	es := b.records(t, 5)
	b.valid(t, 5)
	for _, e := range es[3:] {
		if err := b.st.Tamper(bg, b.sc, e, ""); err != nil {
			t.Fatal(err)
		}
	}
	b.broken(t, 4, id.AuditEntry{}, "the last 2 entries are missing")
}

func (b *bench) export(t *testing.T) []string {
	t.Helper()
	var out bytes.Buffer
	if err := b.Export(bg, b.sc, 0, &out); err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func testExport(t *testing.T, b *bench) {
	b.records(t, 700)
	lines := b.export(t)
	if len(lines) != 701 {
		t.Fatalf("%d lines; want a header and 700 entries", len(lines))
	}
	want := b.verify(t)
	got, err := audit.VerifyExport(strings.NewReader(strings.Join(lines, "")))
	if err != nil || !got.Valid || got.Head != want.Head || got.Count != 700 || got.Tenant != b.sc.Tenant {
		t.Errorf("the export is %+v, %v; want %+v", got, err, want)
	}
	boom := errors.New("boom")
	if _, err := audit.VerifyExport(iotest.ErrReader(boom)); !errors.Is(err, boom) {
		t.Errorf("a reader that fails: %v", err)
	}
}

func testExportTampered(t *testing.T, b *bench) {
	es := b.records(t, 6)
	lines := b.export(t)
	for name, c := range map[string]struct {
		change func(l []string) []string
		index  int64
		id     id.AuditEntry
		reason string
	}{
		"changed": {func(l []string) []string {
			l[3] = strings.Replace(l[3], `{"n":2}`, `{"n":9}`, 1)
			return l
		}, 3, es[2], "hash"},
		"removed":   {func(l []string) []string { return append(l[:2], l[3:]...) }, 2, es[2], "removed"},
		"reordered": {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, 4, es[4], "reordered"},
		"doubled":   {func(l []string) []string { return append(l[:3], append([]string{l[2]}, l[3:]...)...) }, 3, es[1], "reordered"},
		"truncated": {func(l []string) []string { return l[:5] }, 5, id.AuditEntry{}, "missing"},
		"appended":  {func(l []string) []string { l[0] = strings.Replace(l[0], `"count":6`, `"count":5`, 1); return l }, 6, id.AuditEntry{}, "more entries"},
		"white space": {func(l []string) []string {
			l[2] = strings.Replace(l[2], `,"actor"`, `, "actor"`, 1)
			return l
		}, 2, es[1], "canonical"},
		"a second member of one name": {func(l []string) []string {
			l[2] = strings.Replace(l[2], `{"action"`, `{"action":"innocent","action"`, 1)
			return l
		}, 2, es[1], "canonical"},
		"no header": {func(l []string) []string { return l[1:] }, 1, es[0], "header"},
		"an unknown member": {func(l []string) []string {
			l[2] = strings.Replace(l[2], `{"action"`, `{"note":1,"action"`, 1)
			return l
		}, 2, id.AuditEntry{}, "cannot be read"},
		"garbage": {func(l []string) []string { l[1] = "{\n"; return l }, 1, id.AuditEntry{}, "cannot be read"},
	} {
		changed := strings.Join(c.change(append([]string(nil), lines...)), "")
		r, err := audit.VerifyExport(strings.NewReader(changed))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Valid || r.First == nil || r.First.Index != c.index || r.First.ID != c.id || !strings.Contains(r.First.Reason, c.reason) {
			t.Errorf("%s: %+v (%+v); want entry %d, %s, because %q", name, r, r.First, c.index, c.id, c.reason)
		}
	}
	for _, bad := range []string{"", "{}", "[]\n", `{"format":"bureau-audit/2"}`, `{"format":"bureau-audit/1","tenant_id":"x"}`} {
		if _, err := audit.VerifyExport(strings.NewReader(bad)); !errors.Is(err, audit.ErrNotExport) {
			t.Errorf("VerifyExport(%q): %v; want ErrNotExport", bad, err)
		}
	}
}

// sealed waits until nothing of the tenant is unsealed.
func (b *bench) sealed(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		pending, err := b.st.Seals.Pending(bg, b.sc)
		if err != nil {
			t.Fatal(err)
		}
		if !pending {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the entry was not sealed in 10 s")
		}
		time.Sleep(2 * time.Millisecond) // the sealer tells nobody when it is done
	}
}

func runService(t *testing.T, s *audit.Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(bg)
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

func testRun(t *testing.T, b *bench) {
	s := b.service(t, audit.Config{SealEvery: time.Millisecond, SweepEvery: time.Hour})
	runService(t, s)
	for range 3 {
		if _, err := s.Record(bg, b.sc, audit.NewEntry{Action: "tested"}); err != nil {
			t.Fatal(err)
		}
		b.sealed(t)
	}
	b.valid(t, 3)
}

func testSweep(t *testing.T, b *bench) {
	runService(t, b.service(t, audit.Config{SweepEvery: 5 * time.Millisecond}))
	b.records(t, 3) // by another service, which does not run
	b.sealed(t)
	b.valid(t, 3)
}

func testCancelled(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := b.Record(ctx, b.sc, audit.NewEntry{Action: "tested"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Record: %v; want context.Canceled", err)
	}
	b.valid(t, 0)
}

// testSealedStays seals what is sealed already, as a sealer with stale rows would.
func testSealedStays(t *testing.T, b *bench) {
	b.records(t, 2)
	b.valid(t, 2)
	got, err := b.List(bg, b.sc, audit.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	stale := got.Items[:1]
	stale[0].Seq, stale[0].Hash = 7, audit.Genesis
	err = b.st.TX.Do(bg, func(ctx context.Context) error {
		return b.st.Seals.Seal(ctx, b.sc, stale, audit.Chain{Count: 7, Head: audit.Genesis})
	})
	if err == nil {
		t.Error("a sealed entry was sealed again")
	}
	b.valid(t, 2)
}
