package offline

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
)

// kind says what a token is.
type kind uint8

const (
	word    kind = iota
	mark         // one punctuation mark
	quoted       // text in quotation marks or back-ticks; norm is the inside
	literal      // a JSON object
	link         // a URL
	email        // an address
	day          // a date or a time; norm is RFC 3339 or its date
	number       // norm is a plain decimal
	amount       // a sum of money; norm is a plain decimal, code its currency
	host         // a domain name, also a file name, which looks the same
	file         // a path with a slash
	formula      // arithmetic; norm is the expression in operators
)

// token is a piece of a message.
type token struct {
	kind       kind
	text       string // as written
	norm       string // words in lower case, values in their plain form
	stem       string // of words
	code       string // amount: the currency's code; "$" when only a dollar sign was there
	line       bool   // first on its line
	start, end int    // bytes of the message
}

func (t token) is(words ...string) bool {
	if t.kind != word && t.kind != mark {
		return false
	}
	for _, w := range words {
		if t.norm == w {
			return true
		}
	}
	return false
}

const months = `jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?`

// patterns are tried in this order at each position.
var patterns = []struct {
	kind kind
	re   *regexp.Regexp
}{
	{link, regexp.MustCompile("^(?i:https?|ftp)://[^\\s<>\"'`]+")},
	{email, regexp.MustCompile(`^[\p{L}\p{N}._%+-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,24}`)},
	{day, regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?`)},
	{day, regexp.MustCompile(`^(?i:` + months + `)\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}`)},
	{day, regexp.MustCompile(`^\d{1,2}(?:st|nd|rd|th)?(?: of)? (?i:` + months + `)\.?,? \d{4}`)},
	{host, regexp.MustCompile(`^(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]*[\p{L}\p{N}])?\.)+\p{L}{2,24}(?::\d{1,5})?`)},
	{file, regexp.MustCompile(`^(?:~|\.{1,2})?/[\p{L}\p{N}._@%+~-]+(?:/[\p{L}\p{N}._@%+~-]*)*`)},
	{number, regexp.MustCompile(`^(?:\d{1,3}(?:\.\d{3})+,\d{1,2}\b|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+,\d{2}\b|\d+(?:\.\d+)?|\.\d+)`)},
	{word, regexp.MustCompile(`^[@#]?[\p{L}\p{N}](?:[\p{L}\p{N}_'’-]*[\p{L}\p{N}])?`)},
}

var closing = map[rune]rune{'"': '"', '“': '”', '„': '“', '«': '»', '`': '`', '‘': '’', '\'': '\''}

// lex cuts a message into tokens. Lines that quote somebody else ("> ...") are left out.
func lex(src string) []token {
	var toks []token
	lineStart, objects := true, 0
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRuneInString(src[i:])
		if unicode.IsSpace(r) {
			lineStart = lineStart || r == '\n'
			i += size
			continue
		}
		if lineStart && r == '>' {
			if n := strings.IndexByte(src[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(src)
			}
			continue
		}
		t := token{kind: mark, start: i, end: i + size, line: lineStart}
		prev := rune(' ')
		if i > 0 {
			prev, _ = utf8.DecodeLastRuneInString(src[:i])
		}
		inWord := unicode.IsLetter(prev) || unicode.IsDigit(prev)
		switch {
		case strings.HasPrefix(src[i:], "```"):
			t.kind, t.norm = quoted, src[i+3:]
			t.end = len(src)
			if n := strings.Index(src[i+3:], "```"); n >= 0 {
				t.norm, t.end = src[i+3:i+3+n], i+n+6
			}
		case closing[r] != 0 && (r != '\'' && r != '‘' || !inWord):
			if inside, end, ok := quotation(src, i+size, closing[r]); ok {
				t.kind, t.norm, t.end = quoted, inside, end
			}
		case r == '{' && objects < 8:
			objects++
			dec := json.NewDecoder(strings.NewReader(src[i:]))
			var object map[string]any
			if dec.Decode(&object) == nil {
				t.kind, t.end = literal, i+int(dec.InputOffset())
			}
		default:
			match(src, &t, inWord)
		}
		t.text = src[t.start:t.end]
		switch t.kind {
		case word:
			t.norm = strings.ReplaceAll(strings.ToLower(t.text), "’", "'")
			t.stem = stem(t.norm)
		case quoted, day, number:
		default:
			t.norm = t.text
		}
		toks = append(toks, t)
		i, lineStart = t.end, false
	}
	toks = amounts(numbers(toks))
	for i, t := range toks {
		toks[i].text = src[t.start:t.end]
	}
	return formulas(toks, src)
}

