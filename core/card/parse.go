package card

import (
	"strings"
	"unicode/utf8"
)

// MaxValues is how many values a card may hold, texts and numbers as well as objects and arrays; one with more is an error of the code
// "too_large". It bounds the memory that a text of MaxSize takes, which could else be nearly all commas: the worst text is read with 300
// MB, one of 5 MB that is a card with 30 MB.
const MaxValues = 1_000_000

// The rules of the text itself.
const (
	sourceJSON     = "RFC 8259"
	sourceEncoding = "RFC 8259, 8.1"
	sourceStrings  = "RFC 8259, 8.2"
	sourceNames    = "RFC 8259, 4"
)

// read parses a text. It answers false when the text is no JSON, is too large or too deep, or is no object; the checker then has an error
// that says so.
func read(text []byte, o Options) (*checker, bool) { return readInto(text, o, new(blocks)) }

// readInto does that with blocks of the caller's, who may release them when the tree is of no use any more.
func readInto(text []byte, o Options, from *blocks) (*checker, bool) {
	c := &from.checker
	c.options, c.root = o, &none
	if len(text) > MaxSize {
		c.errors.add(note{code: codeTooLarge}, "the card is %d bytes long, and is not read: make it shorter than %d bytes",
			[]any{len(text), MaxSize})
		return c, false
	}
	c.text = string(text) // one copy: what the caller does to its bytes later cannot reach the results
	from.room = min(len(text)/24+8, 4096)
	p := parser{s: c.text, c: c, blocks: from}
	ok := p.document(&c.tree)
	if !ok {
		return c, false
	}
	c.root = &c.tree
	if c.root.kind != kindObject {
		c.fail(c.root, codeType, "A2A, AgentCard", "an agent card is an object such as {\"name\": \"...\"}, not %s", c.root.kind.article())
		return c, false
	}
	return c, true
}

// parser reads JSON in one pass.
type parser struct {
	s      string
	i      int // the next byte
	c      *checker
	depth  int
	values int
	dirty  bool // a text of s is not UTF-8
	*blocks
}

// document reads the whole text.
func (p *parser) document(root *node) bool {
	if !p.encoded() {
		return false
	}
	p.space()
	if p.i == len(p.s) {
		return p.broken("there is no card: the text is empty")
	}
	if !p.value(root) {
		return false
	}
	p.space()
	if p.i < len(p.s) {
		return p.broken("the card has ended before this: remove what follows it")
	}
	if p.dirty {
		p.failEncoding()
	}
	return true
}

// encoded steps over a byte order mark, and refuses a text in UTF-16.
func (p *parser) encoded() bool {
	if strings.HasPrefix(p.s, "\xff\xfe") || strings.HasPrefix(p.s, "\xfe\xff") {
		p.c.errors.add(note{code: codeEncoding, source: sourceEncoding}, "the text is in UTF-16: save it as UTF-8", nil)
		return false
	}
	if strings.HasPrefix(p.s, "\uFEFF") {
		p.i = len("\uFEFF")
		p.c.warnings.add(note{code: codeByteOrderMark, source: sourceEncoding}, "the text begins with a byte order mark, at which many readers "+
			"fail: save it as UTF-8 without one", nil)
	}
	return true
}

// failEncoding says where the text is not UTF-8. It has been read all the same: only what stands in double quotes can be beyond ASCII.
func (p *parser) failEncoding() {
	bad := 0
	for r, size := utf8.DecodeRuneInString(p.s); r != utf8.RuneError || size > 1; r, size = utf8.DecodeRuneInString(p.s[bad:]) {
		bad += size
	}
	p.c.errors.add(note{at: -1, offset: int32(bad), code: codeEncoding, source: sourceEncoding},
		"the text is not UTF-8: the byte %02X at %d belongs to no character; save it as UTF-8", []any{p.s[bad], bad})
}

// broken says that the text is no JSON at the next byte. It answers false, as all that reads does of what it cannot.
func (p *parser) broken(format string, args ...any) bool {
	return p.stop(codeJSON, sourceJSON, format, args...)
}

// stop ends reading with an error. What was found before is forgotten: half a card says nothing about the whole.
func (p *parser) stop(code, source, format string, args ...any) bool {
	p.c.errors, p.c.warnings = sink{}, sink{}
	p.c.errors.add(note{at: -1, offset: int32(min(p.i, len(p.s))), code: code, source: source}, format, args)
	return false
}

// space steps over what may stand between values. In the text of a card without indentation that is little, and this is inlined.
func (p *parser) space() {
	if p.i < len(p.s) && p.s[p.i] <= ' ' {
		p.spaces()
	}
}

