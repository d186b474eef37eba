package knowledge

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Numbers stands for the numbers of a text in their order. Two texts with equal Numbers have the same ones, but for a chance of one in
// 2^63. 0 is that of an entry which was stored before numbers were looked at: it equals every other.
type Numbers int64

// Same reports whether two texts have the same numbers, as far as that is known.
func (n Numbers) Same(o Numbers) bool { return n == o || n == 0 || o == 0 }

// NumbersOf returns the Numbers of a text. A number is a run of decimal digits of any script, with points and commas between them;
// commas before three digits part thousands and do not count: "1,000" is "1000", and "v2.10" has "2.10".
func NumbersOf(text string) Numbers {
	var all strings.Builder
	r := []rune(norm.NFKC.String(text))
	for i := 0; i < len(r); i++ {
		if !unicode.IsDigit(r[i]) {
			continue
		}
		for ; i < len(r); i++ {
			switch {
			case unicode.IsDigit(r[i]):
				all.WriteRune(r[i])
				continue
			case (r[i] == '.' || r[i] == ',') && digitsFrom(r, i+1) > 0:
				if r[i] == '.' || digitsFrom(r, i+1) != 3 {
					all.WriteRune(r[i])
				}
				continue
			}
			break
		}
		all.WriteByte(' ')
	}
	sum := sha256.Sum256([]byte(all.String()))
	return Numbers(binary.BigEndian.Uint64(sum[:])>>1 | 1)
}

// digitsFrom counts the digits that follow one another from place i on.
func digitsFrom(r []rune, i int) int {
	n := 0
	for i+n < len(r) && unicode.IsDigit(r[i+n]) {
		n++
	}
	return n
}
