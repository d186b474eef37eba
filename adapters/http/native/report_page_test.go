package native

import (
	"encoding/xml"
	"runtime"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/card"
)

// TestLayCard: a card on long lines is laid out anew, and findings are found in it by their pointers.
func TestLayCard(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", denseLine)
	text, lineOf := layCard(`{"a":{"b/c":[1,{"d":null}]},"":0,"long":"` + long + `","z":true}`)
	lines := strings.Split(text, "\n")
	for pointer, want := range map[string]string{
		"": "{", "/a": `"a": {`, "/a/b~1c": `"b/c": [`, "/a/b~1c/0": "1,", "/a/b~1c/1/d": `"d": null`, "/z": `"z": true`, "/": `"": 0,`,
		"/a/missing": `"a": {`, "/missing": "{", "/a/b~1c/7/x": `"b/c": [`,
	} {
		line := lineOf(card.Finding{Pointer: pointer, Line: 1})
		if got := strings.TrimSpace(lines[line-1]); got != want {
			t.Errorf("%s is on line %d: %s; want %s", pointer, line, got, want)
		}
	}
	const short = "{\n\"a\":1}"
	if text, lineOf := layCard(short); text != short || lineOf(card.Finding{Pointer: "/a", Line: 2}) != 2 {
		t.Errorf("a card on short lines is shown as %q", text)
	}
	if _, lineOf := layCard(""); lineOf(card.Finding{Line: 7}) != 0 {
		t.Error("a card that was not kept has lines")
	}
	if text, _ := layCard("no JSON " + long); text != "no JSON "+long {
		t.Error("what is no JSON is laid out anew")
	}
}

// TestLayCardMemory: a long key costs its length once, and not for each value behind it.
func TestLayCardMemory(t *testing.T) {
	const values = 10_000
	text := `{"` + strings.Repeat("k", values) + `":[` + strings.Repeat("1,", values) + `1]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	layCard(text)
	runtime.ReadMemStats(&after)
	if took, most := after.TotalAlloc-before.TotalAlloc, uint64(500*len(text)); took > most {
		t.Errorf("laying out %d bytes took %d", len(text), took)
	}
}

// TestLayCardDepth: what would become many times as long is shown as it was sent.
func TestLayCardDepth(t *testing.T) {
	t.Parallel()
	deep := func(values int) string {
		return strings.Repeat("[", 100) + strings.Repeat(`"\"[",`, values) + "1" + strings.Repeat("]", 100)
	}
	if text, _ := layCard(deep(1000)); !strings.Contains(text, "\n") {
		t.Error("a card that becomes a little longer is not laid out anew")
	}
	sent := deep(100_000)
	if text, lineOf := layCard(sent); text != sent || lineOf(card.Finding{Pointer: "/0/0", Line: 1}) != 1 {
		t.Errorf("a card of %d bytes is shown with %d", len(sent), len(text))
	}
}

func TestPageIsBounded(t *testing.T) {
	t.Parallel()
	lines, cut := pageLines(strings.Repeat("x\n", maxPageLines+1), map[int][]pageNote{2: {{Kind: "warning"}, {Kind: "error"}, {Kind: "warning"}}})
	if len(lines) != maxPageLines || !cut || lines[1].Kind != "error" || lines[0].Kind != "" {
		t.Errorf("%d lines, cut %t, marked %q", len(lines), cut, lines[1].Kind)
	}
	lines, cut = pageLines(strings.Repeat("é", maxPageLine+1), nil)
	if len(lines) != 1 || !cut || len(lines[0].Text) > 2*maxPageLine+4 {
		t.Errorf("a line of %d bytes, cut %t", len(lines[0].Text), cut)
	}
}

func TestBadgeIsXML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		valid bool
		score int
		want  string
	}{{true, 100, "valid 100"}, {true, 7, "valid 7"}, {false, 30, "invalid"}} {
		var svg struct {
			Title string `xml:"title"`
			Label string `xml:"aria-label,attr"`
		}
		if err := xml.Unmarshal([]byte(badgeSVG(c.valid, c.score)), &svg); err != nil {
			t.Fatal(err)
		}
		if want := "agent card: " + c.want; svg.Title != want || svg.Label != want {
			t.Errorf("%q, %q; want %q", svg.Title, svg.Label, want)
		}
	}
}
