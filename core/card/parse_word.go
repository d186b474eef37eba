package card

import (
	"strings"
	"unicode/utf8"
)

// word reads true, false and null, and says of what else may stand there what it should be.
func (p *parser) word(n *node) bool {
	rest := p.s[p.i:]
	switch {
	case strings.HasPrefix(rest, "true"):
		n.kind, n.truth = kindBool, true
		p.i += len("true")
	case strings.HasPrefix(rest, "false"):
		n.kind = kindBool
		p.i += len("false")
	case strings.HasPrefix(rest, "null"):
		n.kind = kindNull
		p.i += len("null")
	case rest[0] == '\'':
		return p.broken("JSON texts stand in double quotes: write \"...\"")
	case rest[0] == '/' || rest[0] == '#':
		return p.broken("JSON has no comments: remove this one")
	case rest[0] == '<':
		return p.broken("this looks like HTML or XML: give the card itself, as JSON")
	case rest[0] == ']' || rest[0] == '}' || rest[0] == ',':
		return p.broken("a value belongs before %q: add it, or remove the comma", rest[:1])
	case strings.HasPrefix(rest, "NaN"), strings.HasPrefix(rest, "Infinity"), rest[0] == '+', rest[0] == '.':
		return p.broken("this is no number of JSON: write it as 1, -1.5 or 2e3")
	case strings.HasPrefix(rest, "True"), strings.HasPrefix(rest, "False"), strings.HasPrefix(rest, "None"),
		strings.HasPrefix(rest, "undefined"):
		return p.broken("this is no value of JSON: write true, false or null")
	default:
		r, _ := utf8.DecodeRuneInString(rest)
		return p.broken("no value of JSON begins with %q: texts stand in double quotes", r)
	}
	if p.i < len(p.s) && wordly(p.s[p.i]) {
		return p.broken("this is no value of JSON: write true, false or null")
	}
	return true
}

func wordly(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b >= utf8.RuneSelf
}

// number steps over a number as RFC 8259, 6 has it. Its value is of no interest: no field of a card is a number.
func (p *parser) number() bool {
	const digits = "a digit belongs here: write numbers as 1, -1.5 or 2e3"
	if p.s[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '0' {
		p.i++
		if p.i < len(p.s) && isDigit(p.s[p.i]) {
			return p.broken("numbers do not begin with 0: remove it")
		}
	} else if !p.digits() {
		return p.broken(digits)
	}
	if p.i < len(p.s) && p.s[p.i] == '.' {
		p.i++
		if !p.digits() {
			return p.broken(digits)
		}
	}
	if p.i < len(p.s) && p.s[p.i]|0x20 == 'e' {
		p.i++
		if p.i < len(p.s) && (p.s[p.i] == '+' || p.s[p.i] == '-') {
			p.i++
		}
		if !p.digits() {
			return p.broken(digits)
		}
	}
	if p.i < len(p.s) && wordly(p.s[p.i]) {
		return p.broken("this is no number of JSON: a text stands in double quotes")
	}
	return true
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func (p *parser) digits() bool {
	from := p.i
	for p.i < len(p.s) && isDigit(p.s[p.i]) {
		p.i++
	}
	return p.i > from
}
