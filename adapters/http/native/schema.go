package native

import (
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/core/session"
)

// told returns a schema that says more in the document than huma checks: what the services refuse with better words than a schema has.
func told(words map[string]any, description string) *huma.Schema {
	return &huma.Schema{Description: description, Extensions: words}
}

// metadataParam are the client's own pairs in a body.
type metadataParam map[string]string

// Schema implements huma.SchemaProvider.
func (metadataParam) Schema(huma.Registry) *huma.Schema { return metadataSchema(false) }

// metadataPatch changes a client's own pairs; null removes one.
type metadataPatch map[string]*string

// Schema implements huma.SchemaProvider.
func (metadataPatch) Schema(huma.Registry) *huma.Schema { return metadataSchema(true) }

func metadataSchema(null bool) *huma.Schema {
	value := &huma.Schema{
		Type: huma.TypeString, Nullable: null, Extensions: map[string]any{"maxLength": session.MaxMetadataValue, "pattern": textPattern},
	}
	value.PrecomputeMessages()
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
	base64ImageSource struct {
		Type      string `json:"type" enum:"base64"`
		MediaType string `json:"media_type" enum:"image/png,image/jpeg,image/gif,image/webp"`
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
	fileSource struct {
		Type   string `json:"type" enum:"file"`
		FileID string `json:"file_id" minLength:"1" doc:"A file of yours; it is read when a model is asked."`
	}
	redactedBlock struct {
		Type string `json:"type" enum:"redacted"`
	}
	searchResultBlock struct {
		Type      string            `json:"type" enum:"search_result" doc:"In results only."`
		Source    string            `json:"source" minLength:"1"`
		Title     string            `json:"title,omitempty"`
		Content   []textBlock       `json:"content" minItems:"1" nullable:"false"`
		Citations *searchCitedParam `json:"citations,omitempty"`
	}
	searchCitedParam struct {
		Enabled bool `json:"enabled,omitempty"`
	}
	imageSource    struct{}
	documentSource struct{}
)

// Schema implements huma.SchemaProvider.
func (imageSource) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{refOf[base64ImageSource](r), refOf[urlSource](r), refOf[fileSource](r)}}
}

// Schema implements huma.SchemaProvider.
func (documentSource) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{refOf[base64Source](r), refOf[urlSource](r), refOf[textSource](r), refOf[fileSource](r)}}
}

// contentSchema is what session.ParseContent accepts.
func contentSchema(r huma.Registry) *huma.Schema { return blocksSchema(r, refOf[searchResultBlock](r)) }

// messageSchema is the content that messages have.
func messageSchema(r huma.Registry) *huma.Schema { return blocksSchema(r) }

// systemSchema is the content of system messages.
func systemSchema(r huma.Registry) *huma.Schema {
	return told(map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "pattern": notBlank},
		map[string]any{"type": "array", "minItems": 1, "maxItems": session.MaxContentBlocks, "items": refOf[textBlock](r)},
	}}, "A text, or an array of texts.")
}

func blocksSchema(r huma.Registry, more ...*huma.Schema) *huma.Schema {
	blocks := append([]*huma.Schema{refOf[textBlock](r), refOf[imageBlock](r), refOf[documentBlock](r), refOf[redactedBlock](r)}, more...)
	return told(map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "pattern": notBlank},
		map[string]any{"type": "array", "minItems": 1, "maxItems": session.MaxContentBlocks, "items": map[string]any{"oneOf": blocks}},
	}}, "A text, or an array of blocks.")
}

// oneOf says that exactly one of an object's members must be given, with a value of this schema; null and empty ones are not.
func oneOf(s *huma.Schema, members map[string]any) *huma.Schema {
	var each []any
	for _, name := range slices.Sorted(maps.Keys(members)) {
		props := map[string]any{}
		for other := range members {
			props[other] = map[string]any{"enum": []any{nil, "", false}}
		}
		props[name] = members[name]
		each = append(each, map[string]any{"required": []string{name}, "properties": props})
	}
	s.Extensions = map[string]any{"oneOf": each}
	return s
}

// given is a text that is not empty.
func given() map[string]any {
	return map[string]any{"type": "string", "minLength": 1, "pattern": textPattern}
}

// oneSpace says that knowledge belongs to an agent or to a swarm.
func oneSpace(s *huma.Schema) *huma.Schema {
	return oneOf(s, map[string]any{"agent_id": given(), "swarm_id": given()})
}

// when says what more an object must have when one of its members has one of the values.
func when(member string, values []any, then map[string]any) map[string]any {
	return map[string]any{
		"if":   map[string]any{"properties": map[string]any{member: map[string]any{"enum": values}}},
		"then": then,
	}
}

// refOf registers the schema of T and returns it for use in words.
func refOf[T any](r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }
