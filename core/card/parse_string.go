package card

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// special says of each byte whether a text needs a closer look at it: it ends there, is escaped, or has a control character.
var special = func() (table [256]bool) {
	for b := range 0x20 {
		table[b] = true
	}
	table['"'], table['\\'] = true, true
	return table
}()

// string reads the text that begins at the next byte, a double quote. Most texts have no escapes, and are cut from the card's own text.
func (p *parser) string() (string, bool) {
	from := p.i + 1
	i := from
	for i < len(p.s) && !special[p.s[i]] {
		i++
	}
	p.i = i
	if i < len(p.s) && p.s[i] == '"' {
		p.i++
		return p.clean(p.s[from:i]), true
	}
	return p.escaped(from)
}

// escaped reads on where the first special byte of a text is that begins at from.
func (p *parser) escaped(from int) (string, bool) {
	var b strings.Builder
	for run := from; ; {
		for p.i < len(p.s) && !special[p.s[p.i]] {
			p.i++
		}
		if p.i == len(p.s) {
			p.broken("the text ends within a text that begins at byte %d: it was cut off, or a quote is missing", from-1)
			return "", false
		}
		b.WriteString(p.s[run:p.i])
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return p.clean(b.String()), true
		case '\\':
			if !p.escape(&b, from-1) {
				return "", false
			}
			run = p.i
		case '\n':
			p.broken("a text ends on the line that it begins on: add the quote, or write the line break as \\n")
			return "", false
		default:
			p.broken("control characters are escaped in texts: write this one as \\u%04x", c)
			return "", false
		}
	}
}

// escape reads one escape of the text that begins at of, or two that are a surrogate pair.
func (p *parser) escape(b *strings.Builder, of int) bool {
	const short = `"\/bfnrt`
	const meaning = "\"\\/\b\f\n\r\t"
	at := p.i
	if at+1 >= len(p.s) {
		p.i = len(p.s)
		p.broken("the text ends within an escape: it was cut off")
		return false
	}
	if which := strings.IndexByte(short, p.s[at+1]); which >= 0 {
		b.WriteByte(meaning[which])
		p.i += 2
		return true
	}
	first, ok := p.hex(at)
	if !ok {
		p.broken("this is no escape of JSON: write \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four digits; a backslash itself is \\\\")
		return false
	}
	p.i += 6
	if utf16.IsSurrogate(first) {
		if second, ok := p.hex(p.i); ok {
			if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
				p.i += 6
				b.WriteRune(pair)
				return true
			}
		}
		p.c.warnings.add(note{at: int32(of), offset: int32(at), code: codeLoneSurrogate, source: sourceStrings},
			"\\u%04x is half of a character, and many readers refuse it: write the character itself", []any{first})
		first = utf8.RuneError
	}
	b.WriteRune(first)
	return true
}

// hex reads the escape \uXXXX at i.
func (p *parser) hex(i int) (rune, bool) {
	if i+6 > len(p.s) || p.s[i] != '\\' || p.s[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.s[i+2 : i+6]) {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// clean puts the replacement character where a text is not UTF-8.
func (p *parser) clean(s string) string {
	if !p.dirty {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
