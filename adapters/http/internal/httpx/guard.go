package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

// maxDepth is how deep arrays and objects may be nested.
const maxDepth = 512

// CheckJSON reports what is wrong with a JSON text, RFC 8259: bad UTF-8 and bad syntax with their position, text after the value,
// nesting over 512 levels, a key that an object has twice, with its path, and U+0000, which not every database can keep. With fold,
// keys that differ in case only count as the same. Go's own decoder would let the last of several keys win.
//
// The error is a fault.Invalid; it never repeats what the caller sent except the keys on the path.
func CheckJSON(data []byte, fold bool) error {
	g := guard{data: data, fold: fold}
	g.space()
	if err := g.value(0); err != nil {
		return err
	}
	g.space()
	if g.pos < len(g.data) {
		return g.syntax("there is more after the JSON value")
	}
	return nil
}

type guard struct {
	data []byte
	pos  int
	fold bool
	path []step
}

// step is one level of the path: a key, or an index when key is nil.
type step struct {
	key   []byte // raw, with escapes
	index int
}

// Malformed reports whether e says that a body is no JSON at all, rather than that something in it is wrong.
func Malformed(e *fault.Error) bool { return errors.Is(e, errJSON) }

var errJSON = fault.New(fault.Invalid, "invalid_json", "the body is not valid JSON")

// syntax makes the error at the current position. Lines and columns count from 1, columns in bytes.
func (g *guard) syntax(what string) error {
	pos := min(g.pos, len(g.data))
	line, column := 1, 1
	for _, b := range g.data[:pos] {
		column++
		if b == '\n' {
			line++
			column = 1
		}
	}
	where := fmt.Sprintf("line %d, column %d (offset %d)", line, column, pos)
	return errJSON.Withf("the body is not valid JSON at %s: %s", where, what).
		WithFields(fault.Field{Path: "body", Message: what + " at " + where})
}

// refuse makes the error about the place that the path names.
func (g *guard) refuse(what string) error {
	path := g.pathString()
	return errJSON.Withf("%s: %s", path, what).WithFields(fault.Field{Path: path, Message: what})
}

func (g *guard) pathString() string {
	var b strings.Builder
	for _, s := range g.path {
		if s.key == nil {
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		key := unescape(s.key)
		if len(key) > 100 {
			key = strings.ToValidUTF8(key[:100], "") + "…"
		}
		b.WriteString(key)
	}
	if b.Len() == 0 {
		return "body"
	}
	return b.String()
}

func (g *guard) space() {
	for g.pos < len(g.data) {
		switch g.data[g.pos] {
		case ' ', '\t', '\n', '\r':
			g.pos++
		default:
			return
		}
	}
}

// peek returns the byte at the current position, 0 at the end.
func (g *guard) peek() byte {
	if g.pos < len(g.data) {
		return g.data[g.pos]
	}
	return 0
}

func (g *guard) value(depth int) error {
	if depth > maxDepth {
		return g.syntax("it is nested too deeply")
	}
	switch b := g.peek(); {
	case b == '{':
		return g.object(depth)
	case b == '[':
		return g.array(depth)
	case b == '"':
		_, err := g.str()
		return err
	case b == '-' || b >= '0' && b <= '9':
		return g.number()
	case b == 't':
		return g.literal("true")
	case b == 'f':
		return g.literal("false")
	case b == 'n':
		return g.literal("null")
	case g.pos >= len(g.data):
		return g.syntax("it ends too early")
	}
	return g.syntax("a value should begin here")
}

func (g *guard) literal(want string) error {
	if !strings.HasPrefix(string(g.data[g.pos:min(len(g.data), g.pos+len(want))]), want) {
		return g.syntax("a value should begin here")
	}
	g.pos += len(want)
	return nil
}

func (g *guard) digits() bool {
	from := g.pos
	for b := g.peek(); b >= '0' && b <= '9'; b = g.peek() {
		g.pos++
	}
	return g.pos > from
}

func (g *guard) number() error {
	if g.peek() == '-' {
		g.pos++
	}
	if g.peek() == '0' {
		g.pos++
	} else if !g.digits() {
		return g.syntax("a digit should be here")
	}
	if g.peek() == '.' {
		g.pos++
		if !g.digits() {
			return g.syntax("a digit should be here")
		}
	}
	if b := g.peek(); b == 'e' || b == 'E' {
		g.pos++
		if b := g.peek(); b == '+' || b == '-' {
			g.pos++
		}
		if !g.digits() {
			return g.syntax("a digit should be here")
		}
	}
	return nil
}

// str reads a string and returns it without quotes, escapes kept.
func (g *guard) str() ([]byte, error) {
	g.pos++
	from := g.pos
	for g.plain(); g.pos < len(g.data); g.plain() {
		switch b := g.data[g.pos]; {
		case b == '"':
			s := g.data[from:g.pos]
			g.pos++
			return s, nil
		case b < 0x20:
			return nil, g.syntax("a control character stands in a string")
		case b == '\\':
			if err := g.escape(); err != nil {
				return nil, err
			}
		default:
			r, size := utf8.DecodeRune(g.data[g.pos:])
			if r == utf8.RuneError && size == 1 {
				return nil, g.syntax("the text is not UTF-8")
			}
			g.pos += size
		}
	}
	return nil, g.syntax("a string has no end")
}

// plain passes over the ASCII characters of a string that stand for themselves: nearly all.
func (g *guard) plain() {
	for i, b := range g.data[g.pos:] {
		if b < ' ' || b >= utf8.RuneSelf || b == '"' || b == '\\' {
			g.pos += i
			return
		}
	}
	g.pos = len(g.data)
}

func (g *guard) escape() error {
	g.pos++
	switch g.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		g.pos++
		return nil
	case 'u':
		if g.pos+5 > len(g.data) {
			return g.syntax("an escape is cut off")
		}
		hex := g.data[g.pos+1 : g.pos+5]
		for _, b := range hex {
			if (b < '0' || b > '9') && (b < 'a' || b > 'f') && (b < 'A' || b > 'F') {
				return g.syntax("an escape needs four hexadecimal digits")
			}
		}
		if string(hex) == "0000" {
			return g.refuse("must not contain the character U+0000")
		}
		g.pos += 5
		return nil
	}
	return g.syntax("there is no such escape")
}

