package secret

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Limits of the secrets of an agent or a swarm.
const (
	MaxOwned      = 100  // secrets of one owner
	MaxOwnedName  = 128  // characters of a name
	MaxOwnedValue = 8192 // characters of a value

	// MaxOwnedBytes is for all secrets of one owner together, as they are kept: every text that may show one is searched for each of them.
	MaxOwnedBytes = 64 << 10
)

// The names of secrets that the server uses itself: they reach no program. Each may be written in camel case too ("anthropicApiKey").
const (
	AnthropicKey  = "anthropic_api_key"
	OpenAIKey     = "openai_api_key"
	GoogleKey     = "google_api_key"
	TelegramToken = "telegram_bot_token" //nolint:gosec // a name
	SlackToken    = "slack_bot_token"    //nolint:gosec // a name
	SlackAppToken = "slack_app_token"    //nolint:gosec // a name
)

// servers are the names that the server uses itself, in their order; the first three are keys of model providers.
var servers = []string{AnthropicKey, OpenAIKey, GoogleKey, TelegramToken, SlackToken, SlackAppToken}

// providersOf are the model providers by the names of their keys.
var providersOf = map[string]string{AnthropicKey: "anthropic", OpenAIKey: "openai", GoogleKey: "google"}

// spelledOut are the other spellings of the names that the server uses.
var spelledOut = map[string]string{
	"anthropicApiKey": AnthropicKey, "openaiApiKey": OpenAIKey, "googleApiKey": GoogleKey, "telegramBotToken": TelegramToken,
	"slackBotToken": SlackToken, "slackAppToken": SlackAppToken,
}

// OwnedName returns the name under which a secret is kept.
func OwnedName(name string) string {
	if kept, ok := spelledOut[name]; ok {
		return kept
	}
	return name
}

// anthropicPrefix is how every key of Anthropic begins.
const anthropicPrefix = "sk-ant-"

// reserved are variables that a program's surroundings set, or by which what it runs could be changed; so is what begins with one of
// reservedPrefixes. Case does not count.
var (
	reserved = []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMP", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS",
		"PROMPT_COMMAND", "NODE_OPTIONS", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT",
		"JAVA_TOOL_OPTIONS", "GODEBUG", "GOTRACEBACK", "GCONV_PATH", "GLIBC_TUNABLES", "HOSTNAME", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	}
	reservedPrefixes = []string{"LD_", "DYLD_", "BUREAU_"}
)

var ownedName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Owner says whose secrets are meant: exactly one field is set.
type Owner struct {
	Agent id.Agent
	Swarm id.Swarm
}

// Kind returns what the owner is: "agent" or "swarm".
func (o Owner) Kind() string {
	if o.Swarm.IsZero() {
		return "agent"
	}
	return "swarm"
}

// UUID returns the owner's id.
func (o Owner) UUID() string {
	if o.Swarm.IsZero() {
		return o.Agent.UUID().String()
	}
	return o.Swarm.UUID().String()
}

// Owned is the name of a secret, and when it was set.
type Owned struct {
	Name      string
	UpdatedAt time.Time
}

// OwnedRecord is a secret as stores keep it.
type OwnedRecord struct {
	Owned
	Sealed []byte
}

// OwnedRepository keeps the secrets of agents and swarms. Methods join the transaction in ctx.
type OwnedRepository interface {
	// LockOwned keeps others who call it for the same owner waiting until the transaction in ctx ends.
	LockOwned(ctx context.Context, sc account.Scope, o Owner) error
	// PutOwned stores a secret, in place of the one of its name.
	PutOwned(ctx context.Context, sc account.Scope, o Owner, r OwnedRecord) error
	// DeleteOwned removes secrets, those that are there.
	DeleteOwned(ctx context.Context, sc account.Scope, o Owner, names []string) error
	// Owned returns every secret of an owner, by name.
	Owned(ctx context.Context, sc account.Scope, o Owner) ([]OwnedRecord, error)
	// ForgetOwned removes every secret of an owner, also what RetiredRepository keeps of it.
	ForgetOwned(ctx context.Context, sc account.Scope, o Owner) error
}

// Owners knows the agents and swarms that have secrets. app wires core/agent and core/swarm.
type Owners interface {
	// Exists returns id.NotFound when the tenant has no such owner.
	Exists(ctx context.Context, sc account.Scope, o Owner) error
	// Hold keeps an owner from going until the transaction in ctx ends. It returns id.NotFound, and a conflict for an agent that is
	// archived.
	Hold(ctx context.Context, sc account.Scope, o Owner) error
	// SwarmOf returns the swarm that an agent is in; zero for none, and for an agent that is not there.
	SwarmOf(ctx context.Context, sc account.Scope, agent id.Agent) (id.Swarm, error)
}

