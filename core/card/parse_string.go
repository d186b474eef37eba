package card

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// string reads the text that begins at the next byte, a double quote, and says what classes of bytes it holds. Most texts have no escapes,
// and are cut from the card's own text.
func (p *parser) string() (string, class, bool) {
	from := p.i + 1
	n, all, clean := plainLength(p.s[from:])
	if p.i = from + n; p.i == len(p.s) || p.s[p.i] != '"' {
		return p.escaped(from)
	}
	p.i++
	s := p.s[from : from+n]
	if !clean {
		p.dirty = true
		s, all = strings.ToValidUTF8(s, "\uFFFD"), all|classHidden
	}
	return s, all, true
}

// plainLength returns how long s is up to the first byte of classEnds, the classes of what is before it, and whether that is UTF-8.
func plainLength(s string) (n int, all class, clean bool) {
	clean = true
	for i := 0; i < len(s); {
		for ; i+4 <= len(s); i += 4 { // most bytes are plain
			of := classes[s[i]] | classes[s[i+1]] | classes[s[i+2]] | classes[s[i+3]]
			if of&(classEnds|classWide) != 0 {
				break
			}
			all |= of
		}
		if i == len(s) {
			break
		}
		of := classes[s[i]]
		switch {
		case of&(classEnds|classWide) == 0:
			i++
		case of&classEnds != 0:
			return i, all, clean
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			clean = clean && (r != utf8.RuneError || size > 1)
			i += size
		}
		all |= of
	}
	return len(s), all, clean
}

// escaped reads on where the first special byte of a text is that begins at from.
func (p *parser) escaped(from int) (string, class, bool) {
	var b strings.Builder
	for run := from; ; {
		for p.i < len(p.s) && classes[p.s[p.i]]&classEnds == 0 {
			p.i++
		}
		if p.i == len(p.s) {
			return "", 0, p.broken("the text ends within a text that begins at byte %d: it was cut off, or a quote is missing", from-1)
		}
		b.WriteString(p.s[run:p.i])
		switch c := p.s[p.i]; c {
		case '"':
			p.i++
			return p.unescaped(b.String())
		case '\\':
			if !p.escape(&b, from-1) {
				return "", 0, false
			}
			run = p.i
		case '\n':
			return "", 0, p.broken("a text ends on the line that it begins on: add the quote, or write the line break as \\n")
		default:
			return "", 0, p.broken("control characters are escaped in texts: write this one as \\u%04x", c)
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
		return p.broken("the text ends within an escape: it was cut off")
	}
	if which := strings.IndexByte(short, p.s[at+1]); which >= 0 {
		b.WriteByte(meaning[which])
		p.i += 2
		return true
	}
	first, ok := p.hex(at)
	if !ok {
		return p.broken("this is no escape of JSON: write \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\u and four digits; a backslash itself is \\\\")
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

// unescaped puts the replacement character where a text that had escapes is not UTF-8, and says what classes of bytes it holds.
func (p *parser) unescaped(s string) (string, class, bool) {
	if !utf8.ValidString(s) {
		p.dirty = true
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	var all class
	for i := range len(s) {
		all |= classes[s[i]]
	}
	return s, all, true
}
