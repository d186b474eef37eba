package extract

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"

	"github.com/bureau-agents/bureau/ports/extract"
)

// cutter gathers the blocks of a document into passages: whole blocks as far as they fit, never over a heading.
type cutter struct {
	target, most int // characters
	passages     []extract.Passage

	headings []heading
	page     int // where what comes now stands

	text   strings.Builder // of the passage that is being gathered
	length int             // its characters
	began  int             // its page
}

type heading struct {
	level int
	text  string
	used  bool // something stands under it
}

// gap stands between two blocks.
const gap = "\n\n"

// heading begins a section. One that nothing stood under becomes a passage, since its words would be lost otherwise.
func (c *cutter) heading(level int, text string) {
	c.flush()
	text = strings.Join(strings.Fields(text), " ")
	for len(c.headings) > 0 && c.headings[len(c.headings)-1].level >= level {
		c.leave()
	}
	if text != "" {
		c.headings = append(c.headings, heading{level: level, text: text})
	}
}

// leave ends the innermost section.
func (c *cutter) leave() {
	last := c.headings[len(c.headings)-1]
	c.headings = c.headings[:len(c.headings)-1]
	if !last.used {
		for _, piece := range c.pieces(last.text) {
			c.emit(piece, c.page)
		}
	}
}

// finish ends the document.
func (c *cutter) finish() {
	c.flush()
	for len(c.headings) > 0 {
		c.leave()
	}
}

// block adds a block: a paragraph, a list's item, a table.
func (c *cutter) block(text string) {
	text = strings.Trim(text, "\n")
	if strings.TrimSpace(text) == "" {
		return
	}
	if utf8.RuneCountInString(text) <= c.target {
		c.add(text, gap)
		return
	}
	c.flush()
	for _, piece := range c.pieces(text) {
		c.add(piece, gap)
	}
	c.flush()
}

// add appends text to the passage that is being gathered, or begins another one.
func (c *cutter) add(text, between string) {
	n := utf8.RuneCountInString(text)
	if c.length > 0 && c.length+len(between)+n > c.target {
		c.flush()
	}
	if c.length == 0 {
		c.began = c.page
	} else {
		c.text.WriteString(between)
		c.length += len(between)
	}
	c.text.WriteString(text)
	c.length += n
}

// flush ends the passage that is being gathered.
func (c *cutter) flush() {
	if c.length == 0 {
		return
	}
	c.emit(c.text.String(), c.began)
	c.text.Reset()
	c.length = 0
}

func (c *cutter) emit(text string, page int) {
	p := extract.Passage{Text: text, Page: page}
	for i := range c.headings {
		c.headings[i].used = true
		p.Headings = append(p.Headings, c.headings[i].text)
	}
	c.passages = append(c.passages, p)
}

// pieces cuts a text that is too long at the ends of sentences (Unicode UAX 29), at blanks where one is too long, and within words at last.
func (c *cutter) pieces(text string) []string {
	var out []string
	var piece strings.Builder
	length := 0
	end := func() {
		if s := strings.TrimSpace(piece.String()); s != "" {
			out = append(out, s)
		}
		piece.Reset()
		length = 0
	}
	put := func(s string, n int) {
		if length > 0 && length+n > c.target {
			end()
		}
		piece.WriteString(s)
		length += n
	}
	for sentence := range slices.Values(splitSentences(text)) {
		n := utf8.RuneCountInString(sentence)
		if n <= c.target {
			put(sentence, n)
			continue
		}
		for word := range strings.SplitAfterSeq(sentence, " ") {
			for utf8.RuneCountInString(word) > c.target {
				at := runeIndex(word, c.target)
				put(word[:at], c.target)
				word = word[at:]
			}
			put(word, utf8.RuneCountInString(word))
		}
	}
	end()
	return out
}

func splitSentences(text string) []string {
	var out []string
	for it := sentences.FromString(text); it.Next(); {
		out = append(out, it.Value())
	}
	return out
}

// runeIndex returns where the n-th character of s begins.
func runeIndex(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// table adds the lines of a table, with its head over each piece of it.
func (c *cutter) table(lines []string) {
	head := strings.Join(lines[:2], "\n")
	room := c.target - utf8.RuneCountInString(head) - 1
	whole := strings.Join(lines, "\n")
	if utf8.RuneCountInString(whole) <= c.target || room < c.target/2 {
		c.block(whole)
		return
	}
	c.flush()
	rows, length := []string{}, 0
	end := func() {
		if len(rows) > 0 {
			c.block(head + "\n" + strings.Join(rows, "\n"))
			c.flush()
		}
		rows, length = rows[:0], 0
	}
	for _, row := range lines[2:] {
		n := utf8.RuneCountInString(row) + 1
		if length+n > room {
			end()
		}
		rows, length = append(rows, row), length+n
	}
	end()
}

// plain adds a text whose paragraphs stand between empty lines.
func (c *cutter) plain(text string) {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", gap).Replace(text)
	for paragraph := range strings.SplitSeq(text, gap) {
		c.block(paragraph)
	}
}
