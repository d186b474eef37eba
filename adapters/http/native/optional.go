package native

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

// Schema implements huma.SchemaProvider. A schema that is shared by reference cannot say that null is allowed; huma lets it pass for
// every field that is not required.
func (opt[T]) Schema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref != "" {
		return s
	}
	own := *s
	own.Nullable = own.Type != ""
	return &own
}
