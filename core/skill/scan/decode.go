package scan

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	base64Runs  = regexp.MustCompile(`[A-Za-z0-9+/_-]{20,}={0,2}`)
	hexRuns     = regexp.MustCompile(`(?:[0-9a-fA-F]{2}){16,}`)
	escapedRuns = regexp.MustCompile(`(?:\\x[0-9a-fA-F]{2}|\\u00[0-9a-fA-F]{2}|\\[0-7]{3}){8,}`)
	urlRuns     = regexp.MustCompile(`(?:[A-Za-z0-9._~!*'();:@&=+$,/?#-]*%[0-9a-fA-F]{2}){6,}[A-Za-z0-9._~!*'();:@&=+$,/?#-]*`)
	numberRuns  = regexp.MustCompile(`(?:\d{2,3}\s*,\s*){15,}\d{2,3}`)
	escapes     = regexp.MustCompile(`\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\([0-7]{3})`)
	numbers     = regexp.MustCompile(`\d+`)
	dataImage   = regexp.MustCompile(`data:(?:image|font|audio|video)/[\w.+-]+;base64,$`)
)

// decode returns the texts that are hidden in a unit by an encoding.
func (s *scanner) decode(u *unit, whole view) []*unit {
	var out []*unit
	for _, way := range []struct {
		name string
		runs *regexp.Regexp
		read func(string) string
		has  string // what a text must have for runs to be worth it
	}{
		{"base64", base64Runs, readBase64, ""},
		{"hexadecimal", hexRuns, readHex, ""},
		{"character codes", escapedRuns, readEscapes, `\`},
		{"URL encoding", urlRuns, readURL, "%"},
		{"numbers", numberRuns, readNumbers, ","},
	} {
		if way.has != "" && !strings.Contains(whole.text, way.has) {
			continue
		}
		if s.read += len(whole.text); s.read > s.most {
			s.tooDense(u)
			return out
		}
		for _, at := range way.runs.FindAllStringIndex(whole.text, 2000) {
			if way.name == "base64" && dataImage.MatchString(whole.text[max(0, at[0]-60):at[0]]) {
				continue
			}
			text := way.read(whole.text[at[0]:at[1]])
			if text == "" {
				continue
			}
			if s.decoded += len(text); s.decoded > maxDecoded {
				s.add(Finding{Code: CodeUnscanned, Severity: Medium, Path: u.path, Message: "more is encoded than a scan decodes"})
				return out
			}
			n := whole.lineOf(at[0])
			if inner := s.inner(u, n, way.name, text); inner != nil {
				out = append(out, inner)
			}
		}
	}
	return out
}

// inner makes a unit of what was decoded at a line; nil when it is no text.
func (s *scanner) inner(u *unit, n int, layer, text string) *unit {
	line := n + 1
	if u.depth > 0 {
		line, layer = u.at, layer+" in "+u.layer
	}
	if kind := magicOf([]byte(text)); kind.program {
		s.add(Finding{
			Code: CodeExecutable, Severity: Critical, Path: u.path, Line: line, Excerpt: shown(u.row(n), 0),
			Message: "contains " + kind.name + ", hidden in " + layer,
		})
		return nil
	}
	if !readable(text) {
		return nil
	}
	inner := newUnit(u.path, KindCode, text)
	for i := range inner.lines { // a comment or a list of patterns that is encoded is neither
		inner.lines[i].place, inner.lines[i].wary = inCode, u.lines[n].wary
	}
	inner.layer, inner.depth, inner.at = layer, u.depth+1, line
	return inner
}

func readBase64(run string) string {
	run = strings.TrimRight(run, "=")
	if len(run)%4 == 1 {
		run = run[:len(run)-1]
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(run, "-_") {
		if strings.ContainsAny(run, "+/") {
			return ""
		}
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(run)
	if err != nil {
		return ""
	}
	return textOf(b)
}

func readHex(run string) string {
	b, err := hex.DecodeString(run[:len(run)/2*2])
	if err != nil {
		return ""
	}
	return textOf(b)
}

func readEscapes(run string) string {
	return escapes.ReplaceAllStringFunc(run, func(e string) string {
		base, digits := 16, e[2:]
		switch {
		case strings.HasPrefix(e, `\u`):
			digits = e[4:]
		case e[1] != 'x':
			base, digits = 8, e[1:]
		}
		c, err := strconv.ParseUint(digits, base, 8)
		if err != nil {
			return ""
		}
		return string([]byte{byte(c)})
	})
}

func readURL(run string) string {
	text, err := url.PathUnescape(run)
	if err != nil {
		return ""
	}
	return text
}

func readNumbers(run string) string {
	var b []byte
	for _, n := range numbers.FindAllString(run, -1) {
		c, err := strconv.Atoi(n)
		if err != nil || c > 255 {
			return ""
		}
		b = append(b, byte(c))
	}
	return textOf(b)
}

// textOf reads UTF-16 as Windows encodes commands, and everything else as it is.
func textOf(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	zeros := 0
	for i := 1; i < min(len(b), 64); i += 2 {
		if b[i] == 0 {
			zeros++
		}
	}
	if zeros >= min(len(b), 64)/2-2 {
		units := make([]uint16, 0, len(b)/2)
		for i := 0; i+1 < len(b); i += 2 {
			units = append(units, uint16(b[i])|uint16(b[i+1])<<8)
		}
		return string(utf16.Decode(units))
	}
	return string(b)
}

// readable reports whether bytes are a text that somebody may have wanted to say.
func readable(text string) bool {
	if len(text) < 8 {
		return false
	}
	odd, letters := 0, 0
	for i, r := range text {
		if i >= 4096 {
			break
		}
		switch {
		case r == utf8.RuneError, r < ' ' && r != '\n' && r != '\t' && r != '\r', r == 0x7F:
			odd++
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
			letters++
		}
	}
	n := min(len(text), 4096)
	return odd*20 <= n && letters*4 >= n
}
