package httpx

import (
	"github.com/bureau-agents/bureau/ports/page"
)

// List is the body of a list on the native face.
type List[T any] struct {
	Data     []T     `json:"data" nullable:"false" doc:"The items of this page."`
	HasMore  bool    `json:"has_more" doc:"Whether there is a next page."`
	NextPage *string `json:"next_page" doc:"The cursor of the next page; null on the last."`
}

// NewList writes a page with each item as show makes it.
func NewList[E, T any](p page.Page[E], show func(E) T) List[T] {
	l := List[T]{Data: make([]T, 0, len(p.Items)), HasMore: p.Next != ""}
	for _, item := range p.Items {
		l.Data = append(l.Data, show(item))
	}
	if p.Next != "" {
		l.NextPage = &p.Next
	}
	return l
}

// PageQuery is embedded in the input of a list: limit, and cursor or page.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50" doc:"Items on a page."`
	Cursor string `query:"cursor" doc:"next_page of the page before."`
	Page   string `query:"page" doc:"Another name of cursor."`
}

// Request returns the page that is asked for.
func (q PageQuery) Request() page.Request {
	r := page.Request{Limit: q.Limit, Cursor: q.Cursor}
	if r.Cursor == "" {
		r.Cursor = q.Page
	}
	return r
}

// Deleted is the body of an answer to a deletion.
type Deleted struct {
	ID   string `json:"id"`
	Type string `json:"type" doc:"What was deleted, such as api_key_deleted."`
}
