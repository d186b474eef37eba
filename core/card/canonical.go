package card

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// form is a SignatureForm: how a card becomes the bytes that are signed.
type form struct {
	name     SignatureForm
	card     *message // whose fields are known; nil: none is left out
	known    bool     // fields that card does not have are left out
	defaults bool     // fields are left out by their presence
	empties  bool     // what is empty is left out, or becomes so
	python   bool     // fields with their fallback are left out, and the text is that of Python's json.dumps
	without  string   // a field of the card that is left out
}

var (
	formSpecification = form{name: FormSpecification, card: card10, defaults: true}
	formVerbatim      = form{name: FormVerbatim}
	formSchema        = form{name: FormSchema, card: card10, known: true, defaults: true}
	formSDK           = form{name: FormSDK, card: card10, known: true, defaults: true, empties: true}
	formSDK03         = form{name: FormSDK03, card: card03, known: true, defaults: true, empties: true, python: true}
	// formTyped is FormSDK of a card whose security schemes the signer has lost. It is known only to tell why a signature is wrong.
	formTyped = form{card: card10, known: true, defaults: true, empties: true, without: "securitySchemes"}
)

// Canonical returns what Sign signs of a card: of 1.0, and of one of both forms, its FormSpecification, of earlier versions its FormVerbatim, written
// by RFC 8785. The version is the one that Validate would choose. The error says why a card cannot be signed: it is no JSON object, a key comes twice, a text is no Unicode,
// or a number is no IEEE 754 double.
func Canonical(text []byte) ([]byte, error) {
	c, err := readSignable(text)
	if err != nil {
		return nil, err
	}
	payload, _, err := c.payload(formsToSign(c)[0])
	return payload, err
}

// readSignable reads a card that is to be signed.
func readSignable(text []byte) (*checker, error) {
	c, ok := read(text, Options{})
	if !ok {
		failed, _ := c.findings()
		return nil, fmt.Errorf("card: %s", failed[0].Message)
	}
	if reason := c.ambiguous(); reason != "" {
		return nil, errors.New("card: " + reason)
	}
	c.chooseVersion()
	return c, nil
}

// ambiguous says why two readers may take the card's text for different cards; "" when they cannot. What follows from numbers alone is found when
// the card is written.
func (c *checker) ambiguous() string {
	for _, n := range c.errors.notes {
		if n.code == codeEncoding {
			return "its text is not UTF-8"
		}
	}
	for _, n := range c.warnings.notes { // those of the text come first, so none is beyond MaxFindings while all before it are of these
		switch n.code {
		case codeDuplicateKey:
			return "a key comes more than once in an object"
		case codeLoneSurrogate:
			return "a text holds half of a surrogate pair"
		}
	}
	return ""
}

// payload returns the card in a form, and what of its meaning that form leaves out.
func (c *checker) payload(f form) (payload []byte, lost []*node, err error) {
	w := canonizer{text: c.text, form: f, out: make([]byte, 0, len(c.text))}
	if !w.object(c.root, f.card, true) {
		w.out = append(w.out[:0], "{}"...)
	}
	return w.out, w.lost, w.err
}

// canonizer writes a card in a form.
type canonizer struct {
	form form
	text string
	out  []byte
	lost []*node // what was left out that the card says
	err  error
}

// value writes n, which is described by f. It answers false, and has then written anything, when the form leaves n out because it is empty.
func (w *canonizer) value(n *node, f field) bool {
	switch n.kind {
	case kindObject:
		if f.shape == dict {
			return w.dict(n, f.of)
		}
		return w.object(n, f.of, false)
	case kindArray:
		return w.array(n, f.of)
	case kindString:
		w.string(n.str)
		return !w.form.empties || n.str != ""
	case kindNumber:
		w.number(w.text[n.start:n.end])
	case kindBool:
		w.out = strconv.AppendBool(w.out, n.truth)
	default:
		w.out = append(w.out, "null"...)
		return !w.form.empties
	}
	return true
}

// object writes an object that m describes; nil: nothing is known of it.
func (w *canonizer) object(n *node, m *message, root bool) bool {
	w.out = append(w.out, '{')
	wrote := false
	for _, i := range w.sorted(n) {
		key, v := n.members[i].key, &n.members[i].value
		if root && (key == "signatures" || key == w.form.without && w.form.without != "") {
			continue
		}
		var f field
		if m != nil {
			of, known := m.field(n, key)
			if known && w.absent(v, of) {
				continue
			}
			if !known && w.form.known {
				w.lost = append(w.lost, v)
				continue
			}
			f = of
		}
		wrote = w.member(key, v, f, wrote) || wrote
	}
	w.out = append(w.out, '}')
	return wrote || !w.form.empties
}

// dict writes an object whose keys are of the card's own choice.
func (w *canonizer) dict(n *node, of *message) bool {
	w.out = append(w.out, '{')
	wrote := false
	for _, i := range w.sorted(n) {
		wrote = w.member(n.members[i].key, &n.members[i].value, field{presence: explicit, of: of}, wrote) || wrote
	}
	w.out = append(w.out, '}')
	return wrote || !w.form.empties
}

