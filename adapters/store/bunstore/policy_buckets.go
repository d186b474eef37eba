package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

var errBuckets = errors.New("bunstore: the buckets of a counter cannot be read")

// encodeBuckets writes buckets as JSON, [[start,spent,reserved],...] with the start in seconds since 1970. Every act reads and writes
// those of every policy that rolls, which encoding/json takes too long for.
func encodeBuckets(r policy.Rolling) sql.NullString {
	text := append(make([]byte, 0, 2+32*len(r)), '[')
	for i, b := range r {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(append(text, '['), b.Start.Unix(), 10)
		text = strconv.AppendInt(append(text, ','), b.Spent, 10)
		text = strconv.AppendInt(append(text, ','), b.Reserved, 10)
		text = append(text, ']')
	}
	return sql.NullString{String: string(append(text, ']')), Valid: true}
}

// decodeBuckets reads what encodeBuckets wrote; nil for NULL.
func decodeBuckets(text []byte) (policy.Rolling, error) {
	if text == nil {
		return nil, nil
	}
	if len(text) < 2 || text[0] != '[' || text[len(text)-1] != ']' {
		return nil, errBuckets
	}
	rest := text[1:]
	out := make(policy.Rolling, 0, policy.Buckets+1)
	for rest[0] != ']' {
		if len(out) > 0 {
			if rest[0] != ',' {
				return nil, errBuckets
			}
			rest = rest[1:]
		}
		var n [3]int64
		for i, before := range []byte("[,,") {
			var ok bool
			if len(rest) == 0 || rest[0] != before {
				return nil, errBuckets
			}
			if n[i], rest, ok = cutInt(rest[1:]); !ok {
				return nil, errBuckets
			}
		}
		if len(rest) < 2 || rest[0] != ']' {
			return nil, errBuckets
		}
		rest = rest[1:]
		out = append(out, policy.Bucket{Start: time.Unix(n[0], 0).UTC(), Spent: n[1], Reserved: n[2]})
	}
	if len(rest) != 1 {
		return nil, errBuckets
	}
	return out, nil
}

// cutInt reads the number that b begins with.
func cutInt(b []byte) (n int64, rest []byte, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if n > (math.MaxInt64-int64(b[i]-'0'))/10 {
			return 0, nil, false
		}
		n = 10*n + int64(b[i]-'0')
	}
	if negative {
		n = -n
	}
	return n, b[i:], i > 0
}

// heldKey names a counter that a transaction holds.
type heldKey struct {
	tenant id.Tenant
	row    counterRow
}

// heldState is what such a counter holds; ok is false where there is no row.
type heldState struct {
	state counterState
	ok    bool
}

// holds remembers what the transaction in ctx has found in counters that nobody else can change before it ends, so that it need not read
// them again to change them.
func (s *Store) holds(ctx context.Context, sc account.Scope, rows []counterRow, found map[counterRow]counterState) {
	st := s.current(ctx)
	if st == nil {
		return
	}
	if st.counters == nil {
		st.counters = make(map[heldKey]heldState, len(rows))
	}
	for _, row := range rows {
		state, ok := found[row]
		st.counters[heldKey{sc.Tenant, row}] = heldState{state, ok}
	}
}

// held returns what the transaction in ctx holds of rows; false unless it holds all of them.
func (s *Store) held(ctx context.Context, sc account.Scope, rows []counterRow) (map[counterRow]counterState, bool) {
	st := s.current(ctx)
	if st == nil {
		return nil, false
	}
	out := make(map[counterRow]counterState, len(rows))
	for _, row := range rows {
		h, ok := st.counters[heldKey{sc.Tenant, row}]
		if !ok {
			return nil, false
		}
		if h.ok {
			out[row] = h.state
		}
	}
	return out, true
}

// forgetHeld forgets what was remembered of counters, some of which are being removed.
func (s *Store) forgetHeld(ctx context.Context) {
	if st := s.current(ctx); st != nil {
		st.counters = nil
	}
}
