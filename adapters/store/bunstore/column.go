package bunstore

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// stampLayout has a fixed width, so that the order of the texts is the order of the times.
const stampLayout = "2006-01-02T15:04:05.000000Z"

// stamp is a column that holds a time: TIMESTAMPTZ on Postgres, TEXT of fixed width on SQLite. The zero stamp is NULL. It is
// good as an argument of a query, too.
type stamp struct{ t time.Time }

// at makes a stamp of t, truncated to the microsecond.
func at(t time.Time) stamp { return stamp{t.UTC().Truncate(time.Microsecond)} }

// Time returns the time in UTC; the zero time for NULL.
func (s stamp) Time() time.Time { return s.t }

// IsZero reports whether s is NULL.
func (s stamp) IsZero() bool { return s.t.IsZero() }

// String returns the text that SQLite holds.
func (s stamp) String() string { return s.t.Format(stampLayout) }

// parseStamp reads what String wrote.
func parseStamp(text string) (stamp, error) {
	t, err := time.Parse(stampLayout, text)
	if err != nil {
		return stamp{}, fmt.Errorf("bunstore: %w", err)
	}
	return stamp{t}, nil
}

// Value implements driver.Valuer.
func (s stamp) Value() (driver.Value, error) {
	if s.t.IsZero() {
		return nil, nil //nolint:nilnil // NULL is how SQL spells no time
	}
	return s.String(), nil
}

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*s = stamp{}
		return nil
	case time.Time:
		*s = at(v)
		return nil
	case string:
		p, err := parseStamp(v)
		*s = p
		return err
	case []byte:
		return s.Scan(string(v))
	}
	return fmt.Errorf("bunstore: cannot read a time from %T", src)
}

// rawJSON is a column that holds a JSON document: JSONB on Postgres, TEXT on SQLite. A nil rawJSON is NULL. JSONB keeps neither
// the order of members nor white space.
type rawJSON []byte

// Value implements driver.Valuer.
func (j rawJSON) Value() (driver.Value, error) {
	if j == nil {
		return nil, nil //nolint:nilnil // NULL is how SQL spells no document
	}
	return string(j), nil
}

// Scan implements sql.Scanner.
func (j *rawJSON) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*j = nil
		return nil
	case string:
		*j = rawJSON(v)
		return nil
	case []byte:
		*j = append(rawJSON(nil), v...)
		return nil
	}
	return fmt.Errorf("bunstore: cannot read JSON from %T", src)
}