// Restarts is what secrets need to know of the instances that run agents. app wires core/hosting.
type Restarts interface {
	// Changed is told, in the transaction of ctx, that a running agent works with what is no longer the newest. It reports whether the
	// agent has to be restarted to use that: false when it is not running.
	Changed(ctx context.Context, sc account.Scope, agent id.Agent) (needsRestart bool, err error)
}

// OwnedDeps is what AgentSecrets need; all are required.
type OwnedDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	Keeper     keeper.Keeper
	Repository OwnedRepository
	Retired    RetiredRepository
	Owners     Owners
	Audit      Auditor
}

// AgentSecrets keep the keys and tokens of agents, and the credentials that swarms give to their agents. They are written and never read
// by a face. They are safe for concurrent use once Connect was called.
type AgentSecrets struct {
	d        OwnedDeps
	restarts Restarts
}

// NewAgentSecrets returns AgentSecrets, or an error that names what is missing.
func NewAgentSecrets(d OwnedDeps) (*AgentSecrets, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"Keeper", d.Keeper == nil}, {"Repository", d.Repository == nil},
		{"Retired", d.Retired == nil}, {"Owners", d.Owners == nil}, {"Audit", d.Audit == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("secret: OwnedDeps.%s is required", f.name)
		}
	}
	return &AgentSecrets{d: d}, nil
}

// Connect names who runs agents; nil: nobody does. It lives above this package, which is why NewAgentSecrets does not take it. It must be
// called before the first use.
func (s *AgentSecrets) Connect(r Restarts) { s.restarts = r }

// Change sets and deletes secrets of one owner. One that is set has 1 to MaxOwnedValue characters and a name of 1 to MaxOwnedName letters,
// digits and _ that does not begin with a digit. Deleting what is not there is no error. An empty Change changes nothing.
type Change struct {
	Set    map[string]Value
	Delete []string
}

// Set changes the secrets of an agent: all that c says, or nothing. needsRestart says that the agent runs, and gets what its program uses
// once it was restarted; keys of model providers count from the next call on. Returns ErrOwnedInvalid, whose Fields name "secrets.NAME" and
// "delete_secrets", and never a value.
func (s *AgentSecrets) Set(ctx context.Context, sc account.Scope, agent id.Agent, c Change) (needsRestart bool, err error) {
	err = s.change(ctx, sc, Owner{Agent: agent}, c, func(ctx context.Context) error {
		if s.restarts == nil {
			return nil
		}
		needsRestart, err = s.restarts.Changed(ctx, sc, agent)
		return err
	})
	return needsRestart, err
}

// SetSwarm changes the credentials of a swarm, which are keys of model providers: its agents without a key of their own use them from the
// next call on. Errors are those of Set.
func (s *AgentSecrets) SetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm, c Change) error {
	return s.change(ctx, sc, Owner{Swarm: swarm}, c, func(context.Context) error { return nil })
}

func (s *AgentSecrets) change(
	ctx context.Context, sc account.Scope, o Owner, c Change, then func(context.Context) error,
) error {
	c, err := c.checked(o)
	if err != nil {
		if missing := s.d.Owners.Exists(ctx, sc, o); missing != nil {
			return missing
		}
		return err
	}
	if len(c.Set) == 0 && len(c.Delete) == 0 {
		return s.d.Owners.Exists(ctx, sc, o)
	}
	records := make([]OwnedRecord, 0, len(c.Set))
	now := clock.Stored(s.d.Clock.Now())
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		sealed, err := s.d.Keeper.Seal(ctx, ownedPlace(sc, o, name), []byte(c.Set[name].text))
		if err != nil {
			return err
		}
		records = append(records, OwnedRecord{Owned{name, now}, sealed})
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Owners.Hold(ctx, sc, o); err != nil {
			return err
		}
		if err := s.d.Repository.LockOwned(ctx, sc, o); err != nil {
			return err
		}
		if o.Swarm.IsZero() { // what swarms have reaches no program
			gone := slices.AppendSeq(slices.Clone(c.Delete), maps.Keys(c.Set))
			if err := s.d.Retired.RetireOwned(ctx, sc, o, gone, now, MaxRetired); err != nil {
				return err
			}
		}
		if len(c.Delete) > 0 {
			if err := s.d.Repository.DeleteOwned(ctx, sc, o, c.Delete); err != nil {
				return err
			}
		}
		for _, r := range records {
			if err := s.d.Repository.PutOwned(ctx, sc, o, r); err != nil {
				return err
			}
		}
		all, err := s.d.Repository.Owned(ctx, sc, o)
		switch {
		case err != nil:
			return err
		case len(all) > MaxOwned && len(records) > 0:
			return ErrTooManyOwned.Withf("there would be %d secrets; at most %d are allowed", len(all), MaxOwned)
		case sizeOf(all) > MaxOwnedBytes && len(records) > 0:
			return ErrTooManyOwned.Withf("the secrets would take %d bytes together; at most %d are allowed", sizeOf(all), MaxOwnedBytes)
		}
		metadata := map[string]any{o.Kind() + "_id": o.UUID()}
		if len(records) > 0 {
			metadata["set"] = slices.Sorted(maps.Keys(c.Set))
		}
		if len(c.Delete) > 0 {
			metadata["deleted"] = c.Delete
		}
		if err := s.d.Audit.Record(ctx, sc, o.Kind()+"_secrets_changed", metadata); err != nil {
			return err
		}
		return then(ctx)
	})
}

