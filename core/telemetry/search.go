package telemetry

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// Limits of a search.
const (
	MaxSearch = 500    // characters of Filter.Search
	MaxFields = 10     // Filter.Fields
	MaxField  = 200    // characters of a path in Filter.Fields, and of its value
	MaxScan   = 20_000 // events that one page of a search reads at most

	MaxScanBytes = 64 << 20 // bytes of their payloads; the event that goes beyond is the last one
)

// CheckSearch returns ErrInvalid with the faults of Search at "query.search" and of Fields at "query.field".
func (f Filter) CheckSearch() error {
	var k check.Faults
	k.Text("query.search", f.Search, MaxSearch)
	if len(f.Fields) > MaxFields {
		k.Addf("query.field", "must be at most %d", MaxFields)
	}
	for _, path := range slices.Sorted(maps.Keys(f.Fields)) {
		k.Given("query.field", path, MaxField)
		k.Text("query.field", f.Fields[path], MaxField)
	}
	return k.Err(ErrInvalid)
}

// Match tells whether an event is what a search looks for.
type Match func(Event) bool

// Match returns the part of the filter that is judged on the events themselves, Search and Fields, and nil when it has none. The rest is for
// stores to choose by. One rule for every store: what is found does not depend on the database.
//
// A word is found where it is a part of the type, the source, the trace id, or of what stands in the payload: names of members, texts,
// numbers, true and false, at any depth. Case does not matter. A word is not found across two of them.
func (f Filter) Match() Match {
	words := strings.Fields(strings.ToLower(f.Search))
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) == 0 && len(f.Fields) == 0 {
		return nil
	}
	fields := make([]fieldMatch, 0, len(f.Fields))
	for path, value := range f.Fields {
		fields = append(fields, fieldMatch{path, value})
	}
	return func(e Event) bool {
		for _, m := range fields {
			if !m.match(e.Payload) {
				return false
			}
		}
		return len(words) == 0 || hasWords(e, words)
	}
}

// hasWords reports whether every one of the words, in lower case, occurs in the event.
func hasWords(e Event, words []string) bool {
	var room [8]string
	missing := append(room[:0], words...)
	miss := func(text string) {
		missing = slices.DeleteFunc(missing, func(w string) bool { return strings.Contains(text, w) })
	}
	for _, text := range []string{e.Type, e.Source, e.TraceID} {
		miss(strings.ToLower(text))
	}
	if len(missing) == 0 {
		return true
	}
	lower := bytes.ToLower(e.Payload)
	if bytes.IndexByte(lower, '\\') < 0 {
		// Without escapes, what does not occur in the JSON at all occurs in none of its texts. That is so of most events.
		for _, w := range missing {
			if !bytes.Contains(lower, []byte(w)) {
				return false
			}
		}
	}
	eachText(e.Payload, func(text string) bool {
		miss(strings.ToLower(text))
		return len(missing) > 0
	})
	return len(missing) == 0
}

// eachText calls fn with every name, text, number, true and false of a JSON document until fn returns false. Of what is no JSON it sees what
// comes before the fault.
func eachText(doc []byte, fn func(string) bool) {
	for i := 0; i < len(doc); {
		switch c := doc[i]; c {
		case '{', '}', '[', ']', ':', ',', ' ', '\t', '\n', '\r':
			i++
		case '"':
			end := textEnd(doc, i)
			if end < 0 {
				return
			}
			text, ok := unquote(doc[i:end])
			if !ok || !fn(text) {
				return
			}
			i = end
		default:
			end := i
			for end < len(doc) && !strings.ContainsRune("{}[]:,\" \t\n\r", rune(doc[end])) {
				end++
			}
			if text := string(doc[i:end]); text != "null" && !fn(text) {
				return
			}
			i = end
		}
	}
}

// textEnd returns where the JSON string that begins at i is over, or -1.
func textEnd(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// unquote reads a JSON string.
func unquote(quoted []byte) (string, bool) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), true
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err == nil
}

// fieldMatch is a member of the payload and the value that it must have.
type fieldMatch struct{ path, value string }

// match reports whether the payload has the member with the value. Names may have dots in them, as those of OpenTelemetry do: "a.b.c" is the
// member "c" of "b" of "a", and just as well the member "b.c" of "a", or "a.b.c".
func (m fieldMatch) match(payload []byte) bool {
	if len(payload) == 0 || bytes.IndexByte(payload, '\\') < 0 && !bytes.Contains(payload, []byte(m.value)) {
		return false // without escapes a value stands there as it is
	}
	return hasField(payload, m.path, m.value)
}

func hasField(doc []byte, path, value string) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(doc, &members) != nil {
		return false
	}
	for end := len(path); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
		member, ok := members[path[:end]]
		switch {
		case !ok:
		case end == len(path):
			if isValue(member, value) {
				return true
			}
		case len(member) > 0 && member[0] == '{' && hasField(member, path[end+1:], value):
			return true
		}
	}
	return false
}

// isValue reports whether a member is a text, number, boolean or null with this value.
func isValue(member []byte, value string) bool {
	if len(member) == 0 {
		return false
	}
	switch member[0] {
	case '{', '[':
		return false
	case '"':
		s, ok := unquote(member)
		return ok && s == value
	}
	return string(member) == value
}
