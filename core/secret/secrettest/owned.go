package secrettest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/tx"
)

// OwnedConfig of RunOwned.
type OwnedConfig struct {
	// New returns a store; tests use tenants of their own.
	New func(t *testing.T) (OwnedRepository, tx.Runner)
	// Keeper seals.
	Keeper keeper.Keeper
}

// OwnedRepository keeps secrets while they are in force, and afterwards.
type OwnedRepository interface {
	secret.OwnedRepository
	secret.RetiredRepository
}

// RunOwned is the conformance suite of secret.OwnedRepository and secret.RetiredRepository, with secret.AgentSecrets on top of it.
func RunOwned(t *testing.T, cfg OwnedConfig) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *ownedEnv){
		"set and delete": ownedSet, "spellings": ownedSpellings, "bad input": ownedBad, "limit": ownedLimit, "limit at once": ownedLimitAtOnce,
		"environment": ownedEnvironment, "keys": ownedKeys, "swarm": ownedSwarm, "redaction": ownedRedaction, "size": ownedSize, "retired size": ownedRetiredSize, "sealed": ownedSealed,
		"foreign tenant": ownedForeign, "rollback": ownedRollback, "forget": ownedForget, "trail": ownedTrail, "restarts": ownedRestarts,
		"nothing to change": ownedNothing, "retired": ownedRetired, "retired bound": ownedRetiredBound,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo, runner := cfg.New(t)
			e := &ownedEnv{
				repo: repo, tx: runner, keeper: cfg.Keeper, ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)), clock: clocktest.New(),
				agent: id.New[id.AgentKind](ids), swarm: id.New[id.SwarmKind](ids), trail: &ownedTrailOf{},
			}
			e.owners.tenant = e.sc.Tenant
			var err error
			e.secrets, err = secret.NewAgentSecrets(secret.OwnedDeps{
				TX: runner, Clock: e.clock, Keeper: cfg.Keeper, Repository: repo, Retired: repo, Owners: &e.owners,
				Audit: e.trail,
			})
			if err != nil {
				t.Fatal(err)
			}
			e.secrets.Connect(&e.restarts)
			fn(t, e)
		})
	}
}

type ownedEnv struct {
	repo     OwnedRepository
	tx       tx.Runner
	keeper   keeper.Keeper
	ctx      context.Context
	sc       account.Scope
	clock    *clocktest.Clock
	agent    id.Agent
	swarm    id.Swarm
	trail    *ownedTrailOf
	owners   ownersOf
	restarts restartsOf
	secrets  *secret.AgentSecrets
}

// ownersOf knows every agent and swarm of one tenant; its agents are in one swarm, or none.
type ownersOf struct {
	tenant id.Tenant
	swarm  id.Swarm
	err    error
}

func (o *ownersOf) Exists(_ context.Context, sc account.Scope, of secret.Owner) error {
	if sc.Tenant != o.tenant {
		return id.NotFound[id.AgentKind](of.UUID())
	}
	return o.err
}

func (o *ownersOf) Hold(ctx context.Context, sc account.Scope, of secret.Owner) error {
	return o.Exists(ctx, sc, of)
}

func (o *ownersOf) SwarmOf(context.Context, account.Scope, id.Agent) (id.Swarm, error) {
	return o.swarm, nil
}

type restartsOf struct {
	running bool
	calls   int
}

func (r *restartsOf) Changed(context.Context, account.Scope, id.Agent) (bool, error) {
	r.calls++
	return r.running, nil
}

type ownedTrailOf struct {
	mu    sync.Mutex
	err   error
	notes []string
}

func (n *ownedTrailOf) Record(_ context.Context, _ account.Scope, action string, metadata map[string]any) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.notes = append(n.notes, fmt.Sprint(action, " ", metadata))
	return n.err
}

func values(pairs ...string) map[string]secret.Value {
	out := map[string]secret.Value{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = secret.NewValue(pairs[i+1])
	}
	return out
}

func (e *ownedEnv) set(t *testing.T, pairs ...string) {
	t.Helper()
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values(pairs...)}); err != nil {
		t.Fatal(err)
	}
}