func sizeOf(records []OwnedRecord) (n int) {
	for _, r := range records {
		n += len(r.Sealed)
	}
	return n
}

// checked returns c with names as they are kept, sorted, or ErrOwnedInvalid.
func (c Change) checked(o Owner) (Change, error) {
	var k check.Faults
	out := Change{Set: map[string]Value{}}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		path, kept := "secrets."+shownName(name), OwnedName(name)
		if !checkOwnedName(&k, path, kept, o) {
			continue
		}
		if _, twice := out.Set[kept]; twice {
			k.Addf(path, "is the same as %s, which is given too", kept)
			continue
		}
		checkOwnedValue(&k, path, kept, c.Set[name])
		out.Set[kept] = c.Set[name]
	}
	for _, name := range c.Delete {
		kept := OwnedName(name)
		switch _, both := out.Set[kept]; {
		case !ownedName.MatchString(kept):
			k.Addf("delete_secrets", "names of secrets are 1 to %d letters, digits and _, and do not begin with a digit", MaxOwnedName)
		case both:
			k.Addf("delete_secrets", "names %s, which is set in the same call", kept)
		case !slices.Contains(out.Delete, kept):
			out.Delete = append(out.Delete, kept)
		}
	}
	slices.Sort(out.Delete)
	return out, k.Err(ErrOwnedInvalid)
}

// shownName is a name as an error may show it: somebody may have mistaken a value for a name.
func shownName(name string) string {
	if ownedName.MatchString(name) && len(name) <= 64 {
		return name
	}
	return "NAME"
}

func checkOwnedName(k *check.Faults, path, name string, o Owner) bool {
	_, provider := providersOf[name]
	switch {
	case !ownedName.MatchString(name):
		k.Addf(path, "its name must be 1 to %d letters, digits and _, and not begin with a digit", MaxOwnedName)
	case !o.Swarm.IsZero() && !provider:
		k.Addf(path, "a swarm has keys of model providers only: %s", strings.Join(servers[:len(providersOf)], ", "))
	case reservedName(name):
		k.Addf(path, "the name is reserved: programs depend on this variable")
	default:
		return true
	}
	return false
}

func reservedName(name string) bool {
	name = strings.ToUpper(name)
	return slices.Contains(reserved, name) ||
		slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func checkOwnedValue(k *check.Faults, path, name string, v Value) {
	s := v.text
	switch {
	case strings.TrimSpace(s) == "":
		k.Addf(path, "must not be empty")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		k.Addf(path, "must be UTF-8 without the NUL character")
	case utf8.RuneCountInString(s) > MaxOwnedValue:
		k.Addf(path, "has %d characters; at most %d are allowed", utf8.RuneCountInString(s), MaxOwnedValue)
	case slices.Contains(servers, name) && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		k.Addf(path, "must not contain line breaks or other control characters")
	case name == AnthropicKey && !strings.HasPrefix(s, anthropicPrefix):
		k.Addf(path, "must begin with %s", anthropicPrefix)
	}
}

// ownedPlace is what a secret is bound to.
func ownedPlace(sc account.Scope, o Owner, name string) string {
	return sc.Tenant.UUID().String() + "/owned_secrets/" + o.Kind() + "/" + o.UUID() + "/" + name
}

// Names returns what secrets an owner has, by name.
func (s *AgentSecrets) Names(ctx context.Context, sc account.Scope, o Owner) ([]Owned, error) {
	if err := s.d.Owners.Exists(ctx, sc, o); err != nil {
		return nil, err
	}
	all, err := s.d.Repository.Owned(ctx, sc, o)
	if err != nil {
		return nil, err
	}
	names := make([]Owned, len(all))
	for i, r := range all {
		names[i] = r.Owned
	}
	return names, nil
}

// Forget removes every secret of an agent, in the transaction of ctx.
func (s *AgentSecrets) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Repository.ForgetOwned(ctx, sc, Owner{Agent: agent})
}

// ForgetSwarm removes the credentials of a swarm, in the transaction of ctx. It implements swarm.Dependent.
func (s *AgentSecrets) ForgetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	return s.d.Repository.ForgetOwned(ctx, sc, Owner{Swarm: swarm})
}
