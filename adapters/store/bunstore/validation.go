package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/validation"
)

// ValidationRepo counts validations of agent cards.
type ValidationRepo struct{ s *Store }

var _ validation.Allowances = (*ValidationRepo)(nil)

// Validations returns the counters of validations of agent cards.
func (s *Store) Validations() *ValidationRepo { return &ValidationRepo{s} }

// validationDay spells a day as it is stored.
func validationDay(day time.Time) string { return day.UTC().Format(time.DateOnly) }

// Take implements validation.Allowances. It is one statement, which locks the counter: of two who come at once the second one counts on what the
// first one left.
func (r *ValidationRepo) Take(ctx context.Context, subject string, day time.Time, n, limit int) (used int, ok bool, err error) {
	if limit < 0 {
		limit = math.MaxInt32
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		err := sql.ErrNoRows
		if n <= limit { // a first row would be made whatever the limit
			err = db.QueryRowContext(ctx, `INSERT INTO validation_days (subject, day, used) VALUES (?, ?, ?)
				ON CONFLICT (subject, day) DO UPDATE SET used = validation_days.used + excluded.used
				WHERE validation_days.used + excluded.used <= ? RETURNING used`, subject, validationDay(day), n, limit).Scan(&used)
		}
		ok = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			used, err = r.used(ctx, db, subject, day)
		}
		return mapErr(err)
	})
	return used, ok, err
}

// Used implements validation.Allowances.
func (r *ValidationRepo) Used(ctx context.Context, subject string, day time.Time) (int, error) {
	return r.used(ctx, r.s.read(ctx), subject, day)
}

func (r *ValidationRepo) used(ctx context.Context, db bun.IDB, subject string, day time.Time) (used int, err error) {
	err = db.QueryRowContext(ctx, "SELECT used FROM validation_days WHERE subject = ? AND day = ?", subject, validationDay(day)).Scan(&used)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return used, mapErr(err)
}

// Prune implements validation.Allowances.
func (r *ValidationRepo) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		gone, err := affected(db.ExecContext(ctx, `DELETE FROM validation_days WHERE (subject, day) IN
			(SELECT subject, day FROM validation_days WHERE day < ? ORDER BY day LIMIT ?)`, validationDay(before), limit))
		n = int(gone)
		return err
	})
	return n, err
}
