package knowledge

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxWord is how many characters of a word are looked at.
const MaxWord = 64

// words splits a text into words: runs of letters, digits and marks, compatibility composed (NFKC) and case-folded. Scripts that do not
// part words give one word per character.
func words(text string) []string {
	text = cases.Fold().String(norm.NFKC.String(text))
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, string(word[:min(len(word), MaxWord)]))
			word = word[:0]
		}
	}
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			flush()
			out = append(out, string(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			word = append(word, r)
		default:
			flush()
		}
	}
	flush()
	return out
}

// WordsOf returns the different words of a text, in order, by which lexical search finds it.
func WordsOf(text string) []string {
	out := words(text)
	slices.Sort(out)
	return slices.Compact(out)
}

// Term is what a question asks for by one word: that word, or another form of it.
type Term []string

// maxTerms is how many different words of a question are looked for: the first ones.
const maxTerms = 24

// termsOf returns what a question looks for. Words that every text has are left out, unless there are no others.
func termsOf(query string) []Term {
	var out, idle []Term
	seen := map[string]bool{}
	for _, w := range words(query) {
		if seen[w] {
			continue
		}
		seen[w] = true
		if stopWords[w] {
			idle = append(idle, Term{w})
		} else {
			out = append(out, formsOf(w))
		}
	}
	if len(out) == 0 {
		out = idle
	}
	return out[:min(len(out), maxTerms)]
}

// formsOf returns a word with its commonest other form in English: the plural, or what it is the plural of.
func formsOf(w string) Term {
	if len(w) < 3 || strings.IndexFunc(w, func(r rune) bool { return r < 'a' || r > 'z' }) >= 0 {
		return Term{w}
	}
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return Term{w, w[:len(w)-3] + "y"}
	case strings.HasSuffix(w, "ss"), strings.HasSuffix(w, "us"), strings.HasSuffix(w, "is"):
		return Term{w, w + "es"}
	case strings.HasSuffix(w, "s") && len(w) > 3:
		return Term{w, w[:len(w)-1]}
	case strings.HasSuffix(w, "y"):
		return Term{w, w + "s", w[:len(w)-1] + "ies"}
	}
	return Term{w, w + "s"}
}

// stopWords are the commonest words of English, and of questions in it.
var stopWords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`a about all also am an and any are as at be been but by can could d did do does for from had has have he
		her him his how i if in into is it its just ll me my no not of on or our s she should so some such t than that the their them then
		there these they this those to up us ve was we were what when where which who whom why will with would you your`) {
		m[w] = true
	}
	return m
}()
