package secret

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// Limits of the secrets that are kept for redaction after they were replaced or deleted.
const (
	// MaxRetired is how many of one agent are kept, the newest.
	MaxRetired = 200
	// MaxRetiredBytes is how much of them is redacted, the newest, as they are kept.
	MaxRetiredBytes = 64 << 10
	// KeepRetired is how old one is at least when a start of its agent forgets it: until then the agent's log may show it.
	KeepRetired = 30 * 24 * time.Hour
)

// RetiredRepository keeps secrets that were replaced or deleted, for redaction alone: a program that was started with one has it still, and
// so have its log and its files. Methods join the transaction in ctx.
type RetiredRepository interface {
	// RetireOwned keeps what an owner's secrets of the given names are now, at a time; names that it has not are left out. Of all that are
	// kept of the owner the newest most stay. The caller has called OwnedRepository.LockOwned, and replaces or deletes them afterwards.
	RetireOwned(ctx context.Context, sc account.Scope, o Owner, names []string, when time.Time, most int) error
	// Retired returns those of an owner, the newest first. UpdatedAt is when they were retired.
	Retired(ctx context.Context, sc account.Scope, o Owner) ([]OwnedRecord, error)
	// ExpireRetired forgets those of an owner that were retired before a time.
	ExpireRetired(ctx context.Context, sc account.Scope, o Owner, before time.Time) error
}

// Starting is told that an instance of an agent is about to be started with what Environment returned: what was retired long before is
// forgotten.
func (s *AgentSecrets) Starting(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Retired.ExpireRetired(ctx, sc, Owner{Agent: agent}, clock.Stored(s.d.Clock.Now()).Add(-KeepRetired))
}

// retired returns the secrets that an owner had. One that cannot be opened any more, because the root secret has changed since, is left
// out.
func (s *AgentSecrets) retired(ctx context.Context, sc account.Scope, o Owner) ([]Known, error) {
	all, err := s.d.Retired.Retired(ctx, sc, o)
	if err != nil {
		return nil, err
	}
	known := make([]Known, 0, len(all))
	size := 0
	for _, r := range all {
		if size += len(r.Sealed); size > MaxRetiredBytes {
			break
		}
		plain, err := s.d.Keeper.Open(ctx, ownedPlace(sc, o, r.Name), r.Sealed)
		if errors.Is(err, keeper.ErrOpen) {
			continue
		}
		if err != nil {
			return nil, err
		}
		known = append(known, Known{Name: r.Name, Value: NewValue(string(plain))})
	}
	return known, nil
}