func (e *ownedEnv) names(t *testing.T, o secret.Owner) []string {
	t.Helper()
	all, err := e.secrets.Names(e.ctx, e.sc, o)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, n := range all {
		names = append(names, n.Name)
	}
	return names
}

func (e *ownedEnv) environment(t *testing.T) map[string]string {
	t.Helper()
	env, err := e.secrets.Environment(e.ctx, e.sc, e.agent)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// keys returns "provider=key" of what the agent may use, in order.
func (e *ownedEnv) keys(t *testing.T) []string {
	t.Helper()
	all, err := e.secrets.ProviderKeys(e.ctx, e.sc, e.agent)
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for _, k := range all {
		keys = append(keys, k.Provider+"="+k.Key.Reveal())
	}
	return keys
}

func alike(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ownedSet(t *testing.T, e *ownedEnv) {
	of := secret.Owner{Agent: e.agent}
	alike(t, []string{}, e.names(t, of))
	e.set(t, "B", "bee", "A_1", "a\nü'\\?", "_x", "x")
	alike(t, []string{"A_1", "B", "_x"}, e.names(t, of))
	alike(t, map[string]string{"B": "bee", "A_1": "a\nü'\\?", "_x": "x"}, e.environment(t))
	at := e.clock.Advance(time.Hour)
	_, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("B", "bee two", "C", "see"), Delete: []string{"_x"}})
	if err != nil {
		t.Fatal(err)
	}
	alike(t, map[string]string{"B": "bee two", "A_1": "a\nü'\\?", "C": "see"}, e.environment(t))
	all, err := e.secrets.Names(e.ctx, e.sc, of)
	if err != nil {
		t.Fatal(err)
	}
	alike(t, []secret.Owned{{Name: "A_1", UpdatedAt: at.Add(-time.Hour)}, {Name: "B", UpdatedAt: at}, {Name: "C", UpdatedAt: at}}, all)
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Delete: []string{"gone", "B", "B"}}); err != nil {
		t.Fatal(err)
	}
	alike(t, []string{"A_1", "C"}, e.names(t, of))
}

func ownedSpellings(t *testing.T, e *ownedEnv) {
	for camel, snake := range map[string]string{
		"openaiApiKey": "openai_api_key", "googleApiKey": "google_api_key", "telegramBotToken": "telegram_bot_token",
		"slackBotToken": "slack_bot_token", "slackAppToken": "slack_app_token",
	} {
		e.set(t, camel, "the first one")
		e.set(t, snake, "the second one")
		alike(t, []string{snake}, e.names(t, secret.Owner{Agent: e.agent}))
		if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Delete: []string{camel}}); err != nil {
			t.Fatal(err)
		}
		alike(t, []string{}, e.names(t, secret.Owner{Agent: e.agent}))
	}
	e.set(t, "openaiapikey", "another name")
	alike(t, map[string]string{"openaiapikey": "another name"}, e.environment(t))
}

