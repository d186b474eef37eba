package valta

import (
	"github.com/bureau-agents/bureau/ports/page"
)

// PageQuery is embedded in the input of a list. It is exported, as all that inputs embed, for huma to see its fields.
type PageQuery struct {
	Page  int `query:"page" minimum:"1" maximum:"1000000000" default:"1" doc:"Which page, from 1. A page past the end is empty."`
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Items on a page."`
}

// request returns the page that is asked for.
func (q PageQuery) request() page.Request {
	return page.Request{Limit: q.Limit, Offset: (q.Page - 1) * q.Limit, Count: true}
}

// listWire is a page on the wire.
type listWire[T any] struct {
	Data  []T `json:"data" nullable:"false" doc:"The items of this page."`
	Total int `json:"total" doc:"How many items there are on all pages."`
	Page  int `json:"page"`
	Limit int `json:"limit"`
}

// listOf writes a page with each item as show makes it.
func listOf[E, T any](q PageQuery, p page.Page[E], show func(E) T) *output[listWire[T]] {
	l := listWire[T]{Data: make([]T, 0, len(p.Items)), Total: p.Total, Page: q.Page, Limit: q.Limit}
	for _, item := range p.Items {
		l.Data = append(l.Data, show(item))
	}
	return ok(l)
}
