package scan

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// invisible reports whether a character has no shape of its own and can hide in a text. The joiners that scripts and emoji need are not.
func invisible(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == 0x00AD, r == 0x034F, r == 0x061C, r == 0x180E, r == 0x200B, r == 0xFEFF, r == 0x115F, r == 0x1160, r == 0x3164, r == 0xFFA0,
		r == 0x2028, r == 0x2029, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r >= 0xE0000 && r <= 0xE01EF:
		return true
	}
	return false
}

// spelled writes a character as its number.
func spelled(r rune) string { return fmt.Sprintf(`\u{%x}`, r) }

func isTag(r rune) bool      { return r >= 0xE0000 && r <= 0xE007F }
func isBidi(r rune) bool     { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }
func isSelector(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF }

// invisible reports characters that machines read and people do not see, and reads what they spell.
func (s *scanner) invisible(u *unit) {
	if isASCII(u.text) && strings.IndexByte(u.text, 0x1b) < 0 {
		return
	}
	for n := range u.lines {
		row := u.row(n)
		if isASCII(row) && strings.IndexByte(row, 0x1b) < 0 {
			continue
		}
		s.invisibleRow(u, n, row)
	}
}

func (s *scanner) invisibleRow(u *unit, n int, row string) {
	report := func(severity Severity, message string) {
		f := Finding{Code: CodeInvisible, Severity: severity, Path: u.path, Line: n + 1, Excerpt: shown(row, 0), Message: message}
		if u.depth > 0 {
			f.Line = u.at
		}
		s.add(f)
	}
	var tags strings.Builder
	var last rune
	flag, selectors, zero, inside, bidi, escape := false, 0, 0, 0, false, false
	runes := []rune(row)
	for i, r := range runes {
		switch {
		case r == 0x1F3F4: // the black flag begins the flags of regions, whose names are spelled in tag characters
			flag = true
		case isTag(r):
			if !flag {
				tags.WriteRune(r - 0xE0000)
			} else if r == 0xE007F {
				flag = false
			}
		case isSelector(r):
			if isSelector(last) {
				selectors++
			}
		case isBidi(r):
			bidi = true
		case r == 0x200C || r == 0x200D: // joiners: honest between letters of scripts that join, and between emoji
			if i > 0 && i+1 < len(runes) && runes[i-1] < 0x80 && runes[i+1] < 0x80 {
				inside++
			}
		case r == 0xFEFF && n == 0 && i == 0:
		case invisible(r):
			zero++
			if i > 0 && i+1 < len(runes) && unicode.IsLetter(runes[i-1]) && unicode.IsLetter(runes[i+1]) && r != 0x00AD {
				inside++
			}
		case r == 0x1b:
			escape = true
		default:
			flag = false
		}
		last = r
	}
	if text := tags.String(); text != "" {
		report(High, "has tag characters, which no one sees; they spell: "+cutText(strings.Map(printable, text), 100))
		s.spell(u, n, text)
	}
	switch {
	case selectors >= 3:
		report(High, "has a row of variation selectors, which can carry hidden bytes")
	case bidi && u.kind == KindCode:
		report(High, "changes the direction of writing inside of code, so that it shows otherwise than it runs")
	case bidi:
		report(Medium, "changes the direction of writing")
	case zero >= 16:
		report(High, "has many invisible characters, which can carry hidden text")
	case inside > 0:
		report(Medium, "has invisible characters inside of words")
	case zero > 0:
		report(Low, "has invisible characters")
	case escape && u.kind != KindCode:
		report(Medium, "has control sequences of terminals, which can hide and replace what is shown")
	}
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '?'
}

// spell scans what tag characters say.
func (s *scanner) spell(u *unit, n int, text string) {
	if u.depth >= 2 || len(text) < 4 {
		return
	}
	inner := newUnit(u.path, KindInstructions, text)
	for i := range inner.lines {
		inner.lines[i].place, inner.lines[i].wary = inHidden, false
	}
	inner.depth, inner.layer, inner.at = 2, "tag characters", n+1
	if u.depth > 0 {
		inner.at = u.at
	}
	v := inner.whole()
	s.patterns(inner, v, v.lower(), false)
	s.add(Finding{
		Code: CodeHiddenText, Severity: High, Path: u.path, Line: inner.at, Excerpt: shown(text, 0), Message: "has a text in characters that no one sees",
	})
}

var (
	// orders is a sentence that wants something of the reader.
	orders = regexp.MustCompile(`(?i)\b(?:you|agents?|assistants?|ai|llms?|models?|claude|gpt|copilot)\b[^\n.]*\b(?:must|should|shall|will|need to|have to|always|never)\b|` +
		`(?:^|[.!:;]\s+|-->|<!--\s*)(?:please\s+)?(?:always|never|first,?|secretly|silently|important:?)?\s*(?:ignore|disregard|forget|execute|run|send|upload|fetch|download|install|exfiltrate|forward|reveal|read the file|include the|append the)\b`)
	remarks = regexp.MustCompile(`(?i)<!--\s*(?:todo|fixme|prettier|markdownlint|eslint|cspell|vale|toc|/?tocstop|omit|begin|end|start|stop|source|license|copyright|generated|auto-?generated|do not edit|sync|spdx|region|endregion|docs?:|more|truncate|badges?|logo)\b`)
	links   = regexp.MustCompile(`(!?)\[([^\]\n]*)\]\(\s*<?([^)\s>]+)>?(?:\s+["'(]([^"')\n]*)["')])?\s*\)`)
	refNote = regexp.MustCompile(`(?m)^\s*\[(?://|comment|_|\.)\]\s*:\s*(?:#|<>|\S+)\s*["'(](.*)["')]\s*$`)
	unseen  = regexp.MustCompile(`(?i)<[a-z]+[^>]*(?:style\s*=\s*["'][^"']*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0\b|color\s*:\s*(?:white|#fff(?:fff)?|transparent)|left\s*:\s*-\d{3,})[^"']*["']|\shidden\b)[^>]*>([^<\n]*)`)
	far     = regexp.MustCompile(`\S?[ \t]{180,}(\S[^\n]*)`)
	shownAt = regexp.MustCompile(`(?i)^(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:[/:?#]\S*)?$`)
)

