package agento

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// opt is a field of a body that may be missing, null, or a value, which are three different things in an update.
type opt[T any] struct {
	set   bool // it is there
	null  bool // it is null
	value T
}

// UnmarshalJSON implements json.Unmarshaler; it is not called for a missing field.
func (o *opt[T]) UnmarshalJSON(b []byte) error {
	o.set = true
	if string(b) == "null" {
		o.null = true
		return nil
	}
	return json.Unmarshal(b, &o.value)
}

// Schema implements huma.SchemaProvider.
func (opt[T]) Schema(r huma.Registry) *huma.Schema {
	own := *r.Schema(reflect.TypeFor[T](), true, "")
	own.Nullable = own.Type != ""
	return &own
}

// change is what an update does to the field: nil leaves it, a null makes it the zero value.
func (o opt[T]) change() *T {
	if !o.set {
		return nil
	}
	return &o.value
}
