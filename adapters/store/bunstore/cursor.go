package bunstore

import (
	"encoding/base64"
	"encoding/json"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// encodeCursor makes an opaque cursor of a row's place in its order: the values of the columns that it is ordered by.
func encodeCursor(place ...string) string {
	b, err := json.Marshal(place)
	if err != nil { // strings always marshal
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeCursor reads a cursor of n values. What encodeCursor did not write is a fault.Invalid at "cursor".
func decodeCursor(cursor string, n int) ([]string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	var place []string
	if err != nil || json.Unmarshal(b, &place) != nil || len(place) != n {
		return nil, errCursor()
	}
	return place, nil
}

// decodeIDCursor reads a cursor that holds one id, for lists in the order of their ids.
func decodeIDCursor[K id.Kind](cursor string) (id.ID[K], error) {
	place, err := decodeCursor(cursor, 1)
	if err != nil {
		return id.ID[K]{}, err
	}
	v, err := id.Parse[K](place[0])
	if err != nil {
		return id.ID[K]{}, errCursor()
	}
	return v, nil
}

// decodeTimeIDCursor reads a cursor that holds a time and an id, for lists in the order of both.
func decodeTimeIDCursor[K id.Kind](cursor string) (stamp, id.ID[K], error) {
	place, err := decodeCursor(cursor, 2)
	if err != nil {
		return stamp{}, id.ID[K]{}, err
	}
	at, terr := parseStamp(place[0])
	v, err := id.Parse[K](place[1])
	if err != nil || terr != nil {
		return stamp{}, id.ID[K]{}, errCursor()
	}
	return at, v, nil
}

func errCursor() error { return fault.Invalidf("cursor", "is not a cursor of this list") }

// pageOf makes a page of rows that were read with LIMIT size+1: the row too many only says that there is a next page. place
// returns what encodeCursor needs to know of a row.
func pageOf[R, T any](rows []R, size int, entity func(R) (T, error), place func(R) []string) (page.Page[T], error) {
	var p page.Page[T]
	if len(rows) > size {
		rows = rows[:size]
		p.Next = encodeCursor(place(rows[size-1])...)
	}
	p.Items = make([]T, len(rows))
	for i, r := range rows {
		v, err := entity(r)
		if err != nil {
			return page.Page[T]{}, err
		}
		p.Items[i] = v
	}
	return p, nil
}
