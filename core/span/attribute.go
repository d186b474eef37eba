package span

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text returns the first of the attributes that is a text and not blank.
func text(a Attributes, names ...string) string {
	for _, name := range names {
		if s, ok := a[name].(string); ok && strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

// count returns the first of the attributes that is a number of something, and whether there is one. Instrumentations write numbers as
// integers, as floats and as texts; one below zero is none.
func count(a Attributes, names ...string) (int64, bool) {
	for _, name := range names {
		switch v := a[name].(type) {
		case int64:
			if v >= 0 {
				return v, true
			}
		case float64:
			if v >= 0 && v <= 1<<53 && v == math.Trunc(v) {
				return int64(v), true
			}
		case string:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
				return n, true
			}
		}
	}
	return 0, false
}

// storable makes a text one that every database keeps.
func storable(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// short makes a text storable, and cuts it to so many characters.
func short(s string, most int) string {
	if longest := (most + 1) * utf8.UTFMax; len(s) > longest { // no more of it is looked at
		s = s[:longest]
	}
	s = storable(s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// maxDepth is how deep values may contain each other; what is deeper is left out.
const maxDepth = 32

// tidy returns a value with storable texts of at most so many bytes, and reports whether any was cut.
func tidy(v any, most, depth int) (out any, cut bool) {
	switch v := v.(type) {
	case string:
		s := storable(v)
		if len(s) <= most {
			return s, false
		}
		return strings.ToValidUTF8(s[:most], "") + "…", true
	case []any:
		if depth <= 0 {
			return nil, true
		}
		list := make([]any, len(v))
		for i, e := range v {
			var c bool
			list[i], c = tidy(e, most, depth-1)
			cut = cut || c
		}
		return list, cut
	case map[string]any:
		if depth <= 0 {
			return nil, true
		}
		members := make(map[string]any, len(v))
		for name, e := range v {
			value, c := tidy(e, most, depth-1)
			key := storable(name)
			if len(key) > most {
				key, c = strings.ToValidUTF8(key[:most], "")+"…", true
			}
			members[key] = value
			cut = cut || c
		}
		return members, cut
	}
	return v, false
}

// tidied is tidy for an object, which says whether any of its texts was cut.
func tidied(payload map[string]any, most int) map[string]any {
	out, cut := tidy(payload, most, maxDepth)
	members := out.(map[string]any)
	if cut {
		members["truncated"] = true
	}
	return members
}

// textLimits are how long texts in a payload may be, in bytes, tried until the payload fits.
var textLimits = []int{math.MaxInt32, 16 << 10, 1 << 10, 128}

// encode writes a payload of at most so many bytes. What does not fit has its texts cut; where that is not enough, what is in bulky goes,
// in that order.
func encode(payload map[string]any, most int, bulky ...string) (json.RawMessage, error) {
	for _, limit := range textLimits {
		if b, err := json.Marshal(tidied(payload, limit)); err != nil || len(b) <= most {
			return b, err
		}
	}
	less := make(map[string]any, len(payload))
	for name, v := range payload {
		less[name], _ = tidy(v, textLimits[len(textLimits)-1], maxDepth)
	}
	less["truncated"] = true
	for _, name := range bulky {
		delete(less, name)
		if b, err := json.Marshal(less); err != nil || len(b) <= most {
			return b, err
		}
	}
	return nil, ErrTooLarge
}