func (p *parser) spaces() {
	s, i := p.s, p.i
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	p.i = i
}

// value reads the value that begins at the next byte.
func (p *parser) value(n *node) bool {
	if p.i == len(p.s) {
		return p.broken("the text ends where a value belongs: it was cut off")
	}
	if p.values++; p.values > MaxValues {
		return p.stop(codeTooLarge, "", "the card holds more than %d values, and is not read further: make it smaller", MaxValues)
	}
	*n = node{start: int32(p.i), inside: &nothing}
	var ok bool
	switch b := p.s[p.i]; {
	case b == '"':
		n.kind = kindString
		n.str, n.class, ok = p.string()
		if mayHoldSecret(n.str, n.class) {
			n.class |= classSecret
			p.c.suspect = true
		}
	case b == '{':
		ok = p.object(n)
	case b == '[':
		ok = p.array(n)
	case b == '-' || '0' <= b && b <= '9':
		n.kind = kindNumber
		ok = p.number()
	default:
		ok = p.word(n)
	}
	n.end = int32(p.i)
	return ok
}

func (p *parser) enter() bool {
	if p.depth++; p.depth > MaxDepth {
		return p.stop(codeTooDeep, "", "the card is nested deeper than %d arrays and objects, and is not read further: make it flatter", MaxDepth)
	}
	p.i++
	p.space()
	return true
}

func (p *parser) array(n *node) bool {
	if !p.enter() {
		return false
	}
	n.kind = kindArray
	base := len(p.items.stack)
	if p.i < len(p.s) && p.s[p.i] == ']' {
		p.i++
		p.depth--
		return true
	}
	var item node // of all, since in the loop each would be allocated
	for {
		if !p.value(&item) {
			return false
		}
		p.items.push(item)
		p.space()
		if p.i == len(p.s) {
			return p.broken("the text ends within an array that begins at byte %d: it was cut off, or \"]\" is missing", n.start)
		}
		b := p.s[p.i]
		if b != ',' && b != ']' {
			return p.broken("\",\" or \"]\" belongs after an item of an array")
		}
		p.i++
		if b == ']' {
			break
		}
		p.space()
		if p.i < len(p.s) && p.s[p.i] == ']' {
			return p.broken("remove the comma before \"]\"")
		}
	}
	n.inside = &p.insides.cut(1, p.room/4+1)[0]
	*n.inside = inside{items: p.items.keep(base, p.room)}
	p.depth--
	return true
}

func (p *parser) object(n *node) bool {
	if !p.enter() {
		return false
	}
	n.kind = kindObject
	base := len(p.members.stack)
	if p.i < len(p.s) && p.s[p.i] == '}' {
		p.i++
		p.depth--
		return true
	}
	var m member // of all, since in the loop each would be allocated
	for {
		if !p.key(n, &m) || !p.value(&m.value) {
			return false
		}
		p.members.push(m)
		p.space()
		if p.i == len(p.s) {
			return p.broken("the text ends within an object that begins at byte %d: it was cut off, or \"}\" is missing", n.start)
		}
		b := p.s[p.i]
		if b != ',' && b != '}' {
			return p.broken("\",\" or \"}\" belongs after a member of an object")
		}
		p.i++
		if b == '}' {
			break
		}
		p.space()
		if p.i < len(p.s) && p.s[p.i] == '}' {
			return p.broken("remove the comma before \"}\"")
		}
	}
	once, index := p.once(p.members.stack[base:])
	p.members.stack = p.members.stack[:base+len(once)]
	n.inside = &p.insides.cut(1, p.room/4+1)[0]
	*n.inside = inside{members: p.members.keep(base, p.room), index: index}
	p.depth--
	return true
}

// key reads the key of a member of an object, up to the value.
func (p *parser) key(of *node, m *member) (ok bool) {
	if p.i == len(p.s) {
		return p.broken("the text ends within an object that begins at byte %d: it was cut off, or \"}\" is missing", of.start)
	}
	if b := p.s[p.i]; b != '"' {
		switch {
		case b == '\'' || wordly(b):
			return p.broken("the names of members stand in double quotes")
		case b == '/' || b == '#':
			return p.broken("JSON has no comments: remove this one")
		case b == ',':
			return p.broken("a member belongs before \",\": add it, or remove the comma")
		default:
			return p.broken("the name of a member belongs here, in double quotes")
		}
	}
	m.start = int32(p.i)
	if m.key, _, ok = p.string(); !ok {
		return false
	}
	p.space()
	if p.i == len(p.s) || p.s[p.i] != ':' {
		return p.broken("\":\" belongs after the name of a member")
	}
	p.i++
	p.space()
	return true
}
