// Package page is the vocabulary of lists that are read a page at a time.
package page

// DefaultLimit is how many items a page has when the caller does not say.
const DefaultLimit = 50

// Request asks for one page. The zero value is the first page of DefaultLimit items.
type Request struct {
	Limit  int    // items at most; 0 is DefaultLimit; faces refuse more than their documented most before it gets here
	Cursor string // the Next of the page before; "" is the first. A cursor that cannot be read is a fault.Invalid at "cursor"
	// Offset skips items, for lists that are read by the numbers of their pages; Count fills in Page.Total. Only lists that say so
	// know the two. Offset is not used together with Cursor.
	Offset int
	Count  bool
}

// Size returns Limit or its default.
func (r Request) Size() int {
	if r.Limit <= 0 {
		return DefaultLimit
	}
	return r.Limit
}

// Page is a part of a list. Next is "" on the last page; it stays valid while rows come and go, because it names a position in
// the order and not a number of rows.
type Page[T any] struct {
	Items []T
	Next  string
	Prev  string // of lists that can be read backwards: the cursor of the page before; "" on the first page, and in other lists
	Total int    // items of the whole list, when Request.Count asked for it; 0 otherwise
}
