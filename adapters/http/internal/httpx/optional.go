package httpx

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Opt is a field of a body that may be missing, null, or a value, which are three different things in an update.
type Opt[T any] struct {
	Set   bool // it is there
	Null  bool // it is null
	Value T
}

// UnmarshalJSON implements json.Unmarshaler; it is not called for a missing field.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	o.Set = true
	if string(b) == "null" {
		o.Null = true
		return nil
	}
	return json.Unmarshal(b, &o.Value)
}

// Schema implements huma.SchemaProvider. A schema that is shared by reference cannot say that null is allowed; huma lets it pass for
// every field that is not required.
func (Opt[T]) Schema(r huma.Registry) *huma.Schema {
	s := r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref != "" {
		return s
	}
	own := *s
	own.Nullable = own.Type != ""
	return &own
}

// Change is what an update does to the field: nil leaves it, a null makes it the zero value.
func (o Opt[T]) Change() *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// Kept is an Opt that no null clears.
type Kept[T any] Opt[T]

// UnmarshalJSON implements json.Unmarshaler.
func (k *Kept[T]) UnmarshalJSON(b []byte) error { return (*Opt[T])(k).UnmarshalJSON(b) }

// Schema implements huma.SchemaProvider. The service refuses null in better words.
func (Kept[T]) Schema(r huma.Registry) *huma.Schema {
	own := *r.Schema(reflect.TypeFor[T](), true, "")
	own.Nullable = own.Type != ""
	own.Extensions = map[string]any{NotNull: true}
	if own.Type != "" {
		own.Extensions["type"] = own.Type
	}
	return &own
}

// Given returns the value of a field that is there and not null, and nil otherwise.
func (o Opt[T]) Given() *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}
