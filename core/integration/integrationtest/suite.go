package integrationtest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Stores are the repositories of one database.
type Stores struct {
	Installations integration.Installations
	Publications  integration.Publications
	Conversations integration.Conversations
	Deliveries    integration.Deliveries
	Outbox        integration.Outbox
	TX            tx.Runner
}

// Config says how to test stores.
type Config struct {
	New func(t *testing.T) Stores
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *bench){
		"Install":         testInstall,
		"WorkspaceTaken":  testTaken,
		"TakenAtOnce":     testTakenAtOnce,
		"Route":           testRoute,
		"Remove":          testRemove,
		"ForeignTenant":   testForeign,
		"Publish":         testPublish,
		"PublishAtOnce":   testPublishAtOnce,
		"ListToTheEnd":    testList,
		"UpdateRollback":  testUpdateRollback,
		"Conversation":    testConversation,
		"OneSessionOnly":  testOneSession,
		"Deliver":         testDeliver,
		"DeliverOnce":     testDeliverOnce,
		"Due":             testDue,
		"Outbox":          testOutbox,
		"Stale":           testStale,
		"Prune":           testPrune,
		"TransactionLost": testRollback,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{Stores: cfg.New(t), ids: id.NewGenerator(time.Now), now: time.Date(2026, 11, 21, 23, 30, 0, 123456000, time.UTC)}
			b.sc, b.other = account.System(id.New[id.TenantKind](b.ids)), account.System(id.New[id.TenantKind](b.ids))
			test(t, b)
		})
	}
}

var bg = context.Background()

type bench struct {
	Stores

	ids       id.Generator
	now       time.Time
	sc, other account.Scope
}

// equal compares entities, whose ids have unexported fields.
var equal = cmp.Options{
	cmp.Comparer(func(a, b id.Tenant) bool { return a == b }), cmp.Comparer(func(a, b id.Installation) bool { return a == b }),
	cmp.Comparer(func(a, b id.Publication) bool { return a == b }), cmp.Comparer(func(a, b id.Delivery) bool { return a == b }),
	cmp.Comparer(func(a, b id.Post) bool { return a == b }), cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
	cmp.Comparer(func(a, b id.Session) bool { return a == b }), cmp.Comparer(func(a, b id.Event) bool { return a == b }),
	cmp.Comparer(func(a, b id.Environment) bool { return a == b }), cmp.Comparer(func(a, b id.APIKey) bool { return a == b }),
}

func same[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// ws makes the name of a workspace the test's own: tests share a store.
func (b *bench) ws(names ...string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = b.sc.Tenant.String() + n
	}
	return out
}

func (b *bench) installation(sc account.Scope, workspace string, more ...string) integration.Installation {
	accounts := b.ws(append([]string{workspace}, more...)...)
	return integration.Installation{
		ID: id.New[id.InstallationKind](b.ids), Tenant: sc.Tenant, Provider: "slack", WorkspaceID: accounts[0], WorkspaceName: "Team's \"" + workspace + "\"",
		Kind: "team", BotUserID: "U1", BotLogin: "bot", AuthorizedBy: "U2", Scopes: []string{"a", "b"}, Accounts: accounts,
		Environment: id.New[id.EnvironmentKind](b.ids), Status: integration.Installed, SealedToken: []byte{0, 1, 255}, TokenExpiry: b.now.Add(time.Hour),
		InstalledBy: id.New[id.APIKeyKind](b.ids), CreatedAt: b.now, UpdatedAt: b.now,
	}
}

func (b *bench) install(t *testing.T, workspace string, more ...string) integration.Installation {
	t.Helper()
	return must[integration.Installation](t)(b.Installations.Save(bg, b.sc, b.installation(b.sc, workspace, more...)))
}

func testInstall(t *testing.T, b *bench) {
	want := b.installation(b.sc, "T1")
	same(t, want, must[integration.Installation](t)(b.Installations.Save(bg, b.sc, want)))
	same(t, want, must[integration.Installation](t)(b.Installations.Get(bg, b.sc, want.ID)))

	again := b.installation(b.sc, "T1")
	again.Environment, again.Scopes, again.SealedToken, again.TokenExpiry = id.Environment{}, nil, []byte("new"), time.Time{}
	again.WorkspaceName, again.CreatedAt, again.UpdatedAt = "renamed", b.now.Add(time.Minute), b.now.Add(time.Minute)
	got := must[integration.Installation](t)(b.Installations.Save(bg, b.sc, again))
	again.ID, again.CreatedAt, again.Environment = want.ID, want.CreatedAt, want.Environment
	same(t, again, got)
	same(t, []integration.Installation{again}, must[[]integration.Installation](t)(b.Installations.List(bg, b.sc, "slack")))
	if all := must[[]integration.Installation](t)(b.Installations.List(bg, b.sc, "github")); len(all) != 0 {
		t.Errorf("another integration has %v", all)
	}
	b.install(t, "T2")
	if all := must[[]integration.Installation](t)(b.Installations.List(bg, b.sc, "")); len(all) != 2 || all[0].WorkspaceID != b.ws("T1")[0] {
		t.Errorf("the installations are %v", all)
	}
}

