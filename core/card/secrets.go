package card

import (
	"regexp"
	"strings"
)

// secretForms are forms of credentials that are nothing else: each begins with a mark that its issuer chose so that it is found. A form
// is only looked for where its mark is.
var secretForms = [...]struct {
	mark, what string
	form       *regexp.Regexp
}{
	{"-----BEGIN ", "a private key", regexp.MustCompile(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----`)},
	{"AKIA", "an access key of AWS", regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`)},
	{"ASIA", "an access key of AWS", regexp.MustCompile(`\bASIA[0-9A-Z]{16}\b`)},
	{"AIza", "an API key of Google", regexp.MustCompile(`\bAIza[0-9A-Za-z_-]{35}\b`)},
	{"gh", "a token of GitHub", regexp.MustCompile(`\bgh[pousr]_[0-9A-Za-z]{36,}\b`)},
	{"github_pat_", "a token of GitHub", regexp.MustCompile(`\bgithub_pat_[0-9A-Za-z_]{60,}\b`)},
	{"glpat-", "a token of GitLab", regexp.MustCompile(`\bglpat-[0-9A-Za-z_-]{20,}`)},
	{"sk-", "an API key", regexp.MustCompile(`\bsk-(?:ant-|proj-|or-v1-|svcacct-)?[0-9A-Za-z_-]*[0-9A-Z][0-9A-Za-z_-]{30,}`)},
	{"k_live_", "a key of Stripe", regexp.MustCompile(`\b[sr]k_live_[0-9A-Za-z]{16,}\b`)},
	{"xox", "a token of Slack", regexp.MustCompile(`\bxox[abeprs]-[0-9A-Za-z-]{20,}`)},
	{"hf_", "a token of Hugging Face", regexp.MustCompile(`\bhf_[0-9A-Za-z]{30,}\b`)},
	{"npm_", "a token of npm", regexp.MustCompile(`\bnpm_[0-9A-Za-z]{36}\b`)},
	{"eyJ", "a JSON Web Token", regexp.MustCompile(`\beyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{16,}`)},
}

// examineSecrets warns of credentials anywhere in the card but in its signatures. The warning does not repeat them.
func (c *checker) examineSecrets() {
	if !c.suspect {
		return
	}
	for i := range c.root.members {
		if m := &c.root.members[i]; m.key != "signatures" {
			c.findSecrets(&m.value)
		}
	}
}

// findSecrets looks at the texts of n that are of classSecret.
func (c *checker) findSecrets(n *node) {
	for i := range n.items {
		c.findSecrets(&n.items[i])
	}
	for i := range n.members {
		c.findSecrets(&n.members[i].value)
	}
	if n.class&classSecret == 0 {
		return
	}
	if what := secret(n.str); what != "" {
		c.warn(n, codeSecret, c.cite(rule{old: "5.4", v10: "14.3"}),
			"This holds %s, which everybody who reads the card sees; take it out and have it revoked", what)
	}
}

// secret returns what kind of credential s holds, "" when it holds none.
func secret(s string) string {
	for i := range secretForms {
		if f := &secretForms[i]; strings.Contains(s, f.mark) && f.form.MatchString(s) {
			return f.what
		}
	}
	return ""
}

// shortSecret is how many bytes of classToken each of secretForms has in a row at least, but for that of private keys.
const shortSecret = 20

// mayHoldSecret says whether one of secretForms may be in a text of those classes: whether it holds the mark of a private key, or a run of
// classToken that is long enough. The last byte that a run would have is looked at first, so that most bytes need not be.
func mayHoldSecret(s string, all class) bool {
	if all&classMark == 0 {
		return false
	}
	for end := shortSecret; end <= len(s); {
		i := end
		for i > end-shortSecret && classes[s[i-1]]&classToken != 0 {
			i--
		}
		if i == end-shortSecret {
			return true
		}
		end = i + shortSecret
	}
	return len(s) > shortSecret && strings.Contains(s, secretForms[0].mark)
}
