package bunstore

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
)

// ErrorEventRepo counts events at the levels error and critical. It implements usage.ErrorEvents.
type ErrorEventRepo struct{ s *Store }

var _ usage.ErrorEvents = (*ErrorEventRepo)(nil)

// ErrorEvents returns the counter of events at the levels error and critical.
func (s *Store) ErrorEvents() *ErrorEventRepo { return &ErrorEventRepo{s} }

// millisPerDay are those of UTC, in which the times of events are stored.
const millisPerDay = int64(24 * time.Hour / time.Millisecond)

// CountErrors implements usage.ErrorEvents. The index of errors holds all that it reads.
func (r *ErrorEventRepo) CountErrors(
	ctx context.Context, sc account.Scope, agent id.Agent, since, until time.Time, by usage.Grouping,
) (map[string]int64, error) {
	q, args := r.query(sc, agent, since, until, by)
	out := map[string]int64{}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var key string
		var n int64
		if err := row.Scan(&key, &n); err != nil {
			return err
		}
		out[r.key(key, by)] = n
		return nil
	}, q, args...)
	return out, err
}

func (r *ErrorEventRepo) query(sc account.Scope, agent id.Agent, since, until time.Time, by usage.Grouping) (string, []any) {
	w := newWhere("tenant_id = ?", r.s.uuid(sc.Tenant.UUID()))
	w.and("at >= ?", since.UnixMilli())
	w.and("at < ?", until.UnixMilli())
	if !agent.IsZero() {
		w.and("agent_id = ?", r.s.uuid(agent.UUID()))
	}
	key := "agent_id"
	if by == usage.GroupDay {
		key = "at / " + strconv.FormatInt(millisPerDay, 10)
	}
	shown := "CAST(" + key + " AS TEXT)"
	if by != usage.GroupDay && !r.s.postgres() {
		shown = "LOWER(HEX(" + key + "))"
	}
	return "SELECT " + shown + ", COUNT(*) FROM telemetry_events WHERE level >= 2 AND " + w.sql() + " GROUP BY " + key, w.args
}

// key spells what query groups by.
func (r *ErrorEventRepo) key(shown string, by usage.Grouping) string {
	if by == usage.GroupDay {
		days, err := strconv.ParseInt(shown, 10, 64)
		if err != nil {
			return shown
		}
		return time.UnixMilli(days * millisPerDay).UTC().Format(time.DateOnly)
	}
	if b, err := hex.DecodeString(strings.ReplaceAll(shown, "-", "")); err == nil && len(b) == len(id.UUID{}) {
		return id.UUID(b).String()
	}
	return shown
}