func ownedBad(t *testing.T, e *ownedEnv) {
	long := strings.Repeat("ü", secret.MaxOwnedValue)
	e.set(t, "LONG", long, strings.Repeat("n", secret.MaxOwnedName), "v")
	before := e.names(t, secret.Owner{Agent: e.agent})
	for name, tc := range map[string]struct {
		change secret.Change
		path   string
	}{
		"empty":            {secret.Change{Set: values("K", "")}, "secrets.K"},
		"blank":            {secret.Change{Set: values("K", " \n")}, "secrets.K"},
		"long":             {secret.Change{Set: values("K", long+"x")}, "secrets.K"},
		"NUL":              {secret.Change{Set: values("K", "the-secret\x00")}, "secrets.K"},
		"not UTF-8":        {secret.Change{Set: values("K", "the-secret\xff")}, "secrets.K"},
		"key of Anthropic": {secret.Change{Set: values("anthropicApiKey", "the-secret")}, "secrets.anthropicApiKey"},
		"broken key":       {secret.Change{Set: values("openai_api_key", "the-secret\nx")}, "secrets.openai_api_key"},
		"digit":            {secret.Change{Set: values("1K", "the-secret")}, "secrets.NAME"},
		"dash":             {secret.Change{Set: values("A-B", "the-secret")}, "secrets.NAME"},
		"no name":          {secret.Change{Set: values("", "the-secret")}, "secrets.NAME"},
		"long name":        {secret.Change{Set: values(strings.Repeat("n", 129), "the-secret")}, "secrets.NAME"},
		"path":             {secret.Change{Set: values("PATH", "the-secret")}, "secrets.PATH"},
		"lower path":       {secret.Change{Set: values("Path", "the-secret")}, "secrets.Path"},
		"loader":           {secret.Change{Set: values("LD_PRELOAD", "the-secret")}, "secrets.LD_PRELOAD"},
		"ours":             {secret.Change{Set: values("BUREAU_TOKEN", "the-secret")}, "secrets.BUREAU_TOKEN"},
		"home":             {secret.Change{Set: values("HOME", "the-secret")}, "secrets.HOME"},
		"twice":            {secret.Change{Set: values("googleApiKey", "the-secret", "google_api_key", "the-secret")}, "secrets.google_api_key"},
		"both":             {secret.Change{Set: values("googleApiKey", "the-secret"), Delete: []string{"google_api_key"}}, "delete_secrets"},
		"bad delete":       {secret.Change{Delete: []string{"a b"}}, "delete_secrets"},
	} {
		tc.change.Delete = slices.Clone(tc.change.Delete)
		_, err := e.secrets.Set(e.ctx, e.sc, e.agent, tc.change)
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, secret.ErrOwnedInvalid) || len(f.Fields) != 1 || f.Fields[0].Path != tc.path {
			t.Errorf("%s: %v; want one fault at %s", name, err, tc.path)
		}
		if err != nil && strings.Contains(fmt.Sprintf("%+v", err), "the-secret") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
	alike(t, before, e.names(t, secret.Owner{Agent: e.agent}))
}

func numbered(from, to int) []string {
	var pairs []string
	for i := from; i < to; i++ {
		pairs = append(pairs, fmt.Sprint("K", i), "v")
	}
	return pairs
}

func ownedLimit(t *testing.T, e *ownedEnv) {
	e.set(t, numbered(0, secret.MaxOwned)...)
	_, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("MORE", "v")})
	if !errors.Is(err, secret.ErrTooManyOwned) {
		t.Errorf("one too many: %v", err)
	}
	e.set(t, "K7", "replaced")
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("MORE", "v"), Delete: []string{"K0"}}); err != nil {
		t.Errorf("one in place of another: %v", err)
	}
	alike(t, secret.MaxOwned, len(e.names(t, secret.Owner{Agent: e.agent})))
}

func ownedLimitAtOnce(t *testing.T, e *ownedEnv) {
	e.set(t, numbered(0, secret.MaxOwned-2)...)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values(fmt.Sprint("MORE", i), "v")})
			if err != nil && !errors.Is(err, secret.ErrTooManyOwned) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	alike(t, secret.MaxOwned, len(e.names(t, secret.Owner{Agent: e.agent})))
}

func ownedEnvironment(t *testing.T, e *ownedEnv) {
	alike(t, map[string]string{}, e.environment(t))
	e.set(t, "anthropicApiKey", "sk-ant-1", "openaiApiKey", "k2", "googleApiKey", "k3", "telegramBotToken", "t4", "slackBotToken", "t5",
		"slackAppToken", "t6", "SHOP_TOKEN", "mine")
	alike(t, map[string]string{"SHOP_TOKEN": "mine"}, e.environment(t))
	for name, want := range map[string]string{
		secret.TelegramToken: "t4", secret.SlackToken: "t5", secret.SlackAppToken: "t6", secret.OpenAIKey: "", "SHOP_TOKEN": "", "none": "",
	} {
		got, err := e.secrets.Token(e.ctx, e.sc, e.agent, name)
		if err != nil {
			t.Fatal(err)
		}
		alike(t, want, got.Reveal())
	}
	for name, want := range map[string]bool{"openaiApiKey": true, "google_api_key": true, "SHOP_TOKEN": false, "telegramBotToken": false} {
		alike(t, want, e.secrets.HasModelKey(map[string]string{name: "v"}))
		alike(t, false, e.secrets.HasModelKey(map[string]string{name: ""}))
	}
}

