package extract

import (
	"bytes"
	"math"
	"regexp"
	"strings"

	"github.com/ledongthuc/pdf"

	"github.com/bureau-agents/bureau/ports/extract"
)

// maxForms is how deep drawings may use other drawings.
const maxForms = 8

// readPDF adds the text of a PDF, page by page, in the order in which it is drawn.
func readPDF(data []byte, most int, c *cutter) error {
	r, err := pdf.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "encrypt") {
			return extract.ErrUnreadable.Withf("the document is locked by a password")
		}
		return extract.ErrUnreadable.Withf("the document is no PDF that can be read: %v", err)
	}
	size := 0
	for i := 1; i <= r.NumPage(); i++ {
		page := r.Page(i)
		w := &writer{ctm: identity, line: identity, fontsByOwner: map[string]*font{}}
		if !page.V.IsNull() {
			w.draw(page, page.V.Key("Contents"), "", 0)
		}
		text := joined(w.text.String())
		if size += len(text); size > most {
			return extract.ErrTooLarge.Withf("the document has more than %d bytes of text", most)
		}
		c.page = i
		c.plain(text)
		c.flush() // what a page says is cited by its number
	}
	c.finish()
	return nil
}

// writer gathers the text that a page draws. Where the letters stand tells what belongs to a word, a line and a paragraph.
type writer struct {
	text strings.Builder
	last byte // written last

	font    *font
	size    float64 // of the font, unscaled
	spacing float64 // between letters
	words   float64 // between words
	lead    float64
	ctm     matrix
	saved   []matrix
	line    matrix  // where the line begins
	along   float64 // how far it has been written, in the line's own measure

	began        bool
	penX, penY   float64 // on the page, where the last letter ended
	fontsByOwner map[string]*font
}

// draw follows a content stream: a page's, or that of a form which it uses.
func (w *writer) draw(page pdf.Page, content pdf.Value, owner string, depth int) {
	if content.Kind() == pdf.Null {
		return
	}
	pdf.Interpret(content, func(stk *pdf.Stack, op string) {
		args := make([]pdf.Value, stk.Len())
		for i := len(args) - 1; i >= 0; i-- {
			args[i] = stk.Pop()
		}
		w.operate(page, op, operands(args), owner, depth)
	})
}

// operands are what an operator is given; those that are missing count as 0.
type operands []pdf.Value

func (o operands) number(i int) float64 {
	if i < len(o) {
		return o[i].Float64()
	}
	return 0
}

func (o operands) matrix() matrix {
	return matrix{o.number(0), o.number(1), o.number(2), o.number(3), o.number(4), o.number(5)}
}

// operate follows one operator (ISO 32000-1, tables 51, 57, 105 to 109), as far as it has to do with text.
func (w *writer) operate(page pdf.Page, op string, args operands, owner string, depth int) {
	switch op {
	case "q":
		w.saved = append(w.saved, w.ctm)
	case "Q":
		if n := len(w.saved) - 1; n >= 0 {
			w.ctm, w.saved = w.saved[n], w.saved[:n]
		}
	case "cm":
		w.ctm = args.matrix().times(w.ctm)
	case "BT":
		w.line, w.along = identity, 0
	case "Tf":
		if len(args) == 2 {
			w.font, w.size = w.fontOf(page, owner, args[0].Name()), args.number(1)
		}
	case "Tc":
		w.spacing = args.number(0)
	case "Tw":
		w.words = args.number(0)
	case "TL":
		w.lead = args.number(0)
	case "T*":
		w.move(0, -w.lead)
	case "TD":
		w.lead = -args.number(1)
		w.move(args.number(0), args.number(1))
	case "Td":
		w.move(args.number(0), args.number(1))
	case "Tm":
		w.line, w.along = args.matrix(), 0
	case "Tj", "'", "\"":
		if op != "Tj" {
			w.move(0, -w.lead)
		}
		if len(args) > 0 {
			w.show(args[len(args)-1].RawString())
		}
	case "TJ":
		if len(args) == 1 {
			w.showSpaced(args[0])
		}
	case "Do":
		if len(args) == 1 && depth < maxForms {
			w.drawForm(page, args[0].Name(), owner, depth)
		}
	}
}

