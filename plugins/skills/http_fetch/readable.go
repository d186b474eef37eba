package main

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// skipped are the elements whose content nobody reads.
var skipped = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Svg: true, atom.Math: true, atom.Iframe: true,
	atom.Object: true, atom.Head: true, atom.Select: true,
}

// breaking are the elements that begin and end a line.
var breaking = map[atom.Atom]bool{
	atom.Address: true, atom.Article: true, atom.Aside: true, atom.Blockquote: true, atom.Br: true, atom.Dd: true, atom.Div: true,
	atom.Dl: true, atom.Dt: true, atom.Figcaption: true, atom.Figure: true, atom.Footer: true, atom.Form: true, atom.H1: true,
	atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true, atom.Header: true, atom.Hr: true, atom.Li: true,
	atom.Main: true, atom.Nav: true, atom.Ol: true, atom.P: true, atom.Pre: true, atom.Section: true, atom.Table: true, atom.Tr: true,
	atom.Ul: true,
}

// readable returns the title and the text of an HTML page: a line per block, cells of a table apart, "- " before list items, and
// the addresses of absolute links behind their text.
func readable(page []byte) (title, text string) {
	doc, err := html.ParseWithOptions(bytes.NewReader(page), html.ParseOptionEnableScripting(true))
	if err != nil { // nested deeper than the parser goes
		return "", ""
	}
	w := &writer{}
	w.node(doc, false)
	return strings.Join(strings.Fields(w.title), " "), strings.TrimSpace(w.out.String())
}

type writer struct {
	out   strings.Builder
	title string
	lines int  // line breaks at the end of out
	space bool // white space is due before the next word
}

func (w *writer) node(n *html.Node, pre bool) {
	switch n.Type {
	case html.TextNode:
		w.text(n.Data, pre)
		return
	case html.ElementNode:
		if n.DataAtom == atom.Head {
			w.findTitle(n)
		}
		if skipped[n.DataAtom] {
			return
		}
	}
	block := n.Type == html.ElementNode && breaking[n.DataAtom]
	if block {
		w.line(paragraph(n.DataAtom))
	}
	switch n.DataAtom {
	case atom.Li:
		w.word("- ")
	case atom.Td, atom.Th:
		w.space = w.lines == 0
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		w.node(c, pre || n.DataAtom == atom.Pre)
	}
	switch n.DataAtom {
	case atom.A:
		if href := attribute(n, "href"); strings.HasPrefix(href, "https://") || strings.HasPrefix(href, "http://") {
			w.word(" (" + href + ")")
		}
	case atom.Img:
		if alt := strings.TrimSpace(attribute(n, "alt")); alt != "" {
			w.text(" "+alt+" ", false)
		}
	case atom.Td, atom.Th:
		w.word(" |")
		w.space = true
	}
	if block {
		w.line(paragraph(n.DataAtom))
	}
}

// paragraph returns how many line breaks stand around a block.
func paragraph(a atom.Atom) int {
	switch a {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Pre, atom.Table, atom.Blockquote:
		return 2
	}
	return 1
}

// findTitle reads the first title below n.
func (w *writer) findTitle(n *html.Node) {
	for d := range n.Descendants() {
		if d.DataAtom == atom.Title && d.FirstChild != nil && w.title == "" {
			w.title = d.FirstChild.Data
		}
	}
}

func (w *writer) text(s string, pre bool) {
	if pre {
		if s != "" {
			w.out.WriteString(s)
			w.lines, w.space = 0, false
		}
		return
	}
	if s != "" && strings.TrimLeft(s, " \t\r\n\f") != s {
		w.space = true
	}
	for i, f := range strings.Fields(s) {
		if i > 0 {
			w.space = true
		}
		w.word(f)
	}
	if s != "" && strings.TrimRight(s, " \t\r\n\f") != s {
		w.space = true
	}
}

func (w *writer) word(s string) {
	if w.space && w.lines == 0 && w.out.Len() > 0 {
		w.out.WriteByte(' ')
	}
	w.out.WriteString(s)
	w.lines, w.space = 0, false
}

// line makes sure that at least n line breaks end what was written.
func (w *writer) line(n int) {
	w.space = false
	if w.out.Len() == 0 {
		return
	}
	for w.lines < n {
		w.out.WriteByte('\n')
		w.lines++
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
