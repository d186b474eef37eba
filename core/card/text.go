package card

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How long texts may be before they are warned of, in characters. People see names in lists, and models read descriptions with every
// request.
const (
	longName        = 200
	longDescription = 5000
	longTag         = 100
)

// examineTexts looks at what people and models read.
func (c *checker) examineTexts() {
	c.examineText(c.root.get("name"), longName)
	c.examineText(c.root.get("description"), longDescription)
	c.examineText(c.root.get("version"), longTag)
	c.examineText(c.root.get("provider").get("organization"), longName)
	skills := c.root.get("skills").items
	for i := range skills {
		c.examineText(skills[i].get("id"), longName)
		c.examineText(skills[i].get("name"), longName)
		c.examineText(skills[i].get("description"), longDescription)
		tags := skills[i].get("tags").items
		for j := range tags {
			c.examineText(&tags[j], longTag)
		}
		examples := skills[i].get("examples").items
		for j := range examples {
			c.examineInvisible(&examples[j])
		}
	}
}

// examineText looks at one text, which is at most so many characters long.
func (c *checker) examineText(n *node, most int) {
	if n.kind != kindString {
		return
	}
	if strings.TrimSpace(n.str) == "" {
		c.warn(n, codeBlank, c.cite(rule{old: "AgentCard", v10: "5.7"}), "This is blank; write what it is")
		return
	}
	if len(n.str) > most && utf8.RuneCountInString(n.str) > most {
		c.warn(n, codeLong, "", "This is longer than %d characters; shorten it, and put the rest into the documentation", most)
	}
	c.examineInvisible(n)
	if sign := instruction(n.str); sign != "" {
		c.warn(n, codeInstruction, "", "%q reads like an instruction to the model that reads this card; describe the agent instead", short(sign))
	}
}

// examineInvisible warns of characters that make a text read otherwise than it looks.
func (c *checker) examineInvisible(n *node) {
	if n.class&classHidden == 0 {
		return
	}
	if r, ok := invisible(n.str); ok {
		c.warn(n, codeInvisible, "", "This holds the invisible character U+%04X, which hides from people what machines read; take it out", r)
	}
}

// invisible returns the first character of s that is not seen and changes what is read: controls, overrides of the direction of writing
// (Unicode TR 36, 2.6), zero-width spaces, and tag characters outside of flags. Joiners are left alone: Persian, Indic scripts and emoji
// need them. So are the two marks of direction, which Arabic and Hebrew texts need.
func invisible(s string) (rune, bool) {
	flag := false
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
		case r < ' ' || r >= 0x7f && r <= 0x9f,
			r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069,
			r == 0x200b, r == 0x2060, r >= 0x2061 && r <= 0x2064, r == 0xfeff, r == 0x180e:
			return r, true
		case r == 0x1f3f4: // the black flag begins those of England, Scotland and Wales
			flag = true
			continue
		case r >= 0xe0000 && r <= 0xe007f:
			if !flag {
				return r, true
			}
			continue
		}
		flag = false
	}
	return 0, false
}

// instructions are what nobody writes who describes an agent, and what is written to take over the model that chooses among agents. It is
// held to what begins with one of openings.
var instructions = regexp.MustCompile(`^(?i:(?:ignore|disregard|forget|override)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:the\s+|your\s+|my\s+)?` +
	`(?:previous|prior|above|earlier|preceding|other)\s+(?:instructions?|prompts?|rules|messages|agents|tools)\b` +
	`|(?:do\s+not|don't|never)\s+(?:tell|inform|mention\s+(?:this\s+)?to|reveal\s+(?:this\s+)?to)\s+the\s+user\b` +
	`|always\s+(?:choose|pick|prefer|select|use|call)\s+this\s+(?:agent|tool|skill)\b` +
	`|<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]|</?system>|<<SYS>>)`)

// openings are the words that instructions begin with. The one of "don't" ends at its apostrophe.
var openings = [...]string{"always", "disregard", "do", "don", "forget", "ignore", "never", "override"}

// openingFirst and openingSecond tell where an instruction can begin: at two bytes of which the one has a bit in openingFirst, and the other the
// same in openingSecond. There is one for each of openings, and one for brackets.
var openingFirst, openingSecond = func() (first, second [256]uint16) {
	for i, o := range openings {
		for _, upper := range []byte{0, 'a' - 'A'} {
			first[o[0]-upper] |= 1 << i
			second[o[1]-upper] |= 1 << i
		}
	}
	first['<'], first['['] = 1<<len(openings), 1<<len(openings)
	for b := range second {
		second[b] |= 1 << len(openings)
	}
	return first, second
}()

// longInstruction is how much of a text is looked at for one instruction, in bytes.
const longInstruction = 120

// instruction returns what of s reads like an instruction to a model, "" when nothing does. The expression is tried only where an
// instruction can begin, at one of openings or at a bracket: on all of a long text it is too slow.
func instruction(s string) string {
	for i := range len(s) - 1 {
		if openingFirst[s[i]]&openingSecond[s[i+1]] == 0 {
			continue
		}
		if isLetter(s[i]) && (i > 0 && isLetter(s[i-1]) || !opens(s[i:])) {
			continue
		}
		if found := instructions.FindString(s[i:min(len(s), i+longInstruction)]); found != "" {
			return found
		}
	}
	return ""
}

func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

// opens says whether s begins with one of openings, as a whole word.
func opens(s string) bool {
	for _, o := range openings {
		if len(s) > len(o) && !isLetter(s[len(o)]) && strings.EqualFold(s[:len(o)], o) {
			return true
		}
	}
	return false
}

// width is how long s is in letters of an alphabet; of a text that is longer than enough, only that it is. A character of Chinese, Japanese
// or Korean counts as three, since it says about as much.
func width(s string, enough int) int {
	total, space := 0, true
	for _, r := range s {
		if total > enough { // a space at the end would not count
			return total
		}
		if 'a' <= r && r <= 'z' { // most are
			total, space = total+1, false
			continue
		}
		if unicode.IsSpace(r) { // a run of it counts once, and not at the ends
			if !space {
				total++
			}
			space = true
			continue
		}
		space = false
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			total += 3
		} else {
			total++
		}
	}
	if space && total > 0 {
		total--
	}
	return total
}
