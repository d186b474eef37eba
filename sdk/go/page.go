package valar

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// MaxLimit is the most items of one page.
const MaxLimit = 500

// Paging says which part of a list is asked for.
type Paging struct {
	// Limit is the most items that come at once; 0 means 50, and MaxLimit for the methods that begin with All.
	Limit int
	// Offset is how many items to skip.
	Offset int
}

// Page is a part of a list, newest first.
type Page[T any] struct {
	Items []T
	// Total is how many items there are on all pages; -1 when the server does not say.
	Total int
}

func list[T any](ctx context.Context, c *Client, path string, p Paging, query params) (Page[T], error) {
	q := params(maps.Clone(url.Values(query)))
	q.number("limit", p.Limit).number("offset", p.Offset)
	page := Page[T]{Total: -1}
	var header http.Header
	err := c.call(ctx, call{method: http.MethodGet, path: path, query: url.Values(q), out: &page.Items, header: &header})
	if err != nil {
		return Page[T]{}, err
	}
	if total, err := strconv.Atoi(header.Get("X-Total-Count")); err == nil {
		page.Total = total
	}
	return page, nil
}

// all walks over a list. Items that arrive meanwhile push others to later pages; those are not shown twice.
func all[T any](ctx context.Context, c *Client, path string, p Paging, query params, id func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if p.Limit == 0 {
			p.Limit = MaxLimit
		}
		seen := map[string]bool{}
		for at := p; ; {
			page, err := list[T](ctx, c, path, at, query)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if seen[id(item)] {
					continue
				}
				seen[id(item)] = true
				if !yield(item, nil) {
					return
				}
			}
			at.Offset += len(page.Items)
			if len(page.Items) == 0 || page.Total >= 0 && at.Offset >= page.Total {
				return
			}
		}
	}
}
