package sdk

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/invopop/jsonschema"
)

// inputSchema infers the JSON schema of T from its fields and tags.
func inputSchema[T any]() (json.RawMessage, error) {
	t, ok := isStruct[T]()
	if !ok {
		return nil, fmt.Errorf("the input type %s must be a struct", reflect.TypeFor[T]())
	}
	r := jsonschema.Reflector{
		Anonymous:      true, // no address of a Go package in what a model reads
		ExpandedStruct: true,
		DoNotReference: !recursive(t, nil), // written out where that ends: models read it better
	}
	s := r.ReflectFromType(t)
	s.Version = "" // the draft is the server's default, 2020-12
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("the schema of %s: %w", t, err)
	}
	return b, nil
}

// recursive reports whether t contains itself.
func recursive(t reflect.Type, above []reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, a := range above {
		if a == t {
			return true
		}
	}
	for i := range t.NumField() {
		if recursive(t.Field(i).Type, append(above, t)) {
			return true
		}
	}
	return false
}
