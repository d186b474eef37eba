package extract

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/bureau-agents/bureau/ports/extract"
)

// extensions are the formats by the ends of file names.
var extensions = map[string]string{
	".md": extract.Markdown, ".markdown": extract.Markdown, ".mdx": extract.Markdown,
	".html": extract.HTML, ".htm": extract.HTML, ".xhtml": extract.HTML,
	".pdf": extract.PDF,
	".txt": extract.Text, ".text": extract.Text, ".log": extract.Text, ".csv": extract.Text, ".tsv": extract.Text, ".rst": extract.Text,
	".json": extract.Text, ".yaml": extract.Text, ".yml": extract.Text, ".xml": extract.Text,
}

// formatOf says what a document is: as its media type says, its name, or its content.
func formatOf(d extract.Document) (string, error) {
	if bytes.HasPrefix(d.Data, []byte("%PDF-")) {
		return extract.PDF, nil
	}
	media, _, err := mime.ParseMediaType(d.MediaType)
	if d.MediaType != "" && err != nil {
		return "", extract.ErrFormat.Withf("%q is no media type", d.MediaType)
	}
	switch media {
	case extract.PDF:
		return "", extract.ErrUnreadable.Withf("the document says that it is a PDF, and does not begin like one")
	case extract.HTML, "application/xhtml+xml":
		return extract.HTML, nil
	case extract.Markdown, "text/x-markdown":
		return extract.Markdown, nil
	case "", "application/octet-stream", extract.Text:
		if format, ok := extensions[strings.ToLower(path.Ext(d.Name))]; ok && format != extract.PDF {
			return format, nil
		}
	case "application/json", "application/xml", "application/yaml", "application/x-yaml":
		return extract.Text, nil
	}
	if strings.HasPrefix(media, "text/") {
		return extract.Text, nil
	}
	found, _, _ := mime.ParseMediaType(http.DetectContentType(d.Data)) // always one
	switch {
	case media != "" && media != "application/octet-stream":
		return "", extract.ErrFormat.Withf("%s cannot be read; Markdown, HTML, plain text and PDF can", media)
	case found == extract.HTML:
		return extract.HTML, nil
	case strings.HasPrefix(found, "text/"):
		return extract.Text, nil
	}
	return "", extract.ErrFormat.Withf("the document is %s; Markdown, HTML, plain text and PDF can be read", found)
}
