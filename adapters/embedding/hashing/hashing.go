// Package hashing is an embedder that needs no model: it hashes the words and letter sequences of a text into a vector.
//
// It finds texts that share words, or parts of words, with a question; it knows nothing of meaning, so synonyms are strangers
// to it. It is deterministic, runs offline and costs some tens of microseconds per sentence.
package hashing

import (
	"context"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/ports/embedding"
)

// Dimensions is the length of the vectors.
const Dimensions = 384

// Name identifies the vectors. A change of anything in this package that changes vectors changes the name, too, since stores
// never compare vectors of two names.
const Name = "hashing-384"

// The weights of the kinds of features. Words carry most of a sentence; pairs and triples of words tell its order, and so who did
// what to whom; letter sequences bring together forms of a word that the stemmer does not know, and misspellings.
const (
	wordWeight    = 1.0
	pairWeight    = 0.6
	tripleWeight  = 0.6
	gramWeight    = 0.9  // of all letter sequences of one word together
	stopWeight    = 0.08 // of what wordWeight gives, for words like "the"
	minGram       = 3
	maxGram       = 5
	maxGramsRunes = 32 // of a word; a longer one is no word
)

// Facts with one frame differ in their numbers ("refunds above 200 euros", "refunds above 500 euros"), however long the frame is.
// So each number has a share of the squared length of the vector, and all of them have at most maxNumberShare, which leaves the
// words enough to be found by.
const (
	numberShare    = 0.08
	maxNumberShare = 0.32
)

// fixed is one unit of the sums: integers, because they add up to the same in any order.
const fixed = 1 << 32

// Embedder implements embedding.Embedder. The zero value is ready. It is safe for concurrent use.
type Embedder struct{}

var _ embedding.Embedder = Embedder{}

// New returns an Embedder.
func New() Embedder { return Embedder{} }

// Info implements embedding.Embedder.
func (Embedder) Info() embedding.Info { return embedding.Info{Name: Name, Dimensions: Dimensions} }

// Embed implements embedding.Embedder. Its only error is the context's.
func (Embedder) Embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	out := make([]embedding.Vector, len(texts))
	for i, t := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[i] = embed(t)
	}
	return out, ctx.Err()
}

// feature is what is known of one kind of word, pair or letter sequence of a text.
type feature struct {
	weight float64
	count  int
	number bool
}

func embed(text string) embedding.Vector {
	features := map[string]feature{}
	number := false
	add := func(key string, weight float64) {
		f := features[key]
		f.weight = max(f.weight, weight)
		f.count++
		f.number = number
		features[key] = f
	}
	before, twoBefore, numbers := "", "", map[string]bool{}
	for _, w := range words(text) {
		weight := wordWeight
		number = isNumber(w)
		switch {
		case number:
			numbers[w] = true
		case stopWords[w]:
			weight = stopWeight
		default:
			w = stem(w)
		}
		add("w"+w, weight)
		if weight == stopWeight {
			continue
		}
		grams(w, weight, add)
		number = false
		if before != "" {
			add("p"+before+" "+w, pairWeight)
		}
		if twoBefore != "" {
			add("q"+twoBefore+" "+before+" "+w, tripleWeight)
		}
		twoBefore, before = before, w
	}
	var sum, numeric sums
	for key, f := range features {
		// Sublinear: a word that comes ten times says more than once, but not ten times as much.
		weight := f.weight * (1 + math.Log(float64(f.count)))
		if f.number {
			numeric.spread(key, weight)
			continue
		}
		sum.spread(key, weight)
	}
	sum.join(&numeric, min(maxNumberShare, numberShare*float64(len(numbers))))
	return sum.vector(text)
}

// grams adds the letter sequences of a word; together they weigh gramWeight of the word.
func grams(w string, weight float64, add func(string, float64)) {
	r := []rune("<" + w + ">")
	if len(r) > maxGramsRunes {
		r = r[:maxGramsRunes]
	}
	n := 0
	for size := minGram; size <= maxGram; size++ {
		n += max(0, len(r)-size+1)
	}
	if n == 0 {
		return
	}
	// Features of independent directions add up by squares, so that each of n gets the n-th part of the square.
	each := weight * gramWeight / math.Sqrt(float64(n))
	for size := minGram; size <= maxGram; size++ {
		for i := 0; i+size <= len(r); i++ {
			add("g"+string(r[i:i+size]), each)
		}
	}
}