func (e *ownedEnv) setSwarm(t *testing.T, c secret.Change) {
	t.Helper()
	if err := e.secrets.SetSwarm(e.ctx, e.sc, e.swarm, c); err != nil {
		t.Fatal(err)
	}
}

func ownedKeys(t *testing.T, e *ownedEnv) {
	alike(t, []string{}, e.keys(t))
	e.set(t, "googleApiKey", "own-google", "openaiApiKey", "own-openai")
	alike(t, []string{"openai=own-openai", "google=own-google"}, e.keys(t))
	e.setSwarm(t, secret.Change{Set: values("anthropicApiKey", "sk-ant-swarm", "openaiApiKey", "swarm-openai")})
	alike(t, []string{"openai=own-openai", "google=own-google"}, e.keys(t))
	e.owners.swarm = e.swarm // it joins
	alike(t, []string{"openai=own-openai", "google=own-google", "anthropic=sk-ant-swarm"}, e.keys(t))
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Delete: []string{"openaiApiKey"}}); err != nil {
		t.Fatal(err)
	}
	alike(t, []string{"google=own-google", "anthropic=sk-ant-swarm", "openai=swarm-openai"}, e.keys(t))
	e.owners.swarm = id.Swarm{} // it leaves
	alike(t, []string{"google=own-google"}, e.keys(t))
	e.owners.swarm = e.swarm
	if err := e.tx.Do(e.ctx, func(ctx context.Context) error { return e.secrets.ForgetSwarm(ctx, e.sc, e.swarm) }); err != nil {
		t.Fatal(err)
	}
	alike(t, []string{"google=own-google"}, e.keys(t))
}

func ownedSwarm(t *testing.T, e *ownedEnv) {
	of := secret.Owner{Swarm: e.swarm}
	for _, name := range []string{"SHOP_TOKEN", "telegramBotToken", "slack_app_token"} {
		err := e.secrets.SetSwarm(e.ctx, e.sc, e.swarm, secret.Change{Set: values(name, "v")})
		if !errors.Is(err, secret.ErrOwnedInvalid) {
			t.Errorf("%s of a swarm: %v", name, err)
		}
	}
	e.setSwarm(t, secret.Change{Set: values("openaiApiKey", "k")})
	alike(t, []string{"openai_api_key"}, e.names(t, of))
	alike(t, []string{}, e.names(t, secret.Owner{Agent: e.agent}))
	e.setSwarm(t, secret.Change{Delete: []string{"openaiApiKey"}})
	alike(t, []string{}, e.names(t, of))
	alike(t, 0, e.restarts.calls)
}

func ownedRedaction(t *testing.T, e *ownedEnv) {
	if r, err := e.secrets.Redactor(e.ctx, e.sc, e.agent); err != nil || r != nil {
		t.Errorf("without secrets: %v, %v", r, err)
	}
	e.set(t, "telegramBotToken", "12345:telegram", "SHOP_TOKEN", "shop-token", "openaiApiKey", "sk-own-key")
	e.setSwarm(t, secret.Change{Set: values("googleApiKey", "swarm-google-key")})
	e.owners.swarm = e.swarm
	r, err := e.secrets.Redactor(e.ctx, e.sc, e.agent)
	if err != nil {
		t.Fatal(err)
	}
	alike(t, "[redacted:telegram_bot_token] [redacted:SHOP_TOKEN] [redacted:openai_api_key] [redacted:google_api_key]",
		r.Redact("12345:telegram shop-token sk-own-key swarm-google-key"))
}

func ownedSize(t *testing.T, e *ownedEnv) {
	big := map[string]secret.Value{}
	for i := range secret.MaxOwnedBytes/secret.MaxOwnedValue + 1 {
		big[fmt.Sprint("BIG", i)] = secret.NewValue(strings.Repeat("x", secret.MaxOwnedValue))
	}
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: big}); !errors.Is(err, secret.ErrTooManyOwned) {
		t.Errorf("too large together: %v", err)
	}
	alike(t, 0, len(e.names(t, secret.Owner{Agent: e.agent})))
}