func testTaken(t *testing.T, b *bench) {
	b.install(t, "T1")
	_, err := b.Installations.Save(bg, b.other, b.installation(b.other, "T1"))
	wants(t, err, integration.ErrWorkspaceTaken)
	if all := must[[]integration.Installation](t)(b.Installations.List(bg, b.other, "")); len(all) != 0 {
		t.Errorf("what was refused is stored: %v", all)
	}
	// Further accounts that are somebody else's stay so, and are no reason to refuse.
	got := must[integration.Installation](t)(b.Installations.Save(bg, b.other, b.installation(b.other, "T2", "T1", "T3")))
	tenant, installation, ok, err := b.Installations.Route(bg, "slack", b.ws("T1"))
	if err != nil || !ok || tenant != b.sc.Tenant || installation == got.ID {
		t.Errorf("T1 is %v's %v, %t, %v", tenant, installation, ok, err)
	}
	if tenant, _, ok, err := b.Installations.Route(bg, "slack", b.ws("T3")); err != nil || !ok || tenant != b.other.Tenant {
		t.Errorf("T3 is %v's, %t, %v", tenant, ok, err)
	}
}

func testTakenAtOnce(t *testing.T, b *bench) {
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 6 {
		sc := account.System(id.New[id.TenantKind](b.ids))
		wg.Go(func() {
			_, err := b.Installations.Save(bg, sc, b.installation(sc, "T1"))
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, integration.ErrWorkspaceTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d tenants have the workspace", won.Load())
	}
}

func testRoute(t *testing.T, b *bench) {
	i := b.install(t, "T1", "E1")
	for _, accounts := range [][]string{{"T1"}, {"E1"}, {"nobody", "E1"}} {
		tenant, installation, ok, err := b.Installations.Route(bg, "slack", b.ws(accounts...))
		if err != nil || !ok || tenant != b.sc.Tenant || installation != i.ID {
			t.Errorf("%v is %v's %v, %t, %v", accounts, tenant, installation, ok, err)
		}
	}
	if _, _, ok, err := b.Installations.Route(bg, "github", b.ws("T1")); ok || err != nil {
		t.Errorf("another integration's workspace is found: %v", err)
	}
	if _, _, ok, err := b.Installations.Route(bg, "slack", nil); ok || err != nil {
		t.Errorf("nothing is found: %v", err)
	}
}

func testRemove(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	gone := b.now.Add(time.Hour)
	got := must[integration.Installation](t)(b.Installations.Update(bg, b.sc, i.ID, func(i *integration.Installation) error {
		i.Status, i.SealedToken, i.TokenExpiry, i.UpdatedAt, i.RemovedAt = integration.Uninstalled, nil, time.Time{}, gone, &gone
		return nil
	}))
	i.Status, i.SealedToken, i.TokenExpiry, i.UpdatedAt, i.RemovedAt = integration.Uninstalled, nil, time.Time{}, gone, &gone
	same(t, i, got)
	same(t, i, must[integration.Installation](t)(b.Installations.Get(bg, b.sc, i.ID)))
	if _, _, ok, err := b.Installations.Route(bg, "slack", b.ws("T1")); ok || err != nil {
		t.Errorf("its events are still its own: %v", err)
	}
	// Others may have the workspace now, and it may come back to them only.
	must[integration.Installation](t)(b.Installations.Save(bg, b.other, b.installation(b.other, "T1")))
	_, err := b.Installations.Save(bg, b.sc, b.installation(b.sc, "T1"))
	wants(t, err, integration.ErrWorkspaceTaken)
}

func testForeign(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	p := b.publish(t, i)
	d := b.deliver(t, i, "Ev1")
	_, err := b.Installations.Get(bg, b.other, i.ID)
	wants(t, err, id.NotFound[id.InstallationKind](""))
	_, err = b.Installations.Update(bg, b.other, i.ID, func(*integration.Installation) error { t.Error("called"); return nil })
	wants(t, err, id.NotFound[id.InstallationKind](""))
	_, err = b.Publications.Get(bg, b.other, p.ID)
	wants(t, err, id.NotFound[id.PublicationKind](""))
	_, err = b.Publications.Update(bg, b.other, p.ID, func(*integration.Publication) error { t.Error("called"); return nil })
	wants(t, err, id.NotFound[id.PublicationKind](""))
	_, err = b.Deliveries.Get(bg, b.other, d.ID)
	wants(t, err, id.NotFound[id.DeliveryKind](""))
	_, err = b.Deliveries.Update(bg, b.other, d.ID, func(*integration.Delivery) error { t.Error("called"); return nil })
	wants(t, err, id.NotFound[id.DeliveryKind](""))
	_, err = b.Outbox.UpdatePost(bg, b.other, id.New[id.PostKind](b.ids), func(*integration.Post) error { t.Error("called"); return nil })
	wants(t, err, id.NotFound[id.PostKind](""))
	if live := must[[]integration.Publication](t)(b.Publications.Live(bg, b.other, i.ID)); len(live) != 0 {
		t.Errorf("another tenant sees %v", live)
	}
	if found := must[page.Page[integration.Publication]](t)(b.Publications.List(bg, b.other, integration.ListRequest{})); len(found.Items) != 0 {
		t.Errorf("another tenant lists %v", found.Items)
	}
}

func (b *bench) publication(i integration.Installation) integration.Publication {
	return integration.Publication{
		ID: id.New[id.PublicationKind](b.ids), Tenant: b.sc.Tenant, Provider: "slack", Installation: i.ID, Agent: id.New[id.AgentKind](b.ids),
		Granularity: integration.PerThread, Mode: integration.ModeFull, Persona: integration.Persona{Name: "Ada", AvatarURL: "https://x.example/a"},
		Capabilities: []string{"a"}, Channels: []string{"C1", "it's"}, Status: integration.Live, CreatedAt: b.now, UpdatedAt: b.now,
	}
}

func (b *bench) publish(t *testing.T, i integration.Installation) integration.Publication {
	t.Helper()
	p := b.publication(i)
	if err := b.Publications.Insert(bg, b.sc, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bench) end(t *testing.T, p integration.Publication) integration.Publication {
	t.Helper()
	gone := b.now.Add(time.Minute)
	return must[integration.Publication](t)(b.Publications.Update(bg, b.sc, p.ID, func(p *integration.Publication) error {
		p.Status, p.EndedAt, p.UpdatedAt = integration.Unpublished, &gone, gone
		return nil
	}))
}

func testPublish(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	want := b.publish(t, i)
	same(t, want, must[integration.Publication](t)(b.Publications.Get(bg, b.sc, want.ID)))
	twin := b.publication(i)
	twin.Agent = want.Agent
	wants(t, b.Publications.Insert(bg, b.sc, twin), integration.ErrPublished)

	got := must[integration.Publication](t)(b.Publications.Update(bg, b.sc, want.ID, func(p *integration.Publication) error {
		p.Granularity, p.Persona, p.Capabilities, p.Channels = integration.PerEvent, integration.Persona{}, nil, []string{"C9"}
		p.Environment = i.Environment
		return nil
	}))
	want.Granularity, want.Persona, want.Capabilities, want.Channels = integration.PerEvent, integration.Persona{}, nil, []string{"C9"}
	want.Environment = i.Environment
	same(t, want, got)
	same(t, []integration.Publication{want}, must[[]integration.Publication](t)(b.Publications.Live(bg, b.sc, i.ID)))

	ended := b.end(t, want)
	same(t, ended, must[integration.Publication](t)(b.Publications.Get(bg, b.sc, want.ID)))
	if live := must[[]integration.Publication](t)(b.Publications.Live(bg, b.sc, i.ID)); len(live) != 0 {
		t.Errorf("live are %v", live)
	}
	if err := b.Publications.Insert(bg, b.sc, twin); err != nil { // there is room for another one
		t.Fatal(err)
	}
}

func testPublishAtOnce(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	agent := id.New[id.AgentKind](b.ids)
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		p := b.publication(i)
		p.Agent = agent
		wg.Go(func() {
			switch err := b.Publications.Insert(bg, b.sc, p); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, integration.ErrPublished):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d live publications of one agent", made.Load())
	}
}

func testList(t *testing.T, b *bench) {
	one, two := b.install(t, "T1"), b.install(t, "T2")
	var want []integration.Publication
	for n := range 7 {
		p := b.publish(t, []integration.Installation{one, two}[n%2])
		if n == 3 {
			p = b.end(t, p)
		}
		want = append([]integration.Publication{p}, want...)
	}
	got := pagetest.Walk(t, 3, pagetest.Whole, func(req page.Request) (page.Page[integration.Publication], error) {
		return b.Publications.List(bg, b.sc, integration.ListRequest{Request: req, Provider: "slack"})
	})
	same(t, want, got)
	for _, c := range []struct {
		req  integration.ListRequest
		want int
	}{
		{integration.ListRequest{Provider: "github"}, 0},
		{integration.ListRequest{Installation: one.ID}, 4},
		{integration.ListRequest{Installation: two.ID, Status: integration.Live}, 2},
		{integration.ListRequest{Status: integration.Unpublished}, 1},
		{integration.ListRequest{Agent: want[0].Agent}, 1},
	} {
		if p := must[page.Page[integration.Publication]](t)(b.Publications.List(bg, b.sc, c.req)); len(p.Items) != c.want {
			t.Errorf("%+v lists %d, want %d", c.req, len(p.Items), c.want)
		}
	}
	if _, err := b.Publications.List(bg, b.sc, integration.ListRequest{Request: page.Request{Cursor: "x"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor is %v", err)
	}
}

func testUpdateRollback(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	p := b.publish(t, i)
	no := errors.New("no")
	_, err := b.Publications.Update(bg, b.sc, p.ID, func(p *integration.Publication) error { p.Mode = "other"; return no })
	wants(t, err, no)
	same(t, p, must[integration.Publication](t)(b.Publications.Get(bg, b.sc, p.ID)))
	_, err = b.Installations.Update(bg, b.sc, i.ID, func(i *integration.Installation) error { i.Status = integration.Uninstalled; return no })
	wants(t, err, no)
	same(t, i, must[integration.Installation](t)(b.Installations.Get(bg, b.sc, i.ID)))
}

func testConversation(t *testing.T, b *bench) {
	p := b.publish(t, b.install(t, "T1"))
	find := func(sc account.Scope, conversation string) (session id.Session, ok bool) {
		t.Helper()
		err := b.TX.Do(bg, func(ctx context.Context) error {
			var err error
			session, ok, err = b.Conversations.Session(ctx, sc, p.ID, conversation)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return session, ok
	}
	if _, ok := find(b.sc, "c"); ok {
		t.Error("there is a session before the first message")
	}
	for range 2 { // the second takes the first's place
		want := id.New[id.SessionKind](b.ids)
		if err := b.Conversations.SetSession(bg, b.sc, p.ID, "c", want, b.now); err != nil {
			t.Fatal(err)
		}
		if got, ok := find(b.sc, "c"); !ok || got != want {
			t.Errorf("the session is %v, %t", got, ok)
		}
	}
	if _, ok := find(b.other, "c"); ok {
		t.Error("another tenant finds the session")
	}
}

// testOneSession has several callers find or make the session of one conversation.
func testOneSession(t *testing.T, b *bench) {
	p := b.publish(t, b.install(t, "T1"))
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		mine := id.New[id.SessionKind](b.ids)
		wg.Go(func() {
			fresh := false
			err := b.TX.Do(bg, func(ctx context.Context) error {
				_, ok, err := b.Conversations.Session(ctx, b.sc, p.ID, "c")
				if fresh = !ok; err != nil || ok {
					return err
				}
				return b.Conversations.SetSession(ctx, b.sc, p.ID, "c", mine, b.now)
			})
			if err != nil {
				t.Error(err)
			}
			if fresh {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 {
		t.Errorf("%d sessions were made", made.Load())
	}
}

func (b *bench) delivery(i integration.Installation, event string) integration.Delivery {
	return integration.Delivery{
		ID: id.New[id.DeliveryKind](b.ids), Tenant: b.sc.Tenant, Installation: i.ID, Provider: "slack", External: b.sc.Tenant.String() + event,
		Message: integration.Message{
			Key: "C1:" + event, Channel: "C1", Thread: "1.2", Author: "U1", Name: "Eve", Text: "Say \"hello\" 'now' ? \\", Title: "T", Addressed: true,
			Mentions: []string{"bot"}, At: b.now,
		},
		State: integration.Received, CheckAt: b.now, CreatedAt: b.now, UpdatedAt: b.now,
	}
}

func (b *bench) deliver(t *testing.T, i integration.Installation, event string) integration.Delivery {
	t.Helper()
	d := b.delivery(i, event)
	if fresh := must[bool](t)(b.Deliveries.Insert(bg, b.sc, d)); !fresh {
		t.Fatalf("%s is stored already", event)
	}
	return d
}

func testDeliver(t *testing.T, b *bench) {
	want := b.deliver(t, b.install(t, "T1"), "Ev1")
	same(t, want, must[integration.Delivery](t)(b.Deliveries.Get(bg, b.sc, want.ID)))
	change := func(d *integration.Delivery) error {
		d.State, d.Publication, d.Session, d.Input = integration.Running, id.Of[id.PublicationKind](want.ID.UUID()), id.Of[id.SessionKind](want.ID.UUID()),
			id.Of[id.EventKind](want.ID.UUID())
		d.Notice, d.CheckAt, d.Error, d.UpdatedAt = 7, b.now.Add(time.Second), "oops", b.now.Add(time.Second)
		return nil
	}
	got := must[integration.Delivery](t)(b.Deliveries.Update(bg, b.sc, want.ID, change))
	_ = change(&want)
	same(t, want, got)
	same(t, want, must[integration.Delivery](t)(b.Deliveries.Get(bg, b.sc, want.ID)))
}

func testDeliverOnce(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	d := b.deliver(t, i, "Ev1")
	again := b.delivery(i, "Ev1") // the same event
	again.Message.Key = "another"
	if must[bool](t)(b.Deliveries.Insert(bg, b.sc, again)) {
		t.Error("an event is stored twice")
	}
	again = b.delivery(i, "Ev2") // the same message
	again.Message.Key = d.Message.Key
	if must[bool](t)(b.Deliveries.Insert(bg, b.sc, again)) {
		t.Error("a message is stored twice")
	}
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		d := b.delivery(i, "Ev3")
		wg.Go(func() {
			ok, err := b.Deliveries.Insert(bg, b.sc, d)
			if err != nil {
				t.Error(err)
			}
			if ok {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("an event that came often at once is stored %d times", fresh.Load())
	}
}

func testDue(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	var want []id.Delivery
	for n := range 5 {
		d := b.deliver(t, i, "Ev"+strconv.Itoa(n))
		must[integration.Delivery](t)(b.Deliveries.Update(bg, b.sc, d.ID, func(d *integration.Delivery) error {
			d.CheckAt = b.now.Add(time.Duration(-n) * time.Second)
			if n != 2 {
				d.State = integration.Running
			}
			return nil
		}))
		if n == 3 || n == 4 {
			want = append([]id.Delivery{d.ID}, want...)
		}
	}
	var got []id.Delivery
	for _, d := range must[[]integration.Delivery](t)(b.Deliveries.Due(bg, b.now.Add(-3*time.Second), 1000)) {
		if d.Tenant == b.sc.Tenant { // others' tests share the store
			got = append(got, d.ID)
		}
	}
	same(t, want, got)
	if due := must[[]integration.Delivery](t)(b.Deliveries.Due(bg, b.now, 1)); len(due) != 1 {
		t.Errorf("%d are due", len(due))
	}
}

func testOutbox(t *testing.T, b *bench) {
	d := b.deliver(t, b.install(t, "T1"), "Ev1")
	want := integration.Post{
		ID: id.New[id.PostKind](b.ids), Tenant: b.sc.Tenant, Delivery: d.ID, Text: "héllo \"?\" \\", State: integration.Pending, CreatedAt: b.now, UpdatedAt: b.now,
	}
	if !must[bool](t)(b.Outbox.InsertPost(bg, b.sc, want)) {
		t.Fatal("the first post is there already")
	}
	twin := want
	twin.ID = id.New[id.PostKind](b.ids)
	if must[bool](t)(b.Outbox.InsertPost(bg, b.sc, twin)) {
		t.Error("a delivery has two replies")
	}
	twin.Mark = 9
	if !must[bool](t)(b.Outbox.InsertPost(bg, b.sc, twin)) {
		t.Error("a notice is taken for the reply")
	}
	got := must[integration.Post](t)(b.Outbox.UpdatePost(bg, b.sc, want.ID, func(p *integration.Post) error {
		same(t, want, *p)
		p.State, p.External, p.Error, p.UpdatedAt = integration.Posted, "1.2", "x", b.now.Add(time.Second)
		return nil
	}))
	want.State, want.External, want.Error, want.UpdatedAt = integration.Posted, "1.2", "x", b.now.Add(time.Second)
	same(t, want, got)
	no := errors.New("no")
	_, err := b.Outbox.UpdatePost(bg, b.sc, want.ID, func(p *integration.Post) error { same(t, want, *p); p.State = integration.Pending; return no })
	wants(t, err, no)
	must[integration.Post](t)(b.Outbox.UpdatePost(bg, b.sc, want.ID, func(p *integration.Post) error { same(t, want, *p); return nil }))
}

func testStale(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	at := time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC) // older than anything of the other tests
	ids := map[int]id.Delivery{}
	for n, state := range []integration.DeliveryState{integration.Received, integration.Running, integration.Received, integration.Received} {
		d := b.delivery(i, "Ev"+strconv.Itoa(n))
		d.State, d.UpdatedAt = state, at.Add(time.Duration(-n)*time.Second)
		must[bool](t)(b.Deliveries.Insert(bg, b.sc, d))
		p := integration.Post{
			ID: id.Of[id.PostKind](d.ID.UUID()), Tenant: b.sc.Tenant, Delivery: d.ID, Text: "x", State: integration.Sending, CreatedAt: b.now, UpdatedAt: d.UpdatedAt,
		}
		if state == integration.Running {
			p.State = integration.Pending
		}
		must[bool](t)(b.Outbox.InsertPost(bg, b.sc, p))
		ids[n] = d.ID
	}
	var got []id.Delivery
	for _, d := range must[[]integration.Delivery](t)(b.Deliveries.Stale(bg, at, 10)) {
		got = append(got, d.ID)
	}
	same(t, []id.Delivery{ids[3], ids[2]}, got)
	var posts []id.Delivery
	for _, p := range must[[]integration.Post](t)(b.Outbox.StalePosts(bg, at, 10)) {
		posts = append(posts, p.Delivery)
	}
	same(t, got, posts)
	if one := must[[]integration.Delivery](t)(b.Deliveries.Stale(bg, at, 1)); len(one) != 1 {
		t.Errorf("%d are stale", len(one))
	}
}

func testPrune(t *testing.T, b *bench) {
	i := b.install(t, "T1")
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) // older than anything of the other tests
	made := map[string]integration.Delivery{}
	for name, age := range map[string]time.Duration{"old": 0, "running": 0, "new": 48 * time.Hour} {
		d := b.delivery(i, name)
		d.CreatedAt, d.State = at.Add(age), integration.Answered
		if name == "running" {
			d.State = integration.Running
		}
		must[bool](t)(b.Deliveries.Insert(bg, b.sc, d))
		must[bool](t)(b.Outbox.InsertPost(bg, b.sc, integration.Post{
			ID: id.Of[id.PostKind](d.ID.UUID()), Tenant: b.sc.Tenant, Delivery: d.ID, Text: "x", State: integration.Posted, CreatedAt: b.now, UpdatedAt: b.now,
		}))
		made[name] = d
	}
	if n := must[int](t)(b.Deliveries.Prune(bg, at.Add(24*time.Hour))); n != 1 {
		t.Errorf("%d were removed", n)
	}
	for name, d := range made {
		_, err := b.Deliveries.Get(bg, b.sc, d.ID)
		_, perr := b.Outbox.UpdatePost(bg, b.sc, id.Of[id.PostKind](d.ID.UUID()), func(*integration.Post) error { return nil })
		if gone := fault.KindOf(err) == fault.NotFound; gone != (name == "old") || gone != (perr != nil) {
			t.Errorf("%s: %v, its post: %v", name, err, perr)
		}
	}
}

func testRollback(t *testing.T, b *bench) {
	no := errors.New("no")
	i := b.installation(b.sc, "T1")
	err := b.TX.Do(bg, func(ctx context.Context) error {
		if _, err := b.Installations.Save(ctx, b.sc, i); err != nil {
			return err
		}
		if err := b.Publications.Insert(ctx, b.sc, b.publication(i)); err != nil {
			return err
		}
		if _, err := b.Deliveries.Insert(ctx, b.sc, b.delivery(i, "Ev1")); err != nil {
			return err
		}
		return no
	})
	wants(t, err, no)
	_, err = b.Installations.Get(bg, b.sc, i.ID)
	wants(t, err, id.NotFound[id.InstallationKind](""))
	if _, _, ok, err := b.Installations.Route(bg, "slack", b.ws("T1")); ok || err != nil {
		t.Errorf("the workspace is taken: %v", err)
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := b.Installations.Get(ctx, b.sc, i.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}