// markdown looks for what readers of rendered Markdown do not see.
func (s *scanner) markdown(u *unit) {
	hidden := func(n int, text, where string) {
		severity := Medium
		switch {
		case len(text) > 8000:
			text = text[:8000]
		}
		switch {
		case strings.Contains(text, "://") && orders.MatchString(text):
			severity = High
		case !orders.MatchString(text):
			return
		}
		s.report(u, n, Finding{Code: CodeHiddenText, Severity: severity, Message: "speaks to the agent in " + where}, u.row(n), 0, false)
	}
	text := u.text
	for at := 0; ; {
		from := strings.Index(text[at:], "<!--")
		if from < 0 {
			break
		}
		from += at
		to := strings.Index(text[from:], "-->")
		end := len(text)
		if to >= 0 {
			end = from + to + 3
		}
		body := text[from:end]
		if n := u.lineOf(from); u.lines[n].place != inCode && (!remarks.MatchString(body) || len(body) > 300) {
			hidden(n, body, "a comment, which readers do not see")
		}
		at = end
	}
	for n := range u.lines {
		row := u.row(n)
		if u.lines[n].place == inCode || len(row) < 4 {
			continue
		}
		if strings.Contains(row, "](") {
			s.links(u, n, row, hidden)
		}
		if strings.Contains(row, "]:") {
			for _, m := range refNote.FindAllStringSubmatch(row, 5) {
				hidden(n, m[1], "a comment, which readers do not see")
			}
		}
		if strings.IndexByte(row, '<') >= 0 {
			for _, m := range unseen.FindAllStringSubmatch(row, 20) {
				if len(strings.Fields(m[1])) > 2 {
					hidden(n, m[1], "an element that is not displayed")
				}
			}
		}
		if len(row) > 180 && strings.Contains(row, "                    ") {
			if m := far.FindStringSubmatch(row); m != nil {
				s.report(u, n, Finding{Code: CodeHiddenText, Severity: Medium, Message: "has text far outside of the line that is seen"}, row, strings.Index(row, m[1]), false)
			}
		}
	}
}

// lineOf returns the index of the line of an offset.
func (u *unit) lineOf(at int) int {
	low, high := 0, len(u.lines)
	for high-low > 1 {
		if mid := (low + high) / 2; u.lines[mid].start <= at {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// links compares what links say with where they lead.
func (s *scanner) links(u *unit, n int, row string, hidden func(int, string, string)) {
	for _, m := range links.FindAllStringSubmatch(row, 100) {
		label, target, title := strings.Trim(m[2], "` *_"), strings.ToLower(m[3]), m[4]
		report := func(severity Severity, message string) {
			s.report(u, n, Finding{Code: CodeMisleadingLink, Severity: severity, Message: message}, row, strings.Index(row, m[0]), false)
		}
		switch {
		case strings.HasPrefix(target, "javascript:"), strings.HasPrefix(target, "vbscript:"), strings.HasPrefix(target, "data:text/html"):
			report(High, "the target of the link is a script")
		case strings.HasPrefix(target, "http"):
			says, leads := shownAt.FindStringSubmatch(label), hostsIn(target)
			if says == nil || len(leads) == 0 || !strings.Contains(label, "/") && !wellKnownEnd(says[1]) {
				break
			}
			if a, b := registered(strings.ToLower(says[1])), registered(leads[0]); a != b {
				severity := Medium
				if sortOfHost(leads[0]) != hostPlain {
					severity = High
				}
				report(severity, "the link says "+cutText(says[1], 60)+" and leads to "+cutText(leads[0], 60))
			}
		}
		if m[1] == "!" && len(label) > 40 {
			hidden(n, label, "the description of a picture")
		}
		if len(title) > 20 {
			hidden(n, title, "the title of a link")
		}
		if label == "" && m[1] == "" && strings.HasPrefix(target, "http") {
			report(Low, "a link without a text, which readers do not see")
		}
	}
}

// wellKnownEnd tells hosts from names of files: "README.md" is a host, too, to a pattern.
func wellKnownEnd(host string) bool {
	switch extension(host) {
	case "com", "org", "net", "io", "dev", "ai", "app", "edu", "gov", "de", "uk", "eu", "co", "cloud", "xyz", "site", "fun":
		return true
	}
	return false
}

// registered cuts a host to what somebody has registered: its last two names, or three below the endings that countries divide.
func registered(host string) string {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	keep := 2
	if n := len(parts); n >= 3 && len(parts[n-1]) == 2 && (len(parts[n-2]) <= 3) {
		keep = 3
	}
	return strings.Join(parts[max(0, len(parts)-keep):], ".")
}
