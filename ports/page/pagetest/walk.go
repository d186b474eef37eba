// Package pagetest reads lists a page at a time, for the suites of those who keep them.
package pagetest

import (
	"testing"

	"github.com/bureau-agents/bureau/ports/page"
)

// most is how many pages a list of a test has at most: one that names itself as the next would be read for ever.
const most = 10_000

// Walk reads a list to its end by pages of limit items, 0 for the default, and returns what of makes of each item, nil for none. It
// fails the test when a page cannot be read, and when one that another follows is not full.
func Walk[T, V any](t *testing.T, limit int, of func(T) V, read func(page.Request) (page.Page[T], error)) []V {
	t.Helper()
	var out []V
	req := page.Request{Limit: limit}
	for range most {
		p, err := read(req)
		if err != nil {
			t.Fatalf("page at %q: %v", req.Cursor, err)
		}
		for _, item := range p.Items {
			out = append(out, of(item))
		}
		if p.Next == "" {
			return out
		}
		if len(p.Items) != req.Size() {
			t.Errorf("a page of %d items, of %d, is not the last", len(p.Items), req.Size())
		}
		req.Cursor = p.Next
	}
	t.Fatalf("the list does not end after %d pages", most)
	return nil
}

// Whole is for a Walk that wants the items themselves.
func Whole[T any](item T) T { return item }