// ownedRetiredSize: what is searched for stays bounded however often secrets are replaced.
func ownedRetiredSize(t *testing.T, e *ownedEnv) {
	for i := range secret.MaxRetiredBytes/secret.MaxOwnedValue + 2 {
		e.set(t, "BIG", strings.Repeat(fmt.Sprint(i%10), secret.MaxOwnedValue))
	}
	known, err := e.secrets.Known(e.ctx, e.sc, e.agent)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, k := range known {
		size += len(k.Value.Reveal())
	}
	if size < secret.MaxRetiredBytes/2 || size > secret.MaxRetiredBytes+secret.MaxOwnedValue {
		t.Errorf("%d bytes are searched for", size)
	}
}

func ownedSealed(t *testing.T, e *ownedEnv) {
	e.set(t, "A", "the secret itself", "B", "the secret itself")
	of := secret.Owner{Agent: e.agent}
	all, err := e.repo.Owned(e.ctx, e.sc, of)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if strings.Contains(string(r.Sealed), "secret") {
			t.Errorf("%s is stored as it is", r.Name)
		}
	}
	// What was sealed for one name, or one owner, opens for no other.
	swapped := all[0]
	swapped.Name = "B"
	if err := e.repo.PutOwned(e.ctx, e.sc, of, swapped); err != nil {
		t.Fatal(err)
	}
	if _, err := e.secrets.Environment(e.ctx, e.sc, e.agent); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("moved to another name: %v", err)
	}
	other := id.New[id.AgentKind](ids)
	if err := e.repo.PutOwned(e.ctx, e.sc, secret.Owner{Agent: other}, all[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.secrets.Environment(e.ctx, e.sc, other); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("moved to another agent: %v", err)
	}
}

func ownedForeign(t *testing.T, e *ownedEnv) {
	e.set(t, "A", "v")
	other := account.System(id.New[id.TenantKind](ids))
	missing := id.NotFound[id.AgentKind]("")
	for name, call := range map[string]func() error{
		"set": func() error {
			_, err := e.secrets.Set(e.ctx, other, e.agent, secret.Change{Set: values("A", "w")})
			return err
		},
		"bad set": func() error { _, err := e.secrets.Set(e.ctx, other, e.agent, secret.Change{}); return err },
		"names":   func() error { _, err := e.secrets.Names(e.ctx, other, secret.Owner{Agent: e.agent}); return err },
	} {
		if err := call(); !errors.Is(err, missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	env, err := e.secrets.Environment(e.ctx, other, e.agent)
	alike(t, true, err == nil && len(env) == 0)
	if err := e.tx.Do(e.ctx, func(ctx context.Context) error { return e.secrets.Forget(ctx, other, e.agent) }); err != nil {
		t.Fatal(err)
	}
	alike(t, map[string]string{"A": "v"}, e.environment(t))
}

func ownedRollback(t *testing.T, e *ownedEnv) {
	e.set(t, "A", "v")
	e.trail.err = errors.New("the trail is gone")
	_, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("B", "w"), Delete: []string{"A"}})
	if !errors.Is(err, e.trail.err) {
		t.Error(err)
	}
	alike(t, map[string]string{"A": "v"}, e.environment(t))
}

func ownedForget(t *testing.T, e *ownedEnv) {
	e.set(t, "A", "v")
	e.setSwarm(t, secret.Change{Set: values("openaiApiKey", "k")})
	for range 2 {
		if err := e.tx.Do(e.ctx, func(ctx context.Context) error { return e.secrets.Forget(ctx, e.sc, e.agent) }); err != nil {
			t.Fatal(err)
		}
	}
	alike(t, map[string]string{}, e.environment(t))
	alike(t, []string{"openai_api_key"}, e.names(t, secret.Owner{Swarm: e.swarm}))
}

func ownedTrail(t *testing.T, e *ownedEnv) {
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("B", "the secret", "openaiApiKey", "the secret"), Delete: []string{"A"}}); err != nil {
		t.Fatal(err)
	}
	e.setSwarm(t, secret.Change{Set: values("openaiApiKey", "the secret")})
	alike(t, []string{
		"agent_secrets_changed map[agent_id:" + e.agent.UUID().String() + " deleted:[A] set:[B openai_api_key]]",
		"swarm_secrets_changed map[set:[openai_api_key] swarm_id:" + e.swarm.UUID().String() + "]",
	}, e.trail.notes)
}