// member writes a member of an object, and says whether it has.
func (w *canonizer) member(key string, v *node, f field, comma bool) bool {
	out, lost := len(w.out), len(w.lost)
	if comma {
		w.out = append(w.out, ',')
	}
	w.string(key)
	w.out = append(w.out, ':')
	if w.value(v, f) {
		return true
	}
	w.out, w.lost = w.out[:out], w.lost[:lost]
	// A required field that is empty says no more than one that is missing.
	if f.presence != required || !v.empty() {
		w.lost = append(w.lost, v)
	}
	return false
}

// array writes a list.
func (w *canonizer) array(n *node, of *message) bool {
	w.out = append(w.out, '[')
	wrote := false
	for i := range n.items {
		out, lost := len(w.out), len(w.lost)
		if wrote {
			w.out = append(w.out, ',')
		}
		if w.value(&n.items[i], field{of: of}) {
			wrote = true
			continue
		}
		w.out, w.lost = w.out[:out], append(w.lost[:lost], &n.items[i])
	}
	w.out = append(w.out, ']')
	return wrote || !w.form.empties
}

// empty says whether n is null, or a text, list or object with nothing in it.
func (n *node) empty() bool {
	switch n.kind {
	case kindNull:
		return true
	case kindString:
		return n.str == ""
	case kindArray:
		return len(n.items) == 0
	case kindObject:
		return len(n.members) == 0
	default:
		return false
	}
}

// absent says whether the form takes a field that is written for one that is not.
func (w *canonizer) absent(v *node, f field) bool {
	switch {
	case !w.form.defaults:
		return false
	case v.kind == kindNull: // as JSON of protocol buffers has it
		return true
	case w.form.python && f.fallback != "" && v.kind == kindString && v.str == f.fallback:
		return true
	default:
		return f.presence == implicit && (v.empty() || v.kind == kindBool && !v.truth)
	}
}

// sorted returns the indexes of n's members in the order of their keys: by UTF-16 code units (RFC 8785, 3.2.3), in Python by code points.
func (w *canonizer) sorted(n *node) []int {
	order := make([]int, len(n.members))
	for i := range order {
		order[i] = i
	}
	compare := compareUTF16
	if w.form.python {
		compare = strings.Compare // the bytes of UTF-8 are in the order of code points
	}
	slices.SortFunc(order, func(a, b int) int { return compare(n.members[a].key, n.members[b].key) })
	return order
}

// compareUTF16 compares two texts by their UTF-16 code units.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			return int(unit(ra)) - int(unit(rb))
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

// unit returns what orders a rune among others: a code unit, and within the characters that begin with the same one, the rune.
func unit(r rune) int64 {
	if first, _ := utf16.EncodeRune(r); first != utf8.RuneError {
		return int64(first)<<32 | int64(r)
	}
	return int64(r) << 32
}

// string writes a text as RFC 8785, 3.2.2.2 does, or as Python's json.dumps.
func (w *canonizer) string(s string) {
	const short = "\b\t\n\f\r\"\\"
	const letters = `btnfr"\`
	w.out = append(w.out, '"')
	run := 0 // where what is not written yet begins
	for i := 0; i < len(s); {
		b := s[i]
		if classes[b]&classEnds == 0 && (b <= '~' || !w.form.python) {
			i++
			continue
		}
		w.out = append(w.out, s[run:i]...)
		r, size := utf8.DecodeRuneInString(s[i:])
		if at := strings.IndexRune(short, r); at >= 0 {
			w.out = append(w.out, '\\', letters[at])
		} else if r <= math.MaxUint16 {
			w.out = fmt.Appendf(w.out, `\u%04x`, r)
		} else {
			first, second := utf16.EncodeRune(r)
			w.out = fmt.Appendf(w.out, `\u%04x\u%04x`, first, second)
		}
		i += size
		run = i
	}
	w.out = append(append(w.out, s[run:]...), '"')
}

// number writes a number, which is an IEEE 754 double (RFC 8785, 3.2.2.3). One that cannot be is refused, and so is an integer that a double
// rounds: readers with wider integers would read another than was signed.
func (w *canonizer) number(literal string) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		w.fail("the number %s is too large for a double", literal)
		return
	}
	integer := !strings.ContainsAny(literal, ".eE")
	if integer && len(literal) > 15 && strconv.FormatFloat(f, 'f', 0, 64) != literal {
		w.fail("the integer %s is rounded by readers that take numbers for doubles: write it as a text", literal)
		return
	}
	switch {
	case w.form.python && integer:
		if literal == "-0" {
			literal = "0"
		}
		w.out = append(w.out, literal...)
	case w.form.python:
		w.out = appendPython(w.out, f)
	default:
		number, _ := jcs.NumberToJSON(f) // fails of infinities and NaN only, which no literal is
		w.out = append(w.out, number...)
	}
}

func (w *canonizer) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("card: "+format, args...)
	}
}

// appendPython writes a float as Python's repr does: the shortest digits that are read back as it, with a point or an exponent.
func appendPython(to []byte, f float64) []byte {
	if magnitude := math.Abs(f); magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16) {
		return strconv.AppendFloat(to, f, 'e', -1, 64)
	}
	from := len(to)
	to = strconv.AppendFloat(to, f, 'f', -1, 64)
	if !slices.Contains(to[from:], '.') {
		to = append(to, ".0"...)
	}
	return to
}
