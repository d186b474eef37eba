package hosting

import (
	"bytes"
	"encoding/json"

	"github.com/bureau-agents/bureau/ports/fault"
)

// MergeConfig returns config, a JSON object, with patch applied as RFC 7396 says: members of patch replace those of config, objects are
// merged member by member, null removes. An empty patch changes nothing. A fault.Invalid at "config" for what is no object, and for what is
// nested deeper than MaxDepth.
func MergeConfig(config, patch json.RawMessage) (json.RawMessage, error) {
	if len(patch) == 0 {
		return config, nil
	}
	if len(patch) > MaxConfig {
		return nil, fault.Invalidf("config", "has %d bytes; at most %d are allowed", len(patch), MaxConfig)
	}
	was, err := object(config)
	if err != nil {
		return nil, err
	}
	with, err := object(patch)
	if err != nil {
		return nil, err
	}
	merged := merge(was, with)
	if deeper(merged, MaxDepth) {
		return nil, fault.Invalidf("config", "is nested deeper than %d", MaxDepth)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(merged); err != nil {
		return nil, fault.Invalidf("config", "must be an object")
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// object reads a JSON object whose numbers keep their spelling.
func object(text json.RawMessage) (map[string]any, error) {
	if len(text) == 0 {
		return map[string]any{}, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, fault.Invalidf("config", "must be an object")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fault.Invalidf("config", "must be an object")
	}
	return m, nil
}

// merge changes target by patch and returns it. Both have been read from at most MaxConfig bytes, which bounds how deep this goes.
func merge(target, patch map[string]any) map[string]any {
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(target, k)
		case map[string]any:
			inner, ok := target[k].(map[string]any)
			if !ok {
				inner = map[string]any{}
			}
			target[k] = merge(inner, v)
		default:
			target[k] = v
		}
	}
	return target
}

// deeper reports whether v nests more than most objects and arrays.
func deeper(v any, most int) bool {
	if most < 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			if deeper(inner, most-1) {
				return true
			}
		}
	case []any:
		for _, inner := range v {
			if deeper(inner, most-1) {
				return true
			}
		}
	}
	return false
}
