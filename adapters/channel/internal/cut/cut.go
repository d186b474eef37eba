// Package cut takes long texts apart into messages that a service takes.
package cut

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fence begins and ends a block of code in Markdown.
const fence = "```"

// Text returns the text in parts that have no more than most units, as size counts those of a rune. It cuts between paragraphs where that leaves no part
// less than half full, else between lines, sentences or words, and in the middle of a word only when there is nothing else. Never inside of a
// rune, nor between one and the marks that belong to it where that can be helped. A block of code that is cut is closed and opened again.
// White space at a cut goes; a blank text has no parts. most must have room for a few lines.
func Text(text string, most int, size func(rune) int) []string {
	var parts []string
	open := "" // the line that opened the block of code which the last part ended in
	for {
		text = strings.TrimRightFunc(text, unicode.IsSpace)
		if open == "" {
			text = strings.TrimLeft(text, "\n")
			if strings.TrimSpace(text) == "" {
				return parts
			}
		}
		head := ""
		if open != "" {
			head = open + "\n"
		}
		room := most - length(head, size)
		if length(text, size) <= room {
			return append(parts, head+text)
		}
		// What follows a cut inside of a block is closed by another line.
		n := place(text, room-length("\n"+fence, size), size)
		part := text[:n]
		open = opened(head + part)
		if open != "" {
			part = strings.TrimRight(part, "\n") + "\n" + fence
		}
		parts = append(parts, strings.TrimRightFunc(head+part, unicode.IsSpace))
		text = text[n:]
		if open == "" {
			text = strings.TrimLeftFunc(text, unicode.IsSpace)
		} else {
			text = strings.TrimPrefix(text, "\n")
			if rest, closes := strings.CutPrefix(text, fence); closes { // nothing is left of the block
				text, open = rest, ""
			}
		}
	}
}

func length(s string, size func(rune) int) int {
	n := 0
	for _, r := range s {
		n += size(r)
	}
	return n
}

// place returns where to cut text so that what is before has at most room units, and at least one rune.
func place(text string, room int, size func(rune) int) int {
	end, units := 0, 0
	for i, r := range text {
		if units += size(r); units > room && i > 0 {
			end = i
			break
		}
		end = i + utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, w := utf8.DecodeRuneInString(text[i:])
			end = i + w
		}
	}
	least := end / 2
	for _, sep := range []string{"\n\n", "\n", ". ", " "} {
		if i := strings.LastIndex(text[:end], sep); i >= least && i > 0 {
			return i + len(sep)
		}
	}
	// Not before a mark or a joiner, nor after a joiner.
	for cut := end; cut > least && cut > 0; {
		next, _ := utf8.DecodeRuneInString(text[cut:])
		last, w := utf8.DecodeLastRuneInString(text[:cut])
		if !joins(next) && last != '\u200d' {
			return cut
		}
		cut -= w
	}
	return end
}

func joins(r rune) bool {
	return r == '\u200d' || unicode.In(r, unicode.M) || r >= 0x1F3FB && r <= 0x1F3FF
}

// opened returns the line that opens the block of code which text ends in, "" when it ends in none.
func opened(text string) string {
	open := ""
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		switch {
		case !strings.HasPrefix(l, fence):
		case open != "":
			open = ""
		default:
			if open = l; len(open) > 40 { // no language has such a name
				open = fence
			}
		}
	}
	return open
}

// UTF16 counts as Telegram does.
func UTF16(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}
