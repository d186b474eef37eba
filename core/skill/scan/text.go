package scan

import (
	"regexp"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// place is where a line stands.
type place uint8

const (
	inProse   place = iota // Markdown that an agent reads
	inCode                 // a program, a fenced block
	inComment              // of a program: nobody runs it
	inHidden               // an HTML comment of Markdown: only agents read it
)

// line is what is known of a line of a text.
type line struct {
	start int // in the text
	place place
	// wary says that the text around warns of what it quotes, as documentation of attacks and lists of patterns do.
	wary bool
}

// unit is a text that is scanned: a file, or what was decoded from a part of one.
type unit struct {
	path  string
	kind  Kind
	text  string
	lines []line
	// layer says how the text was decoded, "base64 in hexadecimal"; "" is not at all. at is then the line that it came from.
	layer string
	at    int
	depth int

	signals signals
}

// signals are lines of a unit that are harmless alone. 0 is none.
type signals struct {
	secrets int // reads what is secret without doubt
	dumps   int // takes the whole environment
	sends   int // sends something by HTTP
	drop    int // speaks with an address for collecting data, or with a bare IP address
}

// view is a text after a change that leaves the order of its lines.
type view struct {
	text   string
	starts []int // of the lines
}

// lineOf returns the index of the line of an offset.
func (v view) lineOf(at int) int {
	return sort.SearchInts(v.starts, at+1) - 1
}

// around returns the line of an offset with at most 400 bytes before and after.
func (v view) around(from, to int) string {
	const most = 400
	from, to = max(from, 0), min(to, len(v.text))
	start, end := max(from-most, 0), min(to+most, len(v.text))
	start += strings.LastIndexByte(v.text[start:from], '\n') + 1
	if i := strings.IndexByte(v.text[to:end], '\n'); i >= 0 {
		end = to + i
	}
	return v.text[start:end]
}

func newUnit(path string, kind Kind, text string) *unit {
	u := &unit{path: path, kind: kind, text: text}
	u.lines = append(u.lines, line{})
	for i := range len(text) {
		if text[i] == '\n' {
			u.lines = append(u.lines, line{start: i + 1})
		}
	}
	u.classify()
	return u
}

// row returns a line without its end.
func (u *unit) row(i int) string {
	end := len(u.text)
	if i+1 < len(u.lines) {
		end = u.lines[i+1].start - 1
	}
	return u.text[u.lines[i].start:end]
}

// whole returns the text without invisible characters and with continued lines put together, in its own case.
func (u *unit) whole() view {
	v := view{starts: make([]int, 0, len(u.lines))}
	var b strings.Builder
	b.Grow(len(u.text))
	for i := range u.lines {
		v.starts = append(v.starts, b.Len())
		row := u.row(i)
		joined := strings.HasSuffix(strings.TrimRight(row, "\r"), `\`)
		if joined {
			row = strings.TrimSuffix(strings.TrimRight(row, "\r"), `\`)
		}
		if isASCII(row) {
			b.WriteString(row)
		} else {
			for _, r := range row {
				if invisible(r) {
					continue
				}
				b.WriteRune(plain(r))
			}
		}
		if i+1 < len(u.lines) {
			if joined {
				b.WriteByte(' ')
			} else {
				b.WriteByte('\n')
			}
		}
	}
	v.text = b.String()
	return v
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// plain folds full-width forms, which shells do not run and models read all the same, and typographic quotes.
func plain(r rune) rune {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E:
		return r - 0xFEE0
	case r == '\u00A0' || r == '\u3000' || r >= '\u2000' && r <= '\u200A':
		return ' '
	case r == '\u2018' || r == '\u2019':
		return '\''
	case r == '\u201C' || r == '\u201D':
		return '"'
	}
	return r
}

// lower is v with ASCII letters in lower case.
func (v view) lower() view {
	b := []byte(v.text)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return view{string(b), v.starts}
}

// unquoted returns v as a shell or a concatenating program would see it: without quotes and backslashes inside of words, with ${IFS} as a
// space and "ba"+"sh" in one; and whether that made a difference.
func (v view) unquoted() (view, bool) {
	out := view{starts: make([]int, 0, len(v.starts))}
	var b strings.Builder
	changed := false
	s, next := v.text, 0
	word := func(i int) bool { return i >= 0 && i < len(s) && (isWord(s[i]) || s[i] == '/') }
	for i := 0; i < len(s); {
		for next < len(v.starts) && v.starts[next] <= i {
			out.starts = append(out.starts, b.Len())
			next++
		}
		skip := 0
		switch c := s[i]; {
		case c == '\\' && word(i+1) && i > 0 && (isWord(s[i-1])) && !strings.ContainsRune("nrtbx0u", rune(s[i+1])):
			skip = 1
		case (c == '"' || c == '\'') && i+1 < len(s) && s[i+1] == c && (word(i-1) && (i+2 < len(s) && word(i+2))):
			skip = 2 // an empty pair: ba''sh
		case (c == '"' || c == '\'') && word(i-1) && word(i+1) && oneQuoted(s, i):
			skip = 1
		case (c == '"' || c == '\'') && concatenation(s, i) > 0 && word(i-1):
			skip = concatenation(s, i)
		case c == '$' && strings.HasPrefix(s[i:], "${ifs}"), c == '$' && strings.HasPrefix(s[i:], "$ifs"):
			b.WriteByte(' ')
			if skip = 4; s[i+1] == '{' {
				skip = 6
			}
		case c == '$' && i+1 < len(s) && (s[i+1] == '@' || s[i+1] == '*') && word(i-1) && word(i+2):
			skip = 2
		}
		if skip > 0 {
			changed = true
			i += skip
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	for next < len(v.starts) {
		out.starts = append(out.starts, b.Len())
		next++
	}
	out.text = b.String()
	return out, changed
}

// oneQuoted reports whether the quote at i opens or closes a quoted piece of a word of at most four letters, as in b'a'sh.
func oneQuoted(s string, i int) bool {
	letters := func(step int) bool {
		for n, j := 0, i+step; n <= 4 && j >= 0 && j < len(s); n, j = n+1, j+step {
			if s[j] == s[i] {
				after := j + step
				return n > 0 && after >= 0 && after < len(s) && isWord(s[after])
			}
			if !isWord(s[j]) {
				return false
			}
		}
		return false
	}
	return letters(1) || letters(-1)
}

// concatenation returns how many bytes of "a" + "b" stand between the letters when a quote closes at i; 0 is no concatenation.
func concatenation(s string, i int) int {
	j := i + 1
	for j < len(s) && j < i+8 && s[j] == ' ' {
		j++
	}
	if j >= len(s) || s[j] != '+' {
		return 0
	}
	for j++; j < len(s) && j < i+16 && s[j] == ' '; {
		j++
	}
	if j+1 >= len(s) || s[j] != '"' && s[j] != '\'' || !isWord(s[j+1]) {
		return 0
	}
	return j + 1 - i
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

var (
	// warns is the language of those who describe attacks.
	warns = regexp.MustCompile(`\b(?:malicious|malware|attack(?:s|ers?)?|adversar\w*|exploit\w*|red flags?|anti-?patterns?|unsafe|dangerous|insecure|suspicious|` +
		`vulnerab\w*|threats?|injections?|detect(?:s|ed|ion|or|ing)?|flag(?:s|ged)|deny|denied|denylist|block(?:s|ed|list)|reject(?:s|ed)?|refuse[sd]?|` +
		`forbid(?:den|s)?|disallow(?:ed)?|sanitiz\w*|bad (?:example|practice)s?|avoid|` +
		`(?:never|do not|don't|must not|should not|shouldn't) (?:\w+ ){0,2}?(?:run|execute|use|paste|pipe|install|follow|trust|download|copy|disable|do|write|commit|put))\b|` +
		`\bbad:|❌|🚫`)
	// urges is the language of those who want something to be run: it takes from a warning its effect.
	urges = regexp.MustCompile(`\b(?:prerequisites?|pre-requisites?|required (?:step|before|first|setup)|before (?:you |using|use|first|running|continuing|proceeding)|` +
		`(?:run|execute|paste|copy|enter|use) (?:the following|this|these|it|below|and paste|into)|(?:in|into) (?:your|the|a) (?:terminal|console|shell|command prompt)|` +
		`must (?:first |also |be )?(?:run|install|execut|download)\w*|you (?:need|have) to (?:run|install|execute|download)|first,? (?:run|install|execute|download)|` +
		`one-?liner|quick ?(?:start|install)|install(?:ation)? (?:step|command|script|with)|to install|setup command|do(?:n't| not) skip|do not worry|don't worry|safe to)\b`)
	// lists names what programs call lists of bad things.
	lists = regexp.MustCompile(`(?i)(?:danger\w*|block(?:ed|list)\w*|deny\w*|denied\w*|forbid\w*|bad|malicious|suspicious|unsafe|patterns?|signatures?|rules|ioc\w*|detect\w*|threat\w*|payloads?|attack\w*|banned\w*|disallow\w*|risky)[a-z_]*["']?\s*(?::\s*[\w\[\], .]+)?(?::=|=|:)\s*(?:new set\()?[\[{(]`)
)

// classify says of each line where it stands.
func (u *unit) classify() {
	switch u.kind {
	case KindInstructions:
		u.classifyMarkdown()
	case KindData:
		for i := range u.lines {
			u.lines[i].place = inCode
		}
	default:
		u.classifyCode()
	}
}

// classifyCode tells comments from code, and lists of what is forbidden from what is done.
func (u *unit) classifyCode() {
	open := 0 // lines that a list of patterns goes on for
	docstring := ""
	for i := range u.lines {
		l := &u.lines[i]
		l.place = inCode
		row := strings.TrimSpace(u.row(i))
		if docstring != "" {
			l.place = inComment
			if strings.Contains(row, docstring) {
				docstring = ""
			}
			continue
		}
		switch {
		case row == "":
		case strings.HasPrefix(row, "#!"):
		case strings.HasPrefix(row, "#"), strings.HasPrefix(row, "//"), strings.HasPrefix(row, "* "), strings.HasPrefix(row, "/*"), strings.HasPrefix(row, "-- "):
			l.place = inComment
			continue
		case strings.HasPrefix(row, `"""`), strings.HasPrefix(row, `'''`):
			l.place = inComment
			if mark := row[:3]; !strings.Contains(row[3:], mark) {
				docstring = mark
			}
			continue
		}
		listed := len(row) < 400 && strings.ContainsAny(row, "[{(") && lists.MatchString(row)
		// A list of patterns is open until a line that only closes it, and for no more than 60 lines.
		if listed && !closes(row) {
			open = 60
		}
		if open > 0 {
			open--
			l.wary = !strings.Contains(row, "system(") && !strings.Contains(row, "exec") && !strings.Contains(row, "subprocess") && !strings.Contains(row, "eval(")
			if closes(row) {
				open = 0
			}
		} else if len(row) < 400 && (strings.Contains(row, "re.compile(") || strings.Contains(row, "regexp.MustCompile(") || listed) {
			l.wary = true
		}
	}
}

func closes(row string) bool {
	row = strings.TrimRight(row, ",;")
	return row == "]" || row == "}" || row == ")" || row == "])" || row == "})" || strings.HasPrefix(row, "]") && len(row) < 4
}

// classifyMarkdown tells prose from blocks of code and from comments, and finds out which of it is quoted as a warning.
func (u *unit) classifyMarkdown() {
	const (
		prose = iota
		fence
		comment
	)
	state, mark := prose, ""
	var heading, paragraph stance
	fenced := false // the paragraph stands before a fence
	for i := range u.lines {
		l := &u.lines[i]
		row := u.row(i)
		trimmed := strings.TrimSpace(row)
		switch state {
		case fence:
			l.place, l.wary = inCode, paragraph.wary(heading)
			if own := stanceOf(trimmed); strings.HasPrefix(trimmed, "#") && own.warns {
				paragraph.warns = true // "# bad:" inside of the block
			}
			if strings.HasPrefix(trimmed, mark) && strings.Trim(trimmed, mark[:1]) == "" {
				state, fenced = prose, true
			}
			continue
		case comment:
			l.place = inHidden
			if strings.Contains(row, "-->") {
				state = prose
			}
			continue
		}
		switch {
		case trimmed == "":
			continue // a blank line between a warning and what it warns of changes nothing
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			state, mark = fence, fenceMark(trimmed)
			l.place = inProse
			continue
		case strings.HasPrefix(trimmed, "<!--") && !strings.Contains(trimmed, "-->"):
			state, l.place = comment, inHidden
			continue
		case strings.HasPrefix(trimmed, "#"):
			heading, paragraph = stanceOf(trimmed), stance{}
			l.wary = heading.wary(stance{})
			continue
		}
		own := stanceOf(trimmed)
		if fenced || i > 0 && strings.TrimSpace(u.row(i-1)) == "" {
			paragraph, fenced = own, false
		} else {
			paragraph.warns, paragraph.urges = paragraph.warns || own.warns, paragraph.urges || own.urges
		}
		l.place, l.wary = inProse, paragraph.wary(heading)
		if strings.HasPrefix(row, "    ") || strings.HasPrefix(row, "\t") {
			l.place = inCode
			if strings.HasPrefix(trimmed, "-") || strings.HasPrefix(trimmed, "*") {
				l.place = inProse // a nested list
			}
		}
		if at := strings.Index(row, "<!--"); at >= 0 {
			if l.place = inHidden; !strings.Contains(row[at:], "-->") {
				state = comment
			}
		}
	}
}

func fenceMark(row string) string {
	n := 0
	for n < len(row) && row[n] == row[0] {
		n++
	}
	return row[:n]
}

// stance is how a text stands to what it speaks of.
type stance struct{ warns, urges bool }

func stanceOf(text string) stance {
	if len(text) > 2000 {
		text = text[:2000]
	}
	text = strings.ToLower(text)
	return stance{warns.MatchString(text), urges.MatchString(text)}
}

// wary reports whether a paragraph below a heading warns of what it says.
func (s stance) wary(heading stance) bool {
	return !s.urges && (s.warns || heading.warns && !heading.urges)
}

// shown cuts a line to 160 characters around a place, spells invisible characters out and masks secrets.
func shown(row string, at int) string {
	const most = 160
	row = maskSecrets(row, &at)
	runes := []rune(row)
	focus := utf8.RuneCountInString(row[:min(max(at, 0), len(row))])
	if len(runes) > most {
		from := min(max(focus-40, 0), len(runes)-most)
		runes = runes[from : from+most]
	}
	var b strings.Builder
	n := 0
	for _, r := range runes {
		text := string(r)
		switch {
		case r == '\t':
			text = " "
		case invisible(r) || !unicode.IsPrint(r):
			text = spelled(r)
		}
		if n += utf8.RuneCountInString(text); n > most {
			break
		}
		b.WriteString(text)
	}
	return strings.TrimSpace(b.String())
}
