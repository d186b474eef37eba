package validation

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/card"
)

// Masked is a text without the secrets that stood in it.
type Masked struct {
	// Text has a dot for each character of a secret, so that lines and columns are what they were.
	Text string

	secrets []string // as they stood in the text; each once, the longest first
}

// shapes are what secrets look like, each with the secret as its last group. A mask too much does less harm than one too few: what is masked is only
// not shown. Names of fields that a card of any version has (tokenUrl, in an apiKey scheme "name") are none of them.
var shapes = []*regexp.Regexp{
	// What a field of a telling name says, unless it is a sentence.
	regexp.MustCompile(`(?i)"[\w .-]{0,64}(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|token|credentials?|authorization)"\s*:\s*"((?:[^"\\\s]|\\.){6,})"`),
	// user:password@ of an address.
	regexp.MustCompile(`://[^/\s"@:]{0,256}:([^/\s"@]{1,512})@`),
	// A parameter of an address.
	regexp.MustCompile(`(?i)[?&](?:api[_-]?key|key|token|access[_-]?token|auth|secret|client[_-]?secret|password|pwd|sig|signature)=([^&"\s#\\]{4,})`),
	// What stands behind the scheme of a header.
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/=-]{16,})`),
	// The keys of services, as those make them.
	regexp.MustCompile(`\b((?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|` +
		`xox[abeoprs]-[A-Za-z0-9-]{10,}|A(?:KIA|SIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|` +
		`bur_[0-9a-f]{32,}|whsec_[A-Za-z0-9+/=]{16,})`),
	// A JSON Web Token; a signature of A2A has its three parts in two fields.
	regexp.MustCompile(`\b(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})`),
	regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*)`),
}

// secretCodes begin the codes of findings that are about a secret.
const secretCodes = "secret"

// Mask takes secrets out of a card: what looks like one, and the texts that findings about secrets point to.
func Mask(text string, found card.Result) Masked {
	type span struct{ from, to int }
	var spans []span
	for _, shape := range shapes {
		for _, m := range shape.FindAllStringSubmatchIndex(text, -1) {
			spans = append(spans, span{m[len(m)-2], m[len(m)-1]})
		}
	}
	for _, list := range [][]card.Finding{found.Errors, found.Warnings} {
		for _, f := range list {
			if strings.HasPrefix(f.Code, secretCodes) {
				if from, to, ok := stringAt(text, f.Offset); ok {
					spans = append(spans, span{from, to})
				}
			}
		}
	}
	if len(spans) == 0 {
		return Masked{Text: text}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	var secrets []string
	done := 0
	for _, s := range spans {
		if s.to <= done {
			continue
		}
		out.WriteString(text[done:max(done, s.from)])
		out.WriteString(strings.Repeat("•", utf8.RuneCountInString(text[max(done, s.from):s.to])))
		secrets = append(secrets, text[s.from:s.to])
		done = s.to
	}
	out.WriteString(text[done:])
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return Masked{Text: out.String(), secrets: slices.Compact(secrets)}
}

// stringAt returns where the string that begins at offset stands, without its quotes; of a member, that of its value.
func stringAt(text string, offset int) (from, to int, ok bool) {
	if offset < 0 || offset >= len(text) || text[offset] != '"' {
		return 0, 0, false
	}
	from = offset + 1
	for to = from; to < len(text) && text[to] != '"'; to++ {
		if text[to] == '\\' {
			to++
		}
	}
	to = min(to, len(text))
	if rest := strings.TrimLeft(text[min(to+1, len(text)):], " \t\r\n"); strings.HasPrefix(rest, ":") {
		value := strings.TrimLeft(rest[1:], " \t\r\n")
		return stringAt(text, len(text)-len(value))
	}
	return from, to, to > from
}

// hide takes the secrets out of another text that speaks of the card. Short ones stay, since they would be found in any text. Of a card with
// very many, which are not looked for one by one, nothing is told.
func (m Masked) hide(s string) string {
	const (
		least = 4
		most  = 1000
	)
	if s != "" && len(m.secrets) > most {
		return "•••"
	}
	for _, secret := range m.secrets {
		if len(secret) >= least {
			s = strings.ReplaceAll(s, secret, "•••")
		}
	}
	return s
}
