package scan

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Popular are names that others like to be mistaken for, beside those that the caller knows.
func Popular() []string {
	return []string{
		"anthropic", "openai", "claude-code", "openclaw", "clawhub", "clawdbot", "moltbot", "github", "gitlab", "slack", "discord", "telegram", "whatsapp", "notion", "linear",
		"jira", "confluence", "gmail", "google-workspace", "google-calendar", "google-drive", "outlook", "dropbox", "airtable", "trello", "asana", "zapier", "stripe", "paypal", "shopify",
		"hubspot", "salesforce", "youtube", "spotify", "twitter", "linkedin", "reddit", "metamask", "phantom", "coinbase", "binance", "polymarket", "solana", "ethereum",
		"kubernetes", "docker", "terraform", "cloudflare", "playwright", "puppeteer", "web-search", "web-browser", "skill-creator", "self-improving-agent", "summarize", "auto-updater",
		"pdf", "docx", "xlsx", "pptx", "weather", "tavily-search", "brave-search", "perplexity", "obsidian", "1password", "bitwarden", "lastpass",
	}
}

// names compares the skill's names with those that people trust.
func (s *scanner) names() {
	own := map[string]bool{strings.ToLower(s.in.Name): true, strings.ToLower(s.in.Key): true}
	known := make(map[string]string, len(s.in.Known))
	add := func(list []string) {
		for _, name := range list {
			if n := squash(name); len(n) >= 3 && len(n) <= 64 && len(known) < MaxKnown && known[n] == "" {
				known[n] = name
			}
		}
	}
	add(Popular())
	add(s.in.Known)
	for _, name := range []string{s.in.Key, s.in.Name} {
		if name == "" || len(name) > 255 {
			continue
		}
		severity, like := lookalike(name, known, own)
		if severity != "" {
			s.add(Finding{
				Code: CodeLookalike, Severity: severity, Excerpt: shown(name, 0),
				Message: "the name can be mistaken for " + cutText(like, 80),
			})
			return
		}
	}
}

// lookalike finds the known name that a name resembles without being it.
func lookalike(name string, known map[string]string, own map[string]bool) (Severity, string) {
	plainName := squash(name)
	if of, same := known[plainName]; same && plainName != "" {
		if !isASCII(name) && !strings.EqualFold(of, name) {
			return High, of
		}
		return "", ""
	}
	// What looks the same, written with other characters.
	if folded := fold(name); folded != plainName {
		if of, ok := known[folded]; ok && !own[strings.ToLower(of)] {
			if isASCII(name) {
				return Medium, of
			}
			return High, of
		}
	}
	// A known name with a random ending.
	for i := len(name) - 1; i > 2; i-- {
		if name[i] != '-' && name[i] != '_' && name[i] != ' ' && name[i] != '.' {
			continue
		}
		if of, ok := known[squash(name[:i])]; ok && random(strings.ToLower(name[i+1:])) {
			return Medium, of
		}
	}
	if len(plainName) < 6 || !isASCII(name) {
		return "", ""
	}
	var near string
	for squashed, of := range known {
		if len(squashed) >= 6 && !own[strings.ToLower(of)] && oneEdit(plainName, squashed) && (near == "" || of < near) {
			near = of
		}
	}
	if near == "" {
		return "", ""
	}
	if len(plainName) >= 8 || len(plainName) != len(squash(near)) {
		return Medium, near
	}
	return Low, near // a letter of a short name differs: many honest words are as near
}

// squash writes a name without case and separators.
func squash(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKC.String(name) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// fold writes a name with those of its characters that look like others as these.
func fold(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case unicode.Is(unicode.Mn, r), invisible(r):
			continue
		case r < 0x80:
			b.WriteRune(r)
		default:
			if to, ok := confusable(r); ok {
				b.WriteRune(to)
			} else {
				b.WriteRune(r)
			}
		}
	}
	s := squash(b.String())
	for _, pair := range [][2]string{{"0", "o"}, {"1", "l"}, {"3", "e"}, {"5", "s"}, {"vv", "w"}, {"rn", "m"}} {
		s = strings.ReplaceAll(s, pair[0], pair[1])
	}
	return s
}

// confusable returns the Latin letter that a letter of another script looks like.
func confusable(r rune) (rune, bool) {
	const other = "аеорсухікјѕԁһոսνοραιτκυɡıɑⅼոӏԛԝ"
	const latin = "aeopcyxikjsdhnuvopaitkugialnlqw"
	i := 0
	for _, o := range other {
		if o == r {
			return rune(latin[i]), true
		}
		i++
	}
	return 0, false
}

// random reports whether the end of a name is made up rather than said: letters and digits mixed, or letters without vowels.
func random(end string) bool {
	if len(end) < 3 || len(end) > 16 {
		return false
	}
	digits, vowels, switches := 0, 0, 0
	for i := range len(end) {
		c := end[i]
		isDigit := '0' <= c && c <= '9'
		switch {
		case isDigit:
			digits++
		case c < 'a' || c > 'z':
			return false
		case strings.IndexByte("aeiouy", c) >= 0:
			vowels++
		}
		if i > 0 && isDigit != ('0' <= end[i-1] && end[i-1] <= '9') {
			switches++
		}
	}
	letters := len(end) - digits
	switch {
	case letters == 0:
		return false // a year, a version
	case digits > 0:
		return switches >= 2 || digits >= 1 && letters >= 2 && vowels*4 < letters
	}
	switch end {
	case "mcp", "cli", "sdk", "bot", "pdf", "csv", "sql", "xml", "rss", "tts", "llm", "gpt", "dns", "ssh", "aws", "gcp", "dms", "crm", "cms", "npm", "http", "html", "dm", "sms", "tts2", "tls", "vpn", "ftp", "cdn", "dev", "pro", "kpl":
		return false
	}
	return vowels == 0 && len(end) >= 4
}

// oneEdit reports whether two different texts are one insertion, deletion, replacement or swap of neighbours apart.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) != len(b) {
		return a[i:] == b[i+1:]
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