func (g *guard) array(depth int) error {
	g.pos++
	g.space()
	if g.peek() == ']' {
		g.pos++
		return nil
	}
	g.path = append(g.path, step{})
	for i := 0; ; i++ {
		g.path[len(g.path)-1].index = i
		g.space()
		if err := g.value(depth + 1); err != nil {
			return err
		}
		g.space()
		switch g.peek() {
		case ',':
			g.pos++
		case ']':
			g.pos++
			g.path = g.path[:len(g.path)-1]
			return nil
		default:
			return g.syntax("a comma or ] should be here")
		}
	}
}

func (g *guard) object(depth int) error {
	g.pos++
	g.space()
	if g.peek() == '}' {
		g.pos++
		return nil
	}
	keys := keySet{fold: g.fold}
	g.path = append(g.path, step{})
	for {
		g.space()
		if g.peek() != '"' {
			return g.syntax("a key in quotes should be here")
		}
		key, err := g.str()
		if err != nil {
			return err
		}
		if key == nil {
			key = []byte{}
		}
		g.path[len(g.path)-1].key = key
		if !keys.add(key) {
			return g.refuse("the key appears twice in its object")
		}
		g.space()
		if g.peek() != ':' {
			return g.syntax("a colon should be here")
		}
		g.pos++
		g.space()
		if err := g.value(depth + 1); err != nil {
			return err
		}
		g.space()
		switch g.peek() {
		case ',':
			g.pos++
		case '}':
			g.pos++
			g.path = g.path[:len(g.path)-1]
			return nil
		default:
			return g.syntax("a comma or } should be here")
		}
	}
}

// keySet holds the keys of one object: few in a list, many in a map.
type keySet struct {
	fold bool
	n    int
	few  [fewKeys][]byte
	many map[string]struct{}
}

const fewKeys = 8

func (k *keySet) add(key []byte) bool {
	if k.fold {
		key = []byte(foldKey(unescape(key)))
	} else if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(unescape(key))
	}
	if k.many != nil {
		if _, ok := k.many[string(key)]; ok {
			return false
		}
		k.many[string(key)] = struct{}{}
		return true
	}
	for _, have := range k.few[:k.n] {
		if bytes.Equal(have, key) {
			return false
		}
	}
	if k.n < fewKeys {
		k.few[k.n] = key
		k.n++
		return true
	}
	k.many = make(map[string]struct{}, 2*fewKeys)
	for _, have := range k.few {
		k.many[string(have)] = struct{}{}
	}
	k.many[string(key)] = struct{}{}
	return true
}

// foldKey maps keys that Go's decoder takes for the same field to one text: it ignores case, also that of the two letters
// outside ASCII which fold to ASCII ones.
func foldKey(key string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case 'ſ':
			return 's'
		case '\u212a': // the Kelvin sign
			return 'k'
		}
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, key)
}

func unescape(raw []byte) string {
	for _, b := range raw {
		if b == '\\' {
			var s string
			quoted := append(append([]byte{'"'}, raw...), '"')
			if json.Unmarshal(quoted, &s) == nil {
				return s
			}
			break
		}
	}
	return string(raw)
}
