package session

import (
	"context"
	"fmt"

	"github.com/bureau-agents/bureau/core/account"
)

// Note appends events that belong to no step of a turn, such as what happens to a session's sandbox: errors and warnings only, since
// they change nothing of the session's state. It joins the transaction in ctx.
func (j *Journal) Note(ctx context.Context, ref Ref, entries ...Entry) error {
	for _, e := range entries {
		if e.Type != SessionError && e.Type != SessionWarning {
			return fmt.Errorf("session: %s cannot be noted from outside of a turn", e.Type)
		}
	}
	return j.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := j.append(ctx, account.System(ref.Tenant), Append{Session: ref.Session}, entries)
		return err
	})
}