// sums are the components of a vector before it is scaled, in units of 1/fixed.
type sums [Dimensions]int64

// spread adds a feature to two components with signs of their own. Two make it unlikely that features which collide in one
// component are taken for each other.
func (s *sums) spread(key string, weight float64) {
	h := hash(key)
	part := int64(math.Round(weight * math.Sqrt2 / 2 * fixed))
	for range 2 {
		v := part
		if h&1 != 0 {
			v = -v
		}
		s[(h>>1)%Dimensions] += v
		h = mix(h)
	}
}

func (s *sums) square() float64 {
	var sum float64
	for _, x := range s {
		sum += float64(x) * float64(x)
	}
	return sum
}

// join adds o, lengthened so that it has at least the given share of the square of the result.
func (s *sums) join(o *sums, share float64) {
	mine, others := s.square(), o.square()
	if others == 0 {
		return
	}
	scale := max(1, math.Sqrt(mine*share/((1-share)*others)))
	for i, x := range o {
		s[i] += int64(math.Round(float64(x) * scale))
	}
}

// vector returns s with norm 1. A text without features, or whose features cancel out, gets a direction of its own.
func (s *sums) vector(text string) embedding.Vector {
	if s.square() == 0 {
		s[hash("t"+text)%Dimensions] = fixed
	}
	out := make(embedding.Vector, Dimensions)
	scale := 1 / math.Sqrt(s.square())
	for i, x := range s {
		out[i] = float32(float64(x) * scale)
	}
	return out
}

// hash is FNV-1a with a last mixing, because the low bits of FNV-1a are weak for short keys.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of MurmurHash3.
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// words splits a text into lower-case words and numbers. Scripts that do not part words give one word per character, so that
// pairs and sequences of them are still found.
func words(text string) []string {
	text = cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(text, "\uFFFD")))
	var out []string
	start := -1
	flush := func(end int) {
		if start >= 0 {
			out = append(out, text[start:end])
			start = -1
		}
	}
	for i, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			flush(i)
			out = append(out, string(r))
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			if start < 0 {
				start = i
			}
		case r == '\'' || r == '\u2019': // don't, l'office
			flush(i)
		case (r == '.' || r == ',') && start >= 0 && digitAt(text, i-1) && digitAt(text, i+1): // 12.50
		default:
			flush(i)
		}
	}
	flush(len(text))
	return out
}

func digitAt(s string, i int) bool { return i >= 0 && i < len(s) && '0' <= s[i] && s[i] <= '9' }

// isNumber reports whether a word holds a digit: an amount, a date, a part number.
func isNumber(w string) bool {
	return strings.IndexFunc(w, unicode.IsDigit) >= 0
}

// stem cuts the commonest endings of English off, so that "opens" finds "opening". It is light on purpose: letter sequences do
// the rest, in every language.
func stem(w string) string {
	if len(w) < 4 || !isASCII(w) {
		return w
	}
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		return w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"):
		return w[:len(w)-2]
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
		w = w[:len(w)-1]
	}
	for _, end := range []string{"ing", "ed"} {
		base, found := strings.CutSuffix(w, end)
		if !found || len(base) < 3 || !strings.ContainsAny(base, "aeiouy") {
			continue
		}
		if n := len(base); base[n-1] == base[n-2] && !strings.ContainsRune("lsz", rune(base[n-1])) {
			base = base[:n-1]
		}
		w = base
		break
	}
	// "store", "stored" and "storing" meet without the e.
	if len(w) > 4 && strings.HasSuffix(w, "e") {
		w = w[:len(w)-1]
	}
	return w
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// stopWords say little about what a text is about: the commonest of English, and of questions in it.
var stopWords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`a about after again all also am an and any are as at be because been before being both but by can could
		did do does doing don down each few for from further had has have having he her here hers him his how i if in into is it its just
		ll me more most my no nor not of off on once only or other our out over own please re s same she should so some such t tell than that
		the their them then there these they this those through to too under until up us ve very was we were what when where which while who
		whom why will with would you your`) {
		m[w] = true
	}
	return m
}()
