package native

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
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

// kept is an opt that no null clears.
type kept[T any] opt[T]

// UnmarshalJSON implements json.Unmarshaler.
func (k *kept[T]) UnmarshalJSON(b []byte) error { return (*opt[T])(k).UnmarshalJSON(b) }

// Schema implements huma.SchemaProvider. The service refuses null in better words.
func (kept[T]) Schema(r huma.Registry) *huma.Schema {
	own := *r.Schema(reflect.TypeFor[T](), true, "")
	own.Nullable = own.Type != ""
	own.Extensions = map[string]any{httpx.NotNull: true}
	if own.Type != "" {
		own.Extensions["type"] = own.Type
	}
	return &own
}