// quotation returns the text up to the closing mark, and where it ends.
func quotation(src string, from int, end rune) (string, int, bool) {
	for i, r := range src[from:] {
		if r == '\n' && i > 4000 {
			break
		}
		if r != end {
			continue
		}
		after := from + i + utf8.RuneLen(r)
		next, _ := utf8.DecodeRuneInString(src[after:])
		// An apostrophe inside a word closes nothing.
		if (end == '\'' || end == '’') && (unicode.IsLetter(next) || unicode.IsDigit(next)) {
			continue
		}
		return src[from : from+i], after, true
	}
	return "", 0, false
}

// maxToken bounds how far patterns look, in bytes: an address, at most.
const maxToken = 1024

// match sets t to what the first matching pattern finds at its start.
func match(src string, t *token, inWord bool) {
	window := src[t.start:min(len(src), t.start+maxToken)]
	for _, p := range patterns {
		if inWord && p.kind != word && p.kind != number {
			continue
		}
		found := p.re.FindString(window)
		if found == "" {
			continue
		}
		switch p.kind {
		case link:
			found = strings.TrimRight(found, ".,;:!?)]}")
		case day:
			norm, ok := parseDay(found)
			if !ok {
				continue
			}
			t.norm = norm
		case number:
			t.norm = found
			if comma := strings.LastIndexByte(found, ','); comma >= 0 && len(found)-comma <= 3 {
				// "1.250,50": with one or two digits behind it, a comma is the decimal point.
				t.norm = strings.ReplaceAll(found[:comma], ".", "") + "." + found[comma+1:]
			}
			t.norm = strings.ReplaceAll(t.norm, ",", "")
			if strings.HasPrefix(t.norm, ".") {
				t.norm = "0" + t.norm
			}
		}
		t.kind, t.end = p.kind, t.start+len(found)
		return
	}
}

var ordinal = regexp.MustCompile(`(\d)(?:st|nd|rd|th)\b`)

// parseDay returns a date as YYYY-MM-DD and a time as RFC 3339, in UTC when it names no zone.
func parseDay(text string) (string, bool) {
	text = ordinal.ReplaceAllString(text, "$1")
	text = strings.NewReplacer(",", "", ".", "", " of ", " ").Replace(text)
	if len(text) > 10 && text[4] == '-' {
		for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
			if at, err := time.Parse(layout, text); err == nil {
				return at.Format(time.RFC3339), true
			}
		}
		return "", false
	}
	for _, layout := range []string{time.DateOnly, "January 2 2006", "Jan 2 2006", "2 January 2006", "2 Jan 2006"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(time.DateOnly), true
		}
	}
	return "", false
}

func stem(w string) string {
	w = strings.TrimSuffix(strings.TrimSuffix(w, "'s"), "'")
	return english.Stem(w, false)
}

// stems returns the stems of the words of a name or a description, splitting camelCase and snake_case.
func stems(text string) []string {
	var out []string
	for _, w := range words(text) {
		out = append(out, stem(w))
	}
	return out
}

// words returns the words of a name or a description in lower case.
func words(text string) []string {
	var out []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			out = append(out, strings.ToLower(b.String()))
			b.Reset()
		}
	}
	lower := false
	for _, r := range text {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if unicode.IsUpper(r) && lower {
				flush()
			}
			lower = unicode.IsLower(r) || unicode.IsDigit(r)
			b.WriteRune(r)
		default:
			flush()
			lower = false
		}
	}
	flush()
	return out
}
