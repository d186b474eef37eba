package pagetest_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
)

func TestWalk(t *testing.T) {
	t.Parallel()
	all := []int{3, 1, 4, 1, 5}
	for limit := 1; limit <= 6; limit++ {
		var sizes []int
		got := pagetest.Walk(t, limit, pagetest.Whole, func(req page.Request) (page.Page[int], error) {
			at := 0
			if req.Cursor != "" {
				var err error
				if at, err = strconv.Atoi(req.Cursor); err != nil {
					return page.Page[int]{}, err
				}
			}
			p := page.Page[int]{Items: all[at:min(at+req.Size(), len(all))]}
			if end := at + req.Size(); end < len(all) {
				p.Next = strconv.Itoa(end)
			}
			sizes = append(sizes, len(p.Items))
			return p, nil
		})
		if !slices.Equal(got, all) || len(sizes) != (len(all)+limit-1)/limit {
			t.Errorf("by %d: %v in pages of %v", limit, got, sizes)
		}
	}
	if got := pagetest.Walk(t, 0, strconv.Itoa, func(page.Request) (page.Page[int], error) { return page.Page[int]{Items: all[:2]}, nil }); !slices.Equal(got, []string{"3", "1"}) {
		t.Errorf("one page: %q", got)
	}
}
