package telemetry

import (
	"bytes"
	"encoding/json"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// checkPayload finds fault with what is not a JSON object of at most MaxPayload bytes, and returns it without blanks between its parts. None,
// and null, is nil.
func checkPayload(k *check.Faults, path string, raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case len(raw) > MaxPayload:
		k.Addf(path, "has %d bytes; at most %d are allowed", len(raw), MaxPayload)
		return nil
	case raw[0] != '{':
		k.Addf(path, "must be a JSON object")
		return nil
	}
	var compact bytes.Buffer
	compact.Grow(len(raw))
	if err := json.Compact(&compact, raw); err != nil {
		k.Addf(path, "must be a JSON object")
		return nil
	}
	return compact.Bytes()
}