func ownedRestarts(t *testing.T, e *ownedEnv) {
	for _, running := range []bool{false, true} {
		e.restarts.running = running
		restart, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Set: values("A", "v")})
		alike(t, true, err == nil && restart == running)
		restart, err = e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Delete: []string{"A"}})
		alike(t, true, err == nil && restart == running)
	}
	alike(t, 4, e.restarts.calls)
}

// ownedNothing: a call that names nothing is no fault, and changes nothing.
func ownedNothing(t *testing.T, e *ownedEnv) {
	e.restarts.running = true
	restart, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{})
	alike(t, true, err == nil && !restart)
	alike(t, 0, e.restarts.calls+len(e.trail.notes))
}

// ownedRetired: what was replaced or deleted is masked until a start that comes long after.
func ownedRetired(t *testing.T, e *ownedEnv) {
	shown := func() string {
		t.Helper()
		r, err := e.secrets.Redactor(e.ctx, e.sc, e.agent)
		if err != nil {
			t.Fatal(err)
		}
		return r.Redact("first-value second-value third-value")
	}
	starts := func() {
		t.Helper()
		if err := e.secrets.Starting(e.ctx, e.sc, e.agent); err != nil {
			t.Fatal(err)
		}
	}
	e.set(t, "A", "first-value")
	e.set(t, "A", "second-value", "B", "third-value")
	alike(t, "[redacted:A] [redacted:A] [redacted:B]", shown())
	if _, err := e.secrets.Set(e.ctx, e.sc, e.agent, secret.Change{Delete: []string{"B"}}); err != nil {
		t.Fatal(err)
	}
	starts()
	alike(t, "[redacted:A] [redacted:A] [redacted:B]", shown())
	alike(t, map[string]string{"A": "second-value"}, e.environment(t))
	e.clock.Advance(secret.KeepRetired + time.Second)
	alike(t, "[redacted:A] [redacted:A] [redacted:B]", shown()) // the program that has them runs still
	starts()
	alike(t, "first-value [redacted:A] third-value", shown())
	e.set(t, "A", "third-value")
	if err := e.tx.Do(e.ctx, func(ctx context.Context) error { return e.secrets.Forget(ctx, e.sc, e.agent) }); err != nil {
		t.Fatal(err)
	}
	alike(t, "first-value second-value third-value", shown())
}

// ownedRetiredBound: the newest stay, those that nothing opens any more do no harm, and nobody else is touched.
func ownedRetiredBound(t *testing.T, e *ownedEnv) {
	of, other := secret.Owner{Agent: e.agent}, secret.Owner{Agent: id.New[id.AgentKind](ids)}
	when := e.clock.Now()
	for _, o := range []secret.Owner{of, other} {
		for i := range 5 {
			if err := e.tx.Do(e.ctx, func(ctx context.Context) error {
				for _, name := range []string{"A", "B"} {
					rec := secret.OwnedRecord{Owned: secret.Owned{Name: name, UpdatedAt: when}, Sealed: []byte{byte(i)}}
					if err := e.repo.PutOwned(ctx, e.sc, o, rec); err != nil {
						return err
					}
				}
				return e.repo.RetireOwned(ctx, e.sc, o, []string{"A", "none", "B"}, when, 3)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.repo.ExpireRetired(e.ctx, e.sc, other, when.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for o, want := range map[secret.Owner]string{of: "B4 A4 B3", other: ""} {
		all, err := e.repo.Retired(e.ctx, e.sc, o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range all {
			got = append(got, fmt.Sprint(r.Name, r.Sealed[0]))
		}
		alike(t, want, strings.Join(got, " "))
	}
	if known, err := e.secrets.Known(e.ctx, e.sc, e.agent); !errors.Is(err, keeper.ErrOpen) {
		t.Errorf("what is in force does not open: %v, %v", known, err)
	}
	if err := e.repo.DeleteOwned(e.ctx, e.sc, of, []string{"A", "B"}); err != nil {
		t.Fatal(err)
	}
	known, err := e.secrets.Known(e.ctx, e.sc, e.agent)
	alike(t, true, err == nil && len(known) == 0)
}
