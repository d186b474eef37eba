// Package skilltest is the conformance suite of the repositories of package skill, and a signer for tests.
package skilltest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store struct {
	Plugins       skill.Repository
	Releases      skill.ReleaseRepository
	Installations skill.InstallationRepository
	Keys          skill.KeyRepository
	TX            tx.Runner
}

// Config of the suite.
type Config struct {
	// New returns an empty store. It is called once per subtest.
	New func(t *testing.T) Store
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	ctx context.Context
	sc  account.Scope
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"missing":           missing,
		"duplicate":         duplicate,
		"rollback":          rollback,
		"two writers":       twoWriters,
		"list":              list,
		"releases":          releases,
		"damaged manifest":  damaged,
		"delete":            deleted,
		"installations":     installations,
		"foreign tenant":    foreign,
		"pin all":           pinAll,
		"keys":              keys,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, &env{cfg.New(t), t.Context(), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

// Digest returns the digest of a text, as that of a binary.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Plugin returns a plugin with a release whose binary is the text.
func Plugin(t testing.TB, name string, kind skill.Kind, binary string) skill.Plugin {
	t.Helper()
	now := clock.Stored(time.Now())
	p := skill.Plugin{
		ID: id.New[id.PluginKind](ids), Name: name, Kind: kind, Description: "Does 'this' & <that>? \\ ü", Enabled: true, CreatedAt: now, UpdatedAt: now,
	}
	rel := Release(t, p, binary)
	p.Release = &rel
	return p
}

// Release returns a release of p whose binary is the text. Its signature is not a valid one.
func Release(t testing.TB, p skill.Plugin, binary string) skill.Release {
	t.Helper()
	m := skill.Manifest{
		Name: p.Name, Program: p.Name, Kind: p.Kind, Version: "1.2.3", Protocol: 1, Digest: Digest(binary), Size: int64(len(binary)),
		Source: "s", Description: p.Description, Schema: json.RawMessage(`{"type":"object"}`), Idempotent: true,
		Needs: tool.Needs{Domains: []string{"*.example.com"}, Secrets: []string{"token"}}, Inputs: []string{"amount"},
	}
	signed, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = skill.ParseManifest(signed); err != nil {
		t.Fatal(err)
	}
	return skill.Release{
		Plugin: p.ID, Manifest: m, Signed: signed, Signature: skill.Signature{Key: "k", Bytes: []byte{0, 1, 0xff}},
		CreatedAt: clock.Stored(time.Now()),
	}
}

func (e *env) create(t *testing.T, p skill.Plugin) skill.Plugin {
	t.Helper()
	if err := e.Plugins.Create(e.ctx, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (e *env) install(t *testing.T, sc account.Scope, agent id.Agent, p skill.Plugin) skill.Installation {
	t.Helper()
	now := clock.Stored(time.Now())
	in := skill.Installation{
		ID: id.New[id.InstalledSkillKind](ids), Tenant: sc.Tenant, Agent: agent, Skill: p.Skill(), Kind: skill.ContentPlugin, CreatedAt: now, UpdatedAt: now,
	}
	if p.Release != nil {
		in.Digest = p.Release.Digest()
	}
	out, err := e.Installations.Save(e.ctx, sc, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(id.Plugin{}, id.InstalledSkill{}, id.Tenant{}, id.Agent{}, id.Skill{}, id.SkillVersion{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func fails(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func roundTrip(t *testing.T, e *env) {
	want := e.create(t, Plugin(t, "calculator", skill.KindSkill, "one"))
	for range 2 {
		got, err := e.Plugins.ByName(e.ctx, "calculator")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "by name", want, got)
		if got, err = e.Plugins.ByID(e.ctx, want.ID); err != nil {
			t.Fatal(err)
		}
		equal(t, "by id", want, got)
		want.Description, want.Enabled, want.Shipped, want.Removed = "New.", false, true, true
		want.Release, want.UpdatedAt = nil, want.UpdatedAt.Add(time.Hour)
		if err := e.Plugins.Update(e.ctx, want); err != nil {
			t.Fatal(err)
		}
	}
}

func missing(t *testing.T, e *env) {
	nobody := id.New[id.PluginKind](ids)
	_, err := e.Plugins.ByName(e.ctx, "none")
	fails(t, "by name", err, skill.ErrNotFound)
	_, err = e.Plugins.ByID(e.ctx, nobody)
	fails(t, "by id", err, skill.ErrNotFound)
	fails(t, "update", e.Plugins.Update(e.ctx, skill.Plugin{ID: nobody}), skill.ErrNotFound)
	fails(t, "delete", e.Plugins.Delete(e.ctx, nobody), skill.ErrNotFound)
	fails(t, "uninstall", e.Installations.Delete(e.ctx, e.sc, id.New[id.AgentKind](ids), id.Of[id.SkillKind](nobody.UUID())), skill.ErrNotInstalled)
	rels, err := e.Releases.Releases(e.ctx, nobody)
	if err != nil || len(rels) != 0 {
		t.Errorf("releases of nobody: %v, %v", rels, err)
	}
	if err := e.Releases.Remove(e.ctx, nobody, Digest("x")); err != nil {
		t.Errorf("remove a missing release: %v", err)
	}
	if r, i, err := e.Releases.Holders(e.ctx, Digest("x")); r != 0 || i != 0 || err != nil {
		t.Errorf("holders of nothing: %d, %d, %v", r, i, err)
	}
}

func duplicate(t *testing.T, e *env) {
	p := e.create(t, Plugin(t, "twice", skill.KindSkill, "one"))
	fails(t, "same name", e.Plugins.Create(e.ctx, Plugin(t, "twice", skill.KindRule, "two")), skill.ErrExists)
	// The failure leaves a surrounding transaction usable.
	err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		fails(t, "same name", e.Plugins.Create(ctx, Plugin(t, "twice", skill.KindRule, "two")), skill.ErrExists)
		return e.Plugins.Create(ctx, Plugin(t, "once", skill.KindRule, "two"))
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Plugins.ByName(e.ctx, "twice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the first one", p, got)
}

func rollback(t *testing.T, e *env) {
	boom := errors.New("boom")
	err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		p := Plugin(t, "undone", skill.KindSkill, "one")
		if err := e.Plugins.Create(ctx, p); err != nil {
			return err
		}
		if _, err := e.Plugins.ByName(ctx, "undone"); err != nil {
			return fmt.Errorf("the transaction does not see its own plugin: %w", err)
		}
		return boom
	})
	fails(t, "do", err, boom)
	_, err = e.Plugins.ByName(e.ctx, "undone")
	fails(t, "after the rollback", err, skill.ErrNotFound)
}

func twoWriters(t *testing.T, e *env) {
	p := e.create(t, Plugin(t, "counted", skill.KindSkill, "one"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := e.TX.Do(e.ctx, func(ctx context.Context) error {
				p, err := e.Plugins.ByName(ctx, "counted")
				if err != nil {
					return err
				}
				p.Description += "+"
				return e.Plugins.Update(ctx, p)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Plugins.ByID(e.ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if want := p.Description + "++++++++"; got.Description != want {
		t.Errorf("an update was lost: got %q, want %q", got.Description, want)
	}
}

func list(t *testing.T, e *env) {
	for _, n := range []string{"b_skill", "a_skill", "d-skill", "c_rule", "e_gone"} {
		p := Plugin(t, n, skill.KindSkill, n)
		if n == "c_rule" {
			p = Plugin(t, n, skill.KindRule, n)
		}
		p.Removed, p.Enabled = n == "e_gone", n != "b_skill"
		if n == "d-skill" {
			p.Release = nil
		}
		e.create(t, p)
	}
	names := func(req skill.ListRequest) []string {
		t.Helper()
		name := func(p skill.Plugin) string { return p.Name }
		return pagetest.Walk(t, req.Page.Limit, name, func(r page.Request) (page.Page[skill.Plugin], error) {
			req.Page = r
			return e.Plugins.List(e.ctx, req)
		})
	}
	for _, size := range []int{0, 1, 2, 4} {
		equal(t, "all", []string{"a_skill", "b_skill", "c_rule", "d-skill"}, names(skill.ListRequest{Page: page.Request{Limit: size}}))
	}
	equal(t, "rules", []string{"c_rule"}, names(skill.ListRequest{Kind: skill.KindRule}))
	equal(t, "enabled skills", []string{"a_skill", "d-skill"}, names(skill.ListRequest{Kind: skill.KindSkill, Enabled: true}))
	equal(t, "search in the name", []string{"d-skill"}, names(skill.ListRequest{Search: "D-SK"}))
	equal(t, "search in the description", 4, len(names(skill.ListRequest{Search: "'THIS' & <"})))
	equal(t, "search in vain", 0, len(names(skill.ListRequest{Search: "%"})))
	_, err := e.Plugins.List(e.ctx, skill.ListRequest{Page: page.Request{Cursor: "?"}})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a cursor of nobody: %v", err)
	}
}

func releases(t *testing.T, e *env) {
	p := e.create(t, Plugin(t, "released", skill.KindSkill, "one"))
	other := e.create(t, Plugin(t, "other", skill.KindSkill, "two"))
	second := Release(t, p, "two")
	second.CreatedAt = second.CreatedAt.Add(time.Second)
	for range 2 { // adding again replaces
		second.Signature.Bytes = append(second.Signature.Bytes, 7)
		if err := e.Releases.Add(e.ctx, second); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Releases.Releases(e.ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "newest first", []skill.Release{second, *p.Release}, got)
	e.install(t, e.sc, id.New[id.AgentKind](ids), other)
	r, i, err := e.Releases.Holders(e.ctx, Digest("two"))
	if err != nil || r != 2 || i != 1 {
		t.Errorf("holders: got %d releases, %d installations, %v; want 2 and 1", r, i, err)
	}
	if err := e.Releases.Remove(e.ctx, p.ID, second.Digest()); err != nil {
		t.Fatal(err)
	}
	got, err = e.Releases.Releases(e.ctx, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "after the removal", []skill.Release{*p.Release}, got)
}

// A manifest that cannot be read any more comes back as it is: it has to look modified and must not hide the plugin.
func damaged(t *testing.T, e *env) {
	p := Plugin(t, "damaged", skill.KindSkill, "one")
	p.Release.Signed = []byte("{")
	e.create(t, p)
	got, err := e.Plugins.ByName(e.ctx, "damaged")
	if err != nil || got.Release == nil || string(got.Release.Signed) != "{" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func deleted(t *testing.T, e *env) {
	p, other := e.create(t, Plugin(t, "away", skill.KindSkill, "one")), e.create(t, Plugin(t, "stays", skill.KindSkill, "one"))
	agent := id.New[id.AgentKind](ids)
	e.install(t, e.sc, agent, p)
	e.install(t, e.sc, agent, other)
	if err := e.Plugins.Delete(e.ctx, p.ID); err != nil {
		t.Fatal(err)
	}
	_, err := e.Plugins.ByID(e.ctx, p.ID)
	fails(t, "by id", err, skill.ErrNotFound)
	have, err := e.Installations.List(e.ctx, e.sc, agent)
	if err != nil || len(have) != 1 || have[0].Of.Name != "stays" {
		t.Errorf("the agent has %+v, %v", have, err)
	}
	if r, i, err := e.Releases.Holders(e.ctx, Digest("one")); r != 1 || i != 1 || err != nil {
		t.Errorf("holders: %d, %d, %v", r, i, err)
	}
}

func installations(t *testing.T, e *env) {
	agent, bystander := id.New[id.AgentKind](ids), id.New[id.AgentKind](ids)
	first, second := e.create(t, Plugin(t, "z_first", skill.KindSkill, "one")), e.create(t, Plugin(t, "a_second", skill.KindSkill, "two"))
	one := e.install(t, e.sc, agent, first)
	two := e.install(t, e.sc, agent, second)
	e.install(t, e.sc, bystander, second)
	want := []skill.Installed{{Installation: one, Of: first, Release: first.Release}, {Installation: two, Of: second, Release: second.Release}}
	got, err := e.Installations.List(e.ctx, e.sc, agent)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "oldest first", want, got)

	// A new release in force does not move what agents have, until they install again.
	newer := Release(t, first, "three")
	if err := e.Releases.Add(e.ctx, newer); err != nil {
		t.Fatal(err)
	}
	first.Release = &newer
	if err := e.Plugins.Update(e.ctx, first); err != nil {
		t.Fatal(err)
	}
	want[0].Of = first
	if got, err = e.Installations.List(e.ctx, e.sc, agent); err != nil {
		t.Fatal(err)
	}
	equal(t, "pinned", want, got)
	again := e.install(t, e.sc, agent, first)
	if again.ID != one.ID || again.CreatedAt != one.CreatedAt || again.Digest != newer.Digest() {
		t.Errorf("installed again: %+v; want the id and the creation time of %+v and the new digest", again, one)
	}

	if err := e.Installations.Delete(e.ctx, e.sc, agent, first.Skill()); err != nil {
		t.Fatal(err)
	}
	fails(t, "once more", e.Installations.Delete(e.ctx, e.sc, agent, first.Skill()), skill.ErrNotInstalled)
	if err := e.Installations.DeleteAll(e.ctx, e.sc, agent); err != nil {
		t.Fatal(err)
	}
	for who, n := range map[id.Agent]int{agent: 0, bystander: 1} {
		if got, err := e.Installations.List(e.ctx, e.sc, who); err != nil || len(got) != n {
			t.Errorf("in the end: %v, %v; want %d", got, err, n)
		}
	}

	// A removed plugin is not listed.
	second.Removed = true
	if err := e.Plugins.Update(e.ctx, second); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Installations.List(e.ctx, e.sc, bystander); err != nil || len(got) != 0 {
		t.Errorf("of a removed plugin: %v, %v", got, err)
	}
}

func foreign(t *testing.T, e *env) {
	agent := id.New[id.AgentKind](ids)
	p := e.create(t, Plugin(t, "shared", skill.KindSkill, "one"))
	e.install(t, e.sc, agent, p)
	stranger := account.System(id.New[id.TenantKind](ids))
	if got, err := e.Installations.List(e.ctx, stranger, agent); err != nil || len(got) != 0 {
		t.Errorf("another tenant sees %v, %v", got, err)
	}
	fails(t, "delete", e.Installations.Delete(e.ctx, stranger, agent, p.Skill()), skill.ErrNotInstalled)
	if err := e.Installations.DeleteAll(e.ctx, stranger, agent); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Installations.List(e.ctx, e.sc, agent); err != nil || len(got) != 1 {
		t.Errorf("after another tenant's deletes: %v, %v", got, err)
	}
}

func pinAll(t *testing.T, e *env) {
	p := Plugin(t, "late", skill.KindSkill, "one")
	rel := *p.Release
	p.Release = nil
	e.create(t, p)
	agent, other := id.New[id.AgentKind](ids), account.System(id.New[id.TenantKind](ids))
	e.install(t, e.sc, agent, p)
	e.install(t, other, agent, p)
	if got, err := e.Installations.List(e.ctx, e.sc, agent); err != nil || got[0].Digest != "" || got[0].Release != nil {
		t.Errorf("before the first release: %+v, %v", got, err)
	}
	if err := e.Releases.Add(e.ctx, rel); err != nil {
		t.Fatal(err)
	}
	if err := e.Installations.PinAll(e.ctx, p.ID, rel.Digest()); err != nil {
		t.Fatal(err)
	}
	if err := e.Installations.PinAll(e.ctx, p.ID, Digest("newer")); err != nil { // pins only what is not pinned
		t.Fatal(err)
	}
	for _, sc := range []account.Scope{e.sc, other} {
		got, err := e.Installations.List(e.ctx, sc, agent)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "pinned", &rel, got[0].Release)
	}
}

func keys(t *testing.T, e *env) {
	now := clock.Stored(time.Now())
	one := skill.SigningKey{Number: 1, ID: "a", Public: []byte{1, 0}, Sealed: []byte{2, 0xff}, CreatedAt: now}
	two := skill.SigningKey{Number: 2, ID: "b", Public: []byte{3}, Sealed: []byte{4}, CreatedAt: now}
	for _, k := range []skill.SigningKey{one, two} {
		if err := e.Keys.AddKey(e.ctx, k); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, "the same number", e.Keys.AddKey(e.ctx, skill.SigningKey{Number: 2, ID: "c", Public: []byte{1}, Sealed: []byte{1}, CreatedAt: now}), skill.ErrExists)
	fails(t, "the same id", e.Keys.AddKey(e.ctx, skill.SigningKey{Number: 3, ID: "a", Public: []byte{1}, Sealed: []byte{1}, CreatedAt: now}), skill.ErrExists)
	got, err := e.Keys.Keys(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "highest first", []skill.SigningKey{two, one}, got)
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	fails(t, "create", e.Plugins.Create(ctx, Plugin(t, "never", skill.KindSkill, "one")), context.Canceled)
	if _, err := e.Plugins.ByName(e.ctx, "never"); !errors.Is(err, skill.ErrNotFound) {
		t.Errorf("it was created: %v", err)
	}
}

// Signer is a skill.Signer with one key that it does not keep anywhere.
type Signer struct{ key ed25519.PrivateKey }

var _ skill.Signer = (*Signer)(nil)

// NewSigner makes a key of a seed: the same seed is the same operator.
func NewSigner(seed string) *Signer {
	sum := sha256.Sum256([]byte(seed))
	return &Signer{ed25519.NewKeyFromSeed(sum[:])}
}

// Generate implements skill.Signer: it returns the one key that there is.
func (s *Signer) Generate(context.Context) (skill.SigningKey, error) {
	return skill.SigningKey{Number: 1, ID: "test", Public: s.key.Public().(ed25519.PublicKey)}, nil
}

// Sign implements skill.Signer.
func (s *Signer) Sign(_ context.Context, message []byte) (skill.Signature, error) {
	return skill.Signature{Key: "test", Bytes: ed25519.Sign(s.key, message)}, nil
}

// Verify implements skill.Signer.
func (s *Signer) Verify(_ context.Context, message []byte, sig skill.Signature) error {
	if !ed25519.Verify(s.key.Public().(ed25519.PublicKey), message, sig.Bytes) {
		return skill.ErrModified.Withf("the signature is not the operator's")
	}
	return nil
}
