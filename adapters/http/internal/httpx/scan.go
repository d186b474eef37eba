package httpx

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Scan walks over a JSON text that CheckJSON has passed, without making anything of it but what it is asked for. It is for bodies with hundreds of
// items, of which decoding by reflection would take longer than storing them. What the walk does not find as it expects it makes all of its
// methods return false from then on; they never return a wrong value. It is not safe for concurrent use.
type Scan struct {
	text   []byte
	pos    int
	failed bool
}

// NewScan returns a Scan over a text, which must not change any more.
func NewScan(text []byte) *Scan { return &Scan{text: text} }

// fail ends the walk.
func (s *Scan) fail() bool {
	s.failed = true
	return false
}

// peek returns the first byte of what comes next, 0 at the end.
func (s *Scan) peek() byte {
	for s.pos < len(s.text) {
		switch b := s.text[s.pos]; b {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return b
		}
	}
	return 0
}

// take passes over b, if that comes next.
func (s *Scan) take(b byte) bool {
	if s.failed || s.peek() != b {
		return false
	}
	s.pos++
	return true
}

// End reports whether the walk went well and nothing is left.
func (s *Scan) End() bool { return !s.failed && s.peek() == 0 }

// Object calls member for each member of the object that comes next, to walk over its value. It returns false, like member, when something is
// not as expected. member must neither change nor keep the key.
func (s *Scan) Object(member func(key []byte) bool) bool {
	if !s.take('{') {
		return s.fail()
	}
	if s.take('}') {
		return true
	}
	for {
		key, ok := s.Text()
		if !ok || !s.take(':') || !member(key) {
			return s.fail()
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return s.fail()
		}
	}
}

// Array calls item for each item of the array that comes next, to walk over it.
func (s *Scan) Array(item func() bool) bool {
	if !s.take('[') {
		return s.fail()
	}
	if s.take(']') {
		return true
	}
	for {
		if !item() {
			return s.fail()
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return s.fail()
		}
	}
}

// Text returns the string that comes next: a part of the text that is walked over, unless it is written with escapes.
func (s *Scan) Text() ([]byte, bool) {
	if s.failed || s.peek() != '"' {
		return nil, s.fail()
	}
	start := s.pos
	if !s.str() {
		return nil, false
	}
	if raw := s.text[start+1 : s.pos-1]; bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	var out string
	if json.Unmarshal(s.text[start:s.pos], &out) != nil {
		return nil, s.fail()
	}
	return []byte(out), true
}

// str passes over the string that begins here.
func (s *Scan) str() bool {
	for i := s.pos + 1; ; {
		n := bytes.IndexByte(s.text[i:], '"')
		if n < 0 {
			return s.fail()
		}
		end := i + n
		slashes := 0
		for end-1-slashes > s.pos && s.text[end-1-slashes] == '\\' {
			slashes++
		}
		i = end + 1
		if slashes%2 == 0 {
			s.pos = i
			return true
		}
	}
}

// Null passes over null, if that comes next.
func (s *Scan) Null() bool {
	if s.failed || s.peek() != 'n' || !bytes.HasPrefix(s.text[s.pos:], []byte("null")) {
		return false
	}
	s.pos += len("null")
	return true
}

// RawObject returns the text of the object that comes next: a part of the text that is walked over.
func (s *Scan) RawObject() ([]byte, bool) {
	if s.failed || s.peek() != '{' {
		return nil, s.fail()
	}
	return s.container()
}

// container returns the text of the object or the array that begins here.
func (s *Scan) container() ([]byte, bool) {
	if s.failed {
		return nil, false
	}
	start, depth := s.pos, 0
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case '"':
			if !s.str() {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				s.pos++
				return s.text[start:s.pos:s.pos], true
			}
		}
		s.pos++
	}
	return nil, s.fail()
}

// Offset returns where in the text the next value begins.
func (s *Scan) Offset() int {
	s.peek()
	return s.pos
}

// Raw returns the text of the value that comes next, whatever it is: a part of the text that is walked over. For it the text only needs to be valid
// JSON.
func (s *Scan) Raw() ([]byte, bool) {
	switch s.peek() {
	case '"':
		start := s.pos
		if !s.str() {
			return nil, false
		}
		return s.text[start:s.pos:s.pos], true
	case '{', '[':
		return s.container()
	}
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n,:]}", s.text[s.pos]) < 0 {
		s.pos++
	}
	if s.failed || s.pos == start {
		return nil, s.fail()
	}
	return s.text[start:s.pos:s.pos], true
}
