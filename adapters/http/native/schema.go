package native

import (
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/core/session"
)

// told returns a schema that says more in the document than huma checks: what the services refuse with better words than a schema has.
func told(words map[string]any, description string) *huma.Schema {
	return &huma.Schema{Description: description, Extensions: words}
}

// unoffered is a field that the API knows and this server does not serve: it may be there only to ask for nothing. See isGiven.
type unoffered json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (u *unoffered) UnmarshalJSON(b []byte) error {
	*u = append((*u)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (unoffered) Schema(huma.Registry) *huma.Schema {
	return told(map[string]any{"enum": []any{nil, "", []any{}, map[string]any{}}}, "Not offered by this server.")
}

// metadataParam are the client's own pairs in a body.
type metadataParam map[string]string

// Schema implements huma.SchemaProvider.
func (metadataParam) Schema(huma.Registry) *huma.Schema { return metadataSchema(huma.TypeString) }

// metadataPatch changes a client's own pairs.
type metadataPatch map[string]*string

// Schema implements huma.SchemaProvider.
func (metadataPatch) Schema(huma.Registry) *huma.Schema {
	return metadataSchema(huma.TypeString, "null")
}

func metadataSchema(types ...string) *huma.Schema {
	value := &huma.Schema{Extensions: map[string]any{
		"type": types, "maxLength": session.MaxMetadataValue, "pattern": textPattern,
	}}
	if len(types) == 1 {
		value.Type = types[0]
	}
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: value,
		Extensions: map[string]any{
			"maxProperties": session.MaxMetadata,
			"propertyNames": map[string]any{"minLength": 1, "maxLength": session.MaxMetadataKey, "pattern": textPattern},
		},
	}
}

// textPattern is any text that every database can hold, notBlank one with something to read in it.
const (
	textPattern = `^[^\x00]*$`
	notBlank    = `^[^\x00]*[^\x00\s][^\x00]*$`
)

// The blocks and sources that session.ParseContent reads, for the document.
type (
	textBlock struct {
		Type string `json:"type" enum:"text"`
		Text string `json:"text" minLength:"1"`
	}
	imageBlock struct {
		Type   string      `json:"type" enum:"image"`
		Source imageSource `json:"source"`
	}
	documentBlock struct {
		Type    string         `json:"type" enum:"document"`
		Source  documentSource `json:"source"`
		Title   *string        `json:"title,omitempty"`
		Context *string        `json:"context,omitempty"`
	}
	base64Source struct {
		Type      string `json:"type" enum:"base64"`
		MediaType string `json:"media_type" minLength:"1"`
		Data      string `json:"data" pattern:"^([A-Za-z0-9+/]{4})+$" doc:"Base64."`
	}
	urlSource struct {
		Type string `json:"type" enum:"url"`
		URL  string `json:"url" pattern:"^https?://[^\\x00]*$"`
	}
	textSource struct {
		Type string `json:"type" enum:"text"`
		Data string `json:"data" minLength:"1"`
	}
	imageSource    struct{}
	documentSource struct{}
)

// Schema implements huma.SchemaProvider.
func (imageSource) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{refOf[base64Source](r), refOf[urlSource](r)}}
}

// Schema implements huma.SchemaProvider.
func (documentSource) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{refOf[base64Source](r), refOf[urlSource](r), refOf[textSource](r)}}
}

// contentSchema is what session.ParseContent accepts.
func contentSchema(r huma.Registry) *huma.Schema {
	blocks := []*huma.Schema{refOf[textBlock](r), refOf[imageBlock](r), refOf[documentBlock](r)}
	return told(map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "pattern": notBlank},
		map[string]any{"type": "array", "minItems": 1, "maxItems": session.MaxContentBlocks, "items": map[string]any{"oneOf": blocks}},
	}}, "A text, or an array of blocks.")
}

// oneSpace says that exactly one of agent_id and swarm_id must be given; an empty one is not.
func oneSpace(s *huma.Schema) *huma.Schema {
	given := map[string]any{"type": "string", "minLength": 1, "pattern": textPattern}
	none := map[string]any{"enum": []any{nil, ""}}
	one := func(name, other string) any {
		return map[string]any{"required": []string{name}, "properties": map[string]any{name: given, other: none}}
	}
	s.Extensions = map[string]any{"oneOf": []any{one("agent_id", "swarm_id"), one("swarm_id", "agent_id")}}
	return s
}

// when says what more an object must have when one of its members has one of the values.
func when(member string, values []string, then map[string]any) map[string]any {
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{member: map[string]any{"enum": values}}},
		"then": then,
	}
}

// refOf registers the schema of T and returns it for use in words.
func refOf[T any](r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }
