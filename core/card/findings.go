package card

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// note is a finding whose place is not worked out yet.
type note struct {
	at      int32  // the start of the node that it is about
	offset  int32  // where it is in the text
	missing string // it is about the member of that name, which the node does not have; "" when it is about the node
	code    string
	source  string
	message string
}

// sink keeps the first MaxFindings notes, and counts the others.
type sink struct {
	notes []note
	more  int
}

// full says whether a note would only be counted, and counts it then. Who makes much ado about a note asks this first.
func (s *sink) full() bool {
	if len(s.notes) < MaxFindings {
		return false
	}
	s.more++
	return true
}

func (s *sink) add(n note, format string, args []any) {
	if s.full() {
		return
	}
	n.message = format
	if len(args) > 0 {
		n.message = fmt.Sprintf(format, args...)
	}
	s.put(n)
}

// put adds a note with its message to a sink that is not full.
func (s *sink) put(n note) { s.notes = append(s.notes, n) }

// emptied returns a sink that is empty, and has room for as many notes unless that is much.
func (s *sink) emptied() sink {
	const most = 32
	if cap(s.notes) > most {
		return sink{}
	}
	clear(s.notes)
	return sink{notes: s.notes[:0]}
}

// any says whether there was a note.
func (s *sink) any() bool { return len(s.notes) > 0 }

// findings works out the places of the notes of both sinks, in one sweep over the text.
func (c *checker) findings() (errors, warnings []Finding) {
	errors, warnings = c.placed(&c.errors), c.placed(&c.warnings)
	at, line, column := 0, 1, 1
	for e, w := 0, 0; e < len(errors) || w < len(warnings); {
		var f *Finding
		if w == len(warnings) || e < len(errors) && errors[e].Offset <= warnings[w].Offset {
			f = &errors[e]
			e++
		} else {
			f = &warnings[w]
			w++
		}
		passed := c.text[at:f.Offset]
		if lines := strings.Count(passed, "\n"); lines > 0 {
			line, column = line+lines, 1
			passed = passed[strings.LastIndexByte(passed, '\n')+1:]
		}
		column += utf8.RuneCountInString(passed)
		at, f.Line, f.Column = f.Offset, line, column
	}
	return errors, warnings
}

// placed returns the findings of a sink in the order of the text, without line and column.
func (c *checker) placed(s *sink) []Finding {
	if !s.any() {
		return nil
	}
	order := make([]int, len(s.notes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.notes[a].offset, s.notes[b].offset), cmp.Compare(a, b))
	})
	found := make([]Finding, 0, len(order)+min(s.more, 1))
	for _, i := range order {
		n := &s.notes[i]
		f := Finding{Code: n.code, Message: n.message, Source: n.source, Offset: int(n.offset)}
		f.Path, f.Pointer = c.placeOf(n.at, n.missing)
		found = append(found, f)
	}
	if s.more > 0 {
		last := found[len(found)-1].Offset
		found = append(found, Finding{Code: codeMore, Offset: last, Message: fmt.Sprintf("%d more are not told; mend these first", s.more)})
	}
	return found
}

// placeOf walks from the root to the node that begins at start, and on to its member missing, unless that is "". Children lie in the order of
// the text, so each step is a binary search.
func (c *checker) placeOf(start int32, missing string) (path, pointer string) {
	if c.root == nil {
		return "", ""
	}
	var room [2][64]byte
	dotted, slashed := room[0][:0], room[1][:0]
	for at := c.root; at.start != start; {
		switch at.kind {
		case kindArray:
			i := sort.Search(len(at.items), func(i int) bool { return at.items[i].end > start })
			if i == len(at.items) || at.items[i].start > start {
				return both(dotted, slashed)
			}
			dotted, slashed = appendIndex(dotted, slashed, i)
			at = &at.items[i]
		case kindObject:
			i := sort.Search(len(at.members), func(i int) bool { return at.members[i].value.end > start })
			if i == len(at.members) || at.members[i].value.start > start {
				return both(dotted, slashed)
			}
			longer, pointing, ok := appendStep(dotted, slashed, at.members[i].key)
			if !ok {
				return both(dotted, slashed)
			}
			dotted, slashed, at = longer, pointing, &at.members[i].value
		default:
			return both(dotted, slashed)
		}
	}
	if missing != "" {
		dotted, slashed, _ = appendStep(dotted, slashed, missing)
	}
	return both(dotted, slashed)
}

// both returns two texts in one piece of memory.
func both(a, b []byte) (first, second string) {
	s := string(append(a, b...))
	return s[:len(a)], s[len(a):]
}

// appendStep adds a step by a key, unless the place would be longer than MaxPlace.
func appendStep(dotted, slashed []byte, key string) (path, pointer []byte, ok bool) {
	if len(key) >= MaxPlace {
		return dotted, slashed, false
	}
	path, pointer = appendKey(dotted, slashed, key)
	if max(len(path), len(pointer)) > MaxPlace {
		return dotted, slashed, false
	}
	return path, pointer, true
}

func appendIndex(dotted, slashed []byte, i int) (path, pointer []byte) {
	dotted = append(strconv.AppendInt(append(dotted, '['), int64(i), 10), ']')
	return dotted, strconv.AppendInt(append(slashed, '/'), int64(i), 10)
}

// appendKey adds a step by a key. A key that would not be read back as one, such as "", "a.b" or "0", is written in brackets as JSON writes
// it: securitySchemes["a.b"]. In the pointer ~ and / are escaped (RFC 6901, 3).
func appendKey(dotted, slashed []byte, key string) (path, pointer []byte) {
	if plainKey(key) {
		if len(dotted) > 0 {
			dotted = append(dotted, '.')
		}
		return append(dotted, key...), append(append(slashed, '/'), key...)
	}
	dotted = append(appendQuoted(append(dotted, '['), key), ']')
	slashed = append(slashed, '/')
	for i := range len(key) {
		switch key[i] {
		case '~':
			slashed = append(slashed, "~0"...)
		case '/':
			slashed = append(slashed, "~1"...)
		default:
			slashed = append(slashed, key[i])
		}
	}
	return dotted, slashed
}

// plainKey says whether a key can stand in a dotted path as it is: letters, digits, "_", "-", "$", "@" and all that is not ASCII.
func plainKey(key string) bool {
	if key == "" {
		return false
	}
	for i := range len(key) {
		switch b := key[i]; {
		case b >= utf8.RuneSelf, 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '_', b == '-', b == '$', b == '@':
		default:
			return false
		}
	}
	return true
}

// appendQuoted appends a key as JSON writes it.
func appendQuoted(to []byte, key string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	for i := range len(key) {
		switch b := key[i]; {
		case b == '"' || b == '\\':
			to = append(to, '\\', b)
		case b < ' ':
			to = append(to, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		default:
			to = append(to, b)
		}
	}
	return append(to, '"')
}
