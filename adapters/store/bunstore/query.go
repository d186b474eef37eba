package bunstore

import (
	"database/sql"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
)

// where gathers the conditions of a query.
type where struct {
	conds []string
	args  []any
}

func newWhere(cond string, args ...any) *where { return &where{[]string{cond}, args} }

func (w *where) and(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) between(column string, r session.TimeRange) {
	if !r.From.IsZero() {
		op := ">="
		if r.ExcludeFrom {
			op = ">"
		}
		w.and(column+" "+op+" ?", at(r.From))
	}
	if !r.To.IsZero() {
		op := "<="
		if r.ExcludeTo {
			op = "<"
		}
		w.and(column+" "+op+" ?", at(r.To))
	}
}

func (w *where) sql() string { return strings.Join(w.conds, " AND ") }

// affected returns how many rows a statement changed.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, mapErr(err)
	}
	return res.RowsAffected()
}
