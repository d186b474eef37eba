package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical returns the one spelling of a JSON text that hashes cover: RFC 8785 (members sorted by UTF-16 units, no
// white space, shortest escapes and numbers), with one exception. An integer that fits int64 keeps all its digits,
// where RFC 8785 would round it to a double. A text with a member name twice in one object is refused, because readers
// differ on which one counts.
func Canonical(text []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	out, err := canonicalValue(nil, dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("audit: more than one JSON value")
	}
	return out, nil
}

// maxDepth bounds nesting, which recursion would otherwise turn into stack.
const maxDepth = 1000

var (
	errDepth     = errors.New("audit: JSON is nested too deeply")
	errDuplicate = errors.New("audit: a JSON object has a member twice")
)

func canonicalValue(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, errDepth
		}
		if v == '[' {
			return canonicalArray(out, dec, depth+1)
		}
		return canonicalObject(out, dec, depth+1)
	case string:
		return appendString(out, v), nil
	case json.Number:
		return appendNumber(out, v)
	case bool:
		return strconv.AppendBool(out, v), nil
	default:
		return append(out, "null"...), nil
	}
}

func canonicalArray(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	out = append(out, '[')
	for first := true; dec.More(); first = false {
		if !first {
			out = append(out, ',')
		}
		var err error
		if out, err = canonicalValue(out, dec, depth); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return append(out, ']'), err
}

func canonicalObject(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	type member struct {
		name  string
		value []byte
	}
	var ms []member
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := canonicalValue(nil, dec, depth)
		if err != nil {
			return nil, err
		}
		ms = append(ms, member{tok.(string), value}) //nolint:forcetypeassert // the decoder yields nothing else as a name
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	slices.SortFunc(ms, func(a, b member) int { return compareUTF16(a.name, b.name) })
	out = append(out, '{')
	for i, m := range ms {
		if i > 0 {
			if ms[i-1].name == m.name {
				return nil, errDuplicate
			}
			out = append(out, ',')
		}
		out = append(appendString(out, m.name), ':')
		out = append(out, m.value...)
	}
	return append(out, '}'), nil
}

// plainDepth bounds the nesting that appendPlain follows.
const plainDepth = 8

// appendPlain writes the canonical form of what metadata consists of nearly always, and reports false for anything else: it
// spares writing JSON only to read it again, in transactions that others wait for.
func appendPlain(out []byte, v any, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(out, "null"...), true
	case string:
		return appendString(out, v), utf8.ValidString(v)
	case bool:
		return strconv.AppendBool(out, v), true
	case int:
		return strconv.AppendInt(out, int64(v), 10), true
	case int64:
		return strconv.AppendInt(out, v, 10), true
	case []any:
		if v == nil || depth == plainDepth {
			return nil, false
		}
		out = append(out, '[')
		for i, e := range v {
			if i > 0 {
				out = append(out, ',')
			}
			var ok bool
			if out, ok = appendPlain(out, e, depth+1); !ok {
				return nil, false
			}
		}
		return append(out, ']'), true
	case map[string]any:
		if v == nil || depth == plainDepth {
			return nil, false
		}
		out = append(out, '{')
		for i, name := range slices.SortedFunc(maps.Keys(v), compareUTF16) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, name), ':')
			var ok bool
			if out, ok = appendPlain(out, v[name], depth+1); !ok || !utf8.ValidString(name) {
				return nil, false
			}
		}
		return append(out, '}'), true
	}
	return nil, false
}

// compareUTF16 orders as RFC 8785, 3.2.3 asks: by UTF-16 code units, which differs from the order of bytes above
// U+FFFF.
func compareUTF16(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return strings.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// appendString writes the escapes that RFC 8785, 3.2.2.2 asks for and no other.
func appendString(out []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= 0x20:
			out = append(out, c)
		case c == '\b':
			out = append(out, '\\', 'b')
		case c == '\t':
			out = append(out, '\\', 't')
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\f':
			out = append(out, '\\', 'f')
		case c == '\r':
			out = append(out, '\\', 'r')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(out, '"')
}

func appendNumber(out []byte, n json.Number) ([]byte, error) {
	if i, err := n.Int64(); err == nil {
		return strconv.AppendInt(out, i, 10), nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, err
	}
	return appendFloat(out, f), nil
}

// appendFloat writes a double as ECMAScript's Number::toString does.
func appendFloat(out []byte, f float64) []byte {
	if f == 0 {
		return append(out, '0') // also negative zero
	}
	abs := math.Abs(f)
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exp, _ := strings.Cut(s, "e")
	sign := exp[:1]
	return append(out, mantissa+"e"+sign+strings.TrimLeft(exp[1:], "0")...)
}
