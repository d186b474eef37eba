package extract

import (
	"strings"

	"github.com/ledongthuc/pdf"
)

// font is what the text of a font means, and how wide it is, in thousandths of its size.
type font struct {
	enc       pdf.TextEncoding
	simple    pdf.Font
	composite bool // letters have two bytes
	widths    map[int]float64
	usual     float64 // of composite fonts
}

// fontOf returns a font by the name that it has for the page, or the form, called owner.
func (w *writer) fontOf(page pdf.Page, owner, name string) *font {
	key := owner + " " + name
	if f, ok := w.fontsByOwner[key]; ok {
		return f
	}
	simple := page.Font(name)
	f := &font{enc: simple.Encoder(), simple: simple}
	if simple.V.Key("Subtype").Name() == "Type0" {
		f.composite = true
		below := simple.V.Key("DescendantFonts").Index(0)
		f.usual, f.widths = 1000, cidWidths(below.Key("W"))
		if usual := below.Key("DW"); !usual.IsNull() {
			f.usual = usual.Float64()
		}
	}
	w.fontsByOwner[key] = f
	return f
}

// maxCID is the last character id (ISO 32000-1, 9.7.4.2).
const maxCID = 65535

// cidWidths reads the widths of a composite font: "first [w w ...]" and "first last w" (ISO 32000-1, 9.7.4.3).
func cidWidths(list pdf.Value) map[int]float64 {
	out := map[int]float64{}
	for i := 0; i+1 < list.Len(); {
		first := int(list.Index(i).Int64())
		if next := list.Index(i + 1); next.Kind() == pdf.Array {
			for j := range min(next.Len(), maxCID+1) {
				out[first+j] = next.Index(j).Float64()
			}
			i += 2
			continue
		}
		last, width := int(list.Index(i+1).Int64()), list.Index(i+2).Float64()
		for cid := max(first, 0); cid <= min(last, maxCID); cid++ {
			out[cid] = width
		}
		i += 3
	}
	return out
}

func (f *font) decode(raw string) string {
	if f.enc == nil {
		return raw
	}
	return ligatures.Replace(f.enc.Decode(raw))
}

// ligatures are letters that only typesetting joins.
var ligatures = strings.NewReplacer("\ufb00", "ff", "\ufb01", "fi", "\ufb02", "fl", "\ufb03", "ffi", "\ufb04", "ffl")

// letters counts the letters of a text.
func (f *font) letters(raw string) int {
	if f.composite {
		return len(raw) / 2
	}
	return len(raw)
}

func (f *font) width(raw string) float64 {
	sum := 0.0
	if !f.composite {
		for i := range len(raw) {
			sum += f.simple.Width(int(raw[i]))
		}
		return sum
	}
	for i := 0; i+1 < len(raw); i += 2 {
		width, ok := f.widths[int(raw[i])<<8|int(raw[i+1])]
		if !ok {
			width = f.usual
		}
		sum += width
	}
	return sum
}
