package account

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// FlowTTL is how long somebody may take to authorize at a provider.
const FlowTTL = 10 * time.Minute

// ErrFlow is returned for a state that no flow has: never given out, used already, or expired. Which of them is not told.
var ErrFlow = fault.New(fault.Invalid, "oauth_state_invalid", "the state is unknown, was used already, or has expired; begin again")

// Flow is an authorization that was begun at a provider of OAuth 2.0 and has not come back. It is found by the hash of its state alone,
// which whoever comes back shows: RFC 6749, 10.12.
type Flow struct {
	Purpose   string    // which callback may end it
	Provider  string    // where it was begun
	Tenant    id.Tenant // on whose behalf
	Key       id.APIKey // who began it; zero for a caller without a key
	Sealed    []byte    // what the callback needs, by ports/keeper
	ExpiresAt time.Time
}

// FlowRepository keeps flows. Implementations are safe for concurrent use; calls join the transaction in ctx.
type FlowRepository interface {
	// InsertFlow adds a flow of sc's tenant under the hash of its state.
	InsertFlow(ctx context.Context, sc Scope, state Hash, f Flow) error
	// TakeFlow removes the flow with that hash, purpose and provider and returns it; false when there is none. Of several callers at
	// once one gets it.
	TakeFlow(ctx context.Context, state Hash, purpose, provider string) (Flow, bool, error)
	// ExpireFlows removes the flows that expired by now, and returns how many.
	ExpireFlows(ctx context.Context, now time.Time) (int, error)
}

// FlowDeps are what Flows need; all of them are required.
type FlowDeps struct {
	Clock      clock.Clock
	Keeper     keeper.Keeper
	Repository FlowRepository
}

// Flows begins and ends authorizations at providers of OAuth 2.0. It is safe for concurrent use.
type Flows struct{ d FlowDeps }

// NewFlows returns Flows, or an error that names the missing dependency.
func NewFlows(d FlowDeps) (*Flows, error) {
	switch {
	case d.Clock == nil:
		return nil, errors.New("account: FlowDeps.Clock is required")
	case d.Keeper == nil:
		return nil, errors.New("account: FlowDeps.Keeper is required")
	case d.Repository == nil:
		return nil, errors.New("account: FlowDeps.Repository is required")
	}
	return &Flows{d}, nil
}

// Begin remembers data, which becomes JSON, for FlowTTL and returns the state under which End finds it, once.
func (f *Flows) Begin(ctx context.Context, sc Scope, purpose, provider string, data any) (state string, err error) {
	plain, err := json.Marshal(data)
	if err != nil {
		return "", fmt.Errorf("account: %w", err)
	}
	state = NewToken()
	hash := HashSecret(state)
	sealed, err := f.d.Keeper.Seal(ctx, flowPlace(hash), plain)
	if err != nil {
		return "", err
	}
	return state, f.d.Repository.InsertFlow(ctx, sc, hash, Flow{
		Purpose: purpose, Provider: provider, Tenant: sc.Tenant, Key: sc.Key, Sealed: sealed,
		ExpiresAt: clock.Stored(f.d.Clock.Now()).Add(FlowTTL),
	})
}

// End ends the flow of a state and fills data with what Begin was given; whatever becomes of it afterwards, the state is used up. It
// returns ErrFlow for a state that was begun for another purpose or provider, too.
func (f *Flows) End(ctx context.Context, purpose, provider, state string, data any) (Flow, error) {
	if len(state) != tokenLength {
		return Flow{}, ErrFlow
	}
	hash := HashSecret(state)
	flow, ok, err := f.d.Repository.TakeFlow(ctx, hash, purpose, provider)
	switch {
	case err != nil:
		return Flow{}, err
	case !ok || !f.d.Clock.Now().Before(flow.ExpiresAt):
		return Flow{}, ErrFlow
	}
	plain, err := f.d.Keeper.Open(ctx, flowPlace(hash), flow.Sealed)
	if err != nil {
		return Flow{}, err
	}
	if err := json.Unmarshal(plain, data); err != nil {
		return Flow{}, fmt.Errorf("account: the flow of a state: %w", err)
	}
	return flow, nil
}

// Expire forgets the flows that nobody came back from.
func (f *Flows) Expire(ctx context.Context) (int, error) {
	return f.d.Repository.ExpireFlows(ctx, clock.Stored(f.d.Clock.Now()))
}

func flowPlace(state Hash) string { return "oauth_flows/" + hex.EncodeToString(state[:]) }

// tokenLength is the length of what NewToken makes.
const tokenLength = 43

// NewToken makes 256 random bits as 43 characters that are safe in URLs; they suit as a state, a nonce and a code verifier (RFC 7636,
// 4.1: 43 to 128 of those characters).
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}
