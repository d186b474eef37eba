package extract

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/bureau-agents/bureau/ports/extract"
)

// maxDepth is how deep quotes and lists may stand in each other: the parser's work grows with the square of it.
const maxDepth = 100

// blocks parses the blocks of a document (CommonMark). What stands in a line is left as it is written, and so are definitions of links.
var blocks = parser.NewParser(parser.WithBlockParsers(
	util.Prioritized(parser.NewSetextHeadingParser(), 100),
	util.Prioritized(parser.NewThematicBreakParser(), 200),
	util.Prioritized(parser.NewListParser(), 300),
	util.Prioritized(parser.NewListItemParser(), 400),
	util.Prioritized(parser.NewCodeBlockParser(), 500),
	util.Prioritized(parser.NewATXHeadingParser(), 600),
	util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
	util.Prioritized(parser.NewBlockquoteParser(), 800),
	util.Prioritized(parser.NewHTMLBlockParser(), 900),
	util.Prioritized(parser.NewParagraphParser(), 1000),
))

var nested = regexp.MustCompile(`(?m)^(?:[ \t]{0,8}(?:>|[-+*]|\d{1,9}[.)])[ \t]?){` + strconv.Itoa(maxDepth) + `}`)

// markdown adds a Markdown document.
func (c *cutter) markdown(source []byte) error {
	if nested.Match(source) {
		return extract.ErrTooLarge.Withf("the document has quotes or lists in more than %d levels", maxDepth)
	}
	root := blocks.Parse(text.NewReader(source))
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			c.heading(n.Level, lines(n, source))
		case *ast.List:
			number := n.Start
			for item := n.FirstChild(); item != nil; item = item.NextSibling() {
				c.block(listItem(n, item, &number, source))
			}
		case *ast.Paragraph:
			c.paragraph(lines(n, source))
		default:
			c.block(render(n, source))
		}
	}
	c.finish()
	return nil
}

var delimiters = regexp.MustCompile(`^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$`)

// paragraph adds a paragraph, which may be a table.
func (c *cutter) paragraph(s string) {
	rows := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(rows) > 2 && strings.Contains(rows[0], "|") && delimiters.MatchString(rows[1]) {
		c.table(rows)
		return
	}
	c.block(s)
}

// lines returns what a leaf of the tree is written as.
func lines(n ast.Node, source []byte) string {
	var b strings.Builder
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		b.Write(segment.Value(source))
	}
	return b.String()
}

// render writes a block with all in it.
func render(n ast.Node, source []byte) string {
	switch n := n.(type) {
	case *ast.Heading:
		return strings.Repeat("#", n.Level) + " " + lines(n, source)
	case *ast.ThematicBreak:
		return ""
	case *ast.FencedCodeBlock:
		info := ""
		if n.Info != nil {
			info = string(n.Info.Segment.Value(source))
		}
		return "```" + info + "\n" + strings.TrimRight(lines(n, source), "\n") + "\n```"
	case *ast.CodeBlock:
		return indent(lines(n, source), "    ")
	case *ast.HTMLBlock:
		s := lines(n, source)
		if n.HasClosure() {
			s += string(n.ClosureLine.Value(source))
		}
		return s
	case *ast.Blockquote:
		return indent(children(n, source), "> ")
	case *ast.List:
		var items []string
		number := n.Start
		for item := n.FirstChild(); item != nil; item = item.NextSibling() {
			items = append(items, listItem(n, item, &number, source))
		}
		return strings.Join(items, "\n")
	case *ast.Paragraph, *ast.TextBlock:
		return strings.TrimRight(lines(n, source), "\n")
	}
	return children(n, source)
}

func children(n ast.Node, source []byte) string {
	var parts []string
	for child := n.FirstChild(); child != nil; child = child.NextSibling() {
		if s := render(child, source); s != "" {
			parts = append(parts, strings.TrimRight(s, "\n"))
		}
	}
	return strings.Join(parts, gap)
}

func listItem(list *ast.List, item ast.Node, number *int, source []byte) string {
	marker := string(list.Marker) + " "
	if list.IsOrdered() {
		marker = strconv.Itoa(*number) + marker
		*number++
	}
	body := indent(children(item, source), strings.Repeat(" ", len(marker)))
	return marker + strings.TrimLeft(body, " ")
}

// indent puts prefix before each line.
func indent(s, prefix string) string {
	s = strings.TrimRight(s, "\n")
	if s == "" {
		return ""
	}
	return prefix + strings.ReplaceAll(s, "\n", "\n"+prefix)
}