func (w *writer) drawForm(page pdf.Page, name, owner string, depth int) {
	form := page.Resources().Key("XObject").Key(name)
	if form.Key("Subtype").Name() != "Form" {
		return
	}
	of, key := pdf.Page{V: form}, owner+"/"+name
	if form.Key("Resources").IsNull() {
		of, key = page, owner
	}
	was, saved := w.ctm, w.saved
	if m := form.Key("Matrix"); m.Len() == 6 {
		args := make(operands, 6)
		for i := range args {
			args[i] = m.Index(i)
		}
		w.ctm = args.matrix().times(w.ctm)
	}
	w.saved = nil
	w.draw(of, form, key, depth+1)
	w.ctm, w.saved = was, saved
}

// move goes to another line, or to another place of this one.
func (w *writer) move(dx, dy float64) {
	w.line, w.along = matrix{1, 0, 0, 1, dx, dy}.times(w.line), 0
}

func (w *writer) showSpaced(list pdf.Value) {
	for i := range list.Len() {
		switch v := list.Index(i); v.Kind() {
		case pdf.String:
			w.show(v.RawString())
		case pdf.Integer, pdf.Real:
			w.along -= v.Float64() / 1000 * w.size
		}
	}
}

func (w *writer) show(raw string) {
	text, width := raw, 0.0
	if w.font != nil {
		text = w.font.decode(raw)
		width = w.font.width(raw)/1000*w.size + float64(w.font.letters(raw))*w.spacing + float64(strings.Count(raw, " "))*w.words
	}
	at := w.line.times(w.ctm)
	x, y := at.point(w.along, 0)
	w.along += width
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	if text == "" {
		return
	}
	w.separate(x, y, math.Abs(w.size)*math.Hypot(at[2], at[3]))
	w.text.WriteString(text)
	w.last = text[len(text)-1]
	w.penX, w.penY = at.point(w.along, 0)
}

// separate writes what the way from the last letter to the next one means, in units of the font's height.
func (w *writer) separate(x, y, height float64) {
	height = max(height, 0.1)
	switch down, right := math.Abs(y-w.penY)/height, (x-w.penX)/height; {
	case !w.began:
		w.began = true
	case down > 1.9:
		w.put(gap)
	case down > 0.4:
		w.put("\n")
	case right > 0.12, right < -1:
		w.put(" ")
	}
}

// put writes white space unless some stands there.
func (w *writer) put(space string) {
	if w.last == '\n' && space != gap || w.last == ' ' && space == " " {
		return
	}
	w.text.WriteString(space)
	w.last = space[0]
}

// matrix is a transformation of the plane, as PDF writes it.
type matrix [6]float64

var identity = matrix{1, 0, 0, 1, 0, 0}

// times returns the transformation that does m first and o after it.
func (m matrix) times(o matrix) matrix {
	return matrix{
		m[0]*o[0] + m[1]*o[2], m[0]*o[1] + m[1]*o[3], m[2]*o[0] + m[3]*o[2], m[2]*o[1] + m[3]*o[3],
		m[4]*o[0] + m[5]*o[2] + o[4], m[4]*o[1] + m[5]*o[3] + o[5],
	}
}

func (m matrix) point(x, y float64) (float64, float64) {
	return x*m[0] + y*m[2] + m[4], x*m[1] + y*m[3] + m[5]
}

var (
	blanks   = regexp.MustCompile(`[ \t\x{00a0}]+`)
	atBreaks = regexp.MustCompile(` *\n *`)
	hyphens  = regexp.MustCompile(`(\pL)[-\x{00ad}\x{2010}]\n(\p{Ll})`)
	empties  = regexp.MustCompile(`\n{3,}`)
)

// joined tidies what a page gave: blanks, and words that were divided at the end of a line.
func joined(s string) string {
	s = blanks.ReplaceAllString(s, " ")
	s = atBreaks.ReplaceAllString(s, "\n")
	s = hyphens.ReplaceAllString(s, "$1$2")
	return strings.TrimSpace(empties.ReplaceAllString(s, gap))
}
