// Package htmlpage reads HTML as Markdown, whoever wrote it.
package htmlpage

import (
	"bytes"
	"io"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// Decode returns a text in UTF-8. contentType, which may be "", says what charset it has, unless the text does.
func Decode(contentType string, body []byte) string {
	r, err := charset.NewReader(bytes.NewReader(body), contentType)
	if err == nil {
		if text, err := io.ReadAll(r); err == nil {
			return string(text)
		}
	}
	return strings.ToValidUTF8(string(body), "\uFFFD")
}

// Markdown returns the title and the text of a page; relative links are completed by origin, such as "https://example.com", unless it
// is "".
func Markdown(page, origin string) (title, text string, err error) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return "", "", err
	}
	title = titleOf(doc) // before the converter takes the page apart
	escapes := converter.WithEscapeMode(converter.EscapeModeSmart)
	if unclosed(doc) {
		escapes = converter.WithEscapeMode(converter.EscapeModeDisabled)
	}
	conv := converter.NewConverter(
		converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()),
		escapes,
	)
	var options []converter.ConvertOptionFunc
	if origin != "" {
		options = append(options, converter.WithDomain(origin))
	}
	markdown, err := conv.ConvertNode(doc, options...)
	if err != nil {
		return "", "", err
	}
	return title, strings.TrimSpace(string(markdown)), nil
}

// maxBrackets is how many characters the converter may look at behind the opening brackets of a page, to find what closes them. It
// looks for each anew, so that a page of nothing else takes hours.
const maxBrackets = 50_000_000

// unclosed reports whether a page has too many brackets for the converter to tell which of them would mean something in Markdown.
func unclosed(doc *html.Node) bool {
	open, sum := 0, 0
	var visit func(n *html.Node)
	visit = func(n *html.Node) {
		if n.Type == html.TextNode {
			for i := range len(n.Data) {
				switch n.Data[i] {
				case '[':
					open++
				case ']':
					open = 0
				}
				if sum += open; sum > maxBrackets {
					return
				}
			}
		}
		for c := n.FirstChild; c != nil && sum <= maxBrackets; c = c.NextSibling {
			visit(c)
		}
	}
	visit(doc)
	return sum > maxBrackets
}

// titleOf returns the text of the first title element.
func titleOf(n *html.Node) string {
	if n.Type == html.ElementNode && n.DataAtom == atom.Title && n.FirstChild != nil {
		return strings.Join(strings.Fields(n.FirstChild.Data), " ")
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if t := titleOf(c); t != "" {
			return t
		}
	}
	return ""
}
