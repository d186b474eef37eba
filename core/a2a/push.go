package a2a

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/id"
)

// The bounds of push notification configurations, in characters unless they say otherwise.
const (
	MaxPushPerTask    = 10 // configurations of one task
	MaxPushID         = 128
	MaxPushToken      = 4096
	MaxPushScheme     = 64
	MaxPushCredential = 8192
)

// PushProtocol is the version of A2A whose notifications a configuration gets: that of the call which made it.
type PushProtocol string

// The versions. 1.0 posts a StreamResponse for each change (4.3.3), 0.3 the whole Task (9.5 of its text).
const (
	Push10 PushProtocol = "1.0"
	Push03 PushProtocol = "0.3"
)

// PushState is how far the notifications of a configuration came.
type PushState string

// The states.
const (
	PushActive PushState = "active"
	PushDone   PushState = "done"   // the task has ended, and all of it was told
	PushFailed PushState = "failed" // given up; PushConfig.Error says why
)

// PushConfig says where the changes of a task are posted.
type PushConfig struct {
	Tenant id.Tenant
	Agent  id.Agent
	Task   id.Turn
	ID     string // the client's own, or made for it; unique in the task
	URL    string
	Scheme string // of the header Authorization: "Bearer"; "" sends none
	// Sealed holds the token and the credentials; nil is neither. They come out nowhere but in what is posted.
	Sealed   []byte
	Protocol PushProtocol
	State    PushState
	Error    string // why it was given up; "" unless PushFailed
	// Place is the number of the last PushChange that was told; 0 before the first.
	Place int64
	// Failures counts the attempts in a row that failed; NextAt is when the next one is made, at the earliest.
	Failures  int
	NextAt    time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time // when it became PushDone or PushFailed; zero before
}

// place is what the secrets of a configuration are bound to by their seal.
func (c PushConfig) place() string {
	return c.Tenant.String() + "/a2a_push/" + c.Task.String() + "/" + c.ID
}

// NewPush asks for a configuration.
type NewPush struct {
	ID           string // "" makes one
	URL          string
	Token        secret.Value
	Scheme       string
	Credentials  secret.Value
	Protocol     PushProtocol // "" is Push10
	ReplaceFirst bool         // an ID that is left out is the task's, so that a second call replaces the first, as servers of 0.3 do
}

// sealedPush is what Sealed holds.
type sealedPush struct {
	Token       string `json:"token,omitempty"`
	Credentials string `json:"credentials,omitempty"`
}

// Set adds a configuration to a task that the caller may see, or replaces the one with its ID. It is told what changes from now on; of a task that has
// ended, nothing. ErrPushInvalid, ErrTooManyPushes. In a transaction it becomes part of it.
func (s *Pushes) Set(ctx context.Context, sc account.Scope, of Task, n NewPush) (PushConfig, error) {
	now := s.now()
	c := PushConfig{
		Tenant: sc.Tenant, Agent: of.Agent, Task: of.ID, ID: n.ID, URL: n.URL, Scheme: n.Scheme, Protocol: n.Protocol,
		State: PushActive, NextAt: now, CreatedAt: now, UpdatedAt: now,
	}
	switch {
	case c.ID == "" && n.ReplaceFirst:
		c.ID = c.Task.String()
	case c.ID == "":
		c.ID = s.d.IDs.NewUUID().String()
	}
	if c.Protocol == "" {
		c.Protocol = Push10
	}
	if err := s.check(c, n); err != nil {
		return PushConfig{}, err
	}
	if !n.Token.IsZero() || !n.Credentials.IsZero() {
		plain, err := json.Marshal(sealedPush{n.Token.Reveal(), n.Credentials.Reveal()})
		if err == nil {
			c.Sealed, err = s.d.Keeper.Seal(ctx, c.place(), plain)
		}
		if err != nil {
			return PushConfig{}, err
		}
	}
	if of.State.Terminal() {
		c = c.ended(PushDone, "", now)
	}
	if err := s.d.Configs.Put(ctx, sc, c, MaxPushPerTask); err != nil {
		return PushConfig{}, err
	}
	return c, nil
}

// TaskChanged implements Watcher: it notes what is to be told of a task, in the transaction in which that happened.
func (s *Pushes) TaskChanged(ctx context.Context, sc account.Scope, t Task) error {
	all := []PushChange{{Task: t.ID, State: t.State, Reason: t.Reason, Rule: t.Rule, At: t.UpdatedAt}}
	if t.State.Terminal() {
		made := all[0]
		made.Artifacts = true
		all = []PushChange{made, all[0]} // what was made comes before that it is over, as in a stream
	}
	told, err := s.d.Changes.Append(ctx, sc, t.ID, all)
	if err == nil && told {
		s.d.TX.AfterCommit(ctx, s.lanes.Nudge)
	}
	return err
}

// Check reports what is wrong with a configuration that is still to be made. ErrPushInvalid.
func (s *Pushes) Check(n NewPush) error {
	return s.check(PushConfig{ID: n.ID, URL: n.URL, Scheme: n.Scheme, Protocol: n.Protocol}, n)
}

func (s *Pushes) check(c PushConfig, n NewPush) error {
	var f check.Faults
	f.Text("id", c.ID, MaxPushID)
	webhook.CheckURL(&f, s.d.Sender, c.URL)
	f.Text("token", n.Token.Reveal(), MaxPushToken)
	if !headerText(n.Token.Reveal()) {
		f.Addf("token", "must have printable ASCII characters only")
	}
	f.Text("authentication.scheme", c.Scheme, MaxPushScheme)
	f.Text("authentication.credentials", n.Credentials.Reveal(), MaxPushCredential)
	switch {
	case c.Scheme == "" && !n.Credentials.IsZero():
		f.Addf("authentication.scheme", "is required where there are credentials")
	case !schemeName(c.Scheme):
		f.Addf("authentication.scheme", "must be the name of a scheme of HTTP, such as Bearer")
	case !headerText(n.Credentials.Reveal()):
		f.Addf("authentication.credentials", "must have printable ASCII characters only")
	}
	return f.Err(ErrPushInvalid)
}

// headerText reports whether s can stand in a header.
func headerText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// schemeName reports whether s is "" or a token of RFC 9110, 5.6.2, of letters, digits and hyphens.
func schemeName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

// Get returns a configuration of a task; "" is the only one, or the first. ErrPushNotFound.
func (s *Pushes) Get(ctx context.Context, sc account.Scope, task id.Turn, config string) (PushConfig, error) {
	if config != "" {
		return s.d.Configs.Get(ctx, sc, task, config)
	}
	all, err := s.d.Configs.List(ctx, sc, task)
	if err == nil && len(all) == 0 {
		err = ErrPushNotFound
	}
	if err != nil {
		return PushConfig{}, err
	}
	return all[0], nil
}

// List returns the configurations of a task in the order in which they were made.
func (s *Pushes) List(ctx context.Context, sc account.Scope, task id.Turn) ([]PushConfig, error) {
	return s.d.Configs.List(ctx, sc, task)
}

// Delete removes a configuration; what is on its way to it may still arrive. ErrPushNotFound.
func (s *Pushes) Delete(ctx context.Context, sc account.Scope, task id.Turn, config string) error {
	return s.d.Configs.Delete(ctx, sc, task, config)
}

// Forget removes all configurations of an agent's tasks, in the transaction of ctx.
func (s *Pushes) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Sweeps.Forget(ctx, sc, agent)
}
