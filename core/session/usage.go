package session

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// UsageBody is that of session.usage: what the session has used so far.
type UsageBody struct {
	Usage  UsageSnapshot `json:"usage"`
	Budget *BudgetBody   `json:"budget"` // nil: none
}

// UsageSnapshot sums what a session has used, in the shape of the API.
type UsageSnapshot struct {
	Input         int64         `json:"input_tokens"`
	Output        int64         `json:"output_tokens"`
	CacheRead     int64         `json:"cache_read_input_tokens"`
	CacheCreation CacheCreation `json:"cache_creation"`
	ActiveSeconds float64       `json:"active_seconds"` // to the millisecond
	ListCost      AmountBody    `json:"list_cost"`      // of the calls that have a known price
}

// CacheCreation counts the tokens that were written to caches, by how long those live.
type CacheCreation struct {
	Ephemeral5m int64 `json:"ephemeral_5m_input_tokens"`
	Ephemeral1h int64 `json:"ephemeral_1h_input_tokens"`
}

// UsageAt sums what s has used until now. threads is what the sessions that work for it have used.
func (s Session) UsageAt(now time.Time, threads Usage) UsageSnapshot {
	all := s.Usage.Plus(threads)
	u := all.Tokens
	return UsageSnapshot{
		Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheCreation: CacheCreation{u.CacheWrite5m, u.CacheWrite1h},
		ActiveSeconds: max(0, s.ActiveTime(now).Round(time.Millisecond).Seconds()),
		ListCost:      AmountBody{all.Cost.Dollars(), money.USD},
	}
}

// snapshot lets an append write the body of session.usage.
func (j *Journal) snapshot(ctx context.Context, sc account.Scope, a *Append) error {
	threads, err := j.d.Threads.Usage(ctx, sc, []id.Session{a.Session})
	if err != nil {
		return err
	}
	of, at := threads[a.Session], a.At
	a.Snapshot = func(after Session) (json.RawMessage, error) {
		return encodeBody(UsageBody{after.UsageAt(at, of), budgetBody(after.Budget)})
	}
	return nil
}

// withUsage puts a session.usage before every session.status_idle that ends a turn.
func withUsage(entries []Entry) []Entry {
	out := make([]Entry, 0, len(entries)+1)
	for _, e := range entries {
		if body, ok := e.Body.(IdleBody); ok && body.StopReason.Type != StopRequiresAction {
			out = append(out, Entry{Type: SessionUsage})
		}
		out = append(out, e)
	}
	return out
}
