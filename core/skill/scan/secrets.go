package scan

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// secretShapes are keys that their makers gave a shape of their own. They are looked for in the text as it is.
var secretShapes = []struct {
	of   string
	near []string
	re   *regexp.Regexp
}{
	{"a private key", []string{"PRIVATE KEY"}, regexp.MustCompile(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----`)},
	{"an access key of AWS", []string{"AKIA", "ASIA"}, regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`)},
	{"a token of GitHub", []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"}, regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b`)},
	{"a token of GitLab", []string{"glpat-"}, regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{"a token of Slack", []string{"xox"}, regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{16,}`)},
	{"a key of a model provider", []string{"sk-"}, regexp.MustCompile(`\bsk-(?:ant-[a-z0-9]+-|proj-|or-v1-)?[A-Za-z0-9_-]{32,}`)},
	{"a key of Stripe", []string{"_live_"}, regexp.MustCompile(`\b[sr]k_live_[A-Za-z0-9]{20,}`)},
	{"a key of Google", []string{"AIza"}, regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}`)},
	{"a token of npm", []string{"npm_"}, regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`)},
	{"a key of SendGrid", []string{"SG."}, regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}`)},
	{"a token of a Telegram bot", []string{":AA"}, regexp.MustCompile(`\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b`)},
	{"a token of PyPI", []string{"pypi-"}, regexp.MustCompile(`\bpypi-AgE[A-Za-z0-9_-]{40,}`)},
	{"a key of this server", []string{"bureau_"}, regexp.MustCompile(`\bbureau_[A-Za-z0-9_-]{24,}`)},
	{"a token of Hugging Face", []string{"hf_"}, regexp.MustCompile(`\bhf_[A-Za-z0-9]{30,}`)},
	{"a webhook of Slack", []string{"hooks.slack.com"}, regexp.MustCompile(`hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}`)},
	{"a webhook of Discord", []string{"/api/webhooks/"}, regexp.MustCompile(`discord(?:app)?\.com/api/webhooks/\d{15,}/[A-Za-z0-9_-]{50,}`)},
	{"a password in an address", []string{"://"}, regexp.MustCompile(`\b(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|redis|amqp|https?|ftp)://[^\s:/@"'<>]+:[^\s:/@"'<>{}$]{6,}@[a-zA-Z0-9.-]+`)},
	{"a secret", []string{"="}, regexp.MustCompile(`(?i)\b[a-z0-9_]*(?:api_?key|secret|passwd|password|auth_?token|access_?token|private_?key|bot_?token)["']?\s*(?:=|:=)\s*["']([^"'\s]{16,})["']`)},
	{"a secret", []string{":"}, regexp.MustCompile(`(?i)["']?\b[a-z0-9_]*(?:api_?key|secret|passwd|password|auth_?token|access_?token|private_?key|bot_?token)["']?\s*:\s*["']([^"'\s]{16,})["']`)},
}

var placeholder = regexp.MustCompile(`(?i)example|sample|placeholder|your|xxx|\.\.\.|…|changeme|change_me|replace|dummy|fake|redacted|insert|1234567|abcdef|0000|<|>|\$\{|\{\{|process\.env|os\.environ|getenv|test|todo|foo|\*\*\*|secret_?key_?here`)

// secrets reports secrets that stand in a text.
func (s *scanner) secrets(u *unit, v view) {
	for i, shape := range secretShapes {
		found := false
		for _, near := range shape.near {
			found = found || strings.Contains(v.text, near)
		}
		if !found {
			continue
		}
		if s.read += len(v.text); s.read > s.most {
			s.tooDense(u)
			return
		}
		for _, at := range shape.re.FindAllStringSubmatchIndex(v.text, 100) {
			value := v.text[at[0]:at[1]]
			if generic := len(at) > 2; generic {
				if value = v.text[at[2]:at[3]]; entropy(value) < 3.2 || strings.ContainsAny(value, "/ ") && strings.Contains(value, "://") {
					continue
				}
			}
			n := v.lineOf(at[0])
			severity := High
			if i == 0 {
				rest := v.text[at[1]:min(len(v.text), at[1]+200)]
				if strings.Contains(rest, "...") || !strings.ContainsAny(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") || len(strings.TrimSpace(rest)) < 60 {
					continue // the heading of a key without a key
				}
			} else if placeholder.MatchString(value) {
				continue
			}
			if len(at) > 2 {
				severity = Medium
			}
			f := Finding{Code: CodeSecretLiteral, Severity: severity, Message: "contains " + shape.of}
			s.report(u, n, f, v.rowAt(n), at[0]-v.starts[n], false)
		}
	}
}

// entropy is that of Shannon, in bits for each byte.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	h := 0.0
	for _, c := range count {
		if c > 0 {
			p := float64(c) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}

// maskSecrets replaces all but the first four characters of secrets in a line, so that a report does not spread them. at is moved along.
func maskSecrets(row string, at *int) string {
	const most = 4096
	if len(row) > most { // the part that is going to be shown
		from := max(0, min(*at-most/2, len(row)-most))
		row = row[from : from+most]
		*at -= from
	}
	row = strings.ToValidUTF8(row, "\uFFFD")
	for _, shape := range secretShapes {
		if !slices.ContainsFunc(shape.near, func(near string) bool { return strings.Contains(row, near) }) {
			continue
		}
		row = shape.re.ReplaceAllStringFunc(row, func(found string) string {
			if sub := shape.re.FindStringSubmatch(found); len(sub) > 1 {
				return strings.Replace(found, sub[1], mask(sub[1]), 1)
			}
			return mask(found)
		})
	}
	return row
}

func mask(secret string) string {
	if len(secret) < 12 {
		return "****"
	}
	if i := strings.Index(secret, "://"); i >= 0 {
		return secret[:i+3] + "****"
	}
	return secret[:4] + "****"
}
