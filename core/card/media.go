package card

import (
	"mime"
	"strings"
)

// mediaTypes are what is written instead of media types in cards, and what is meant.
var mediaTypes = map[string]string{
	"text": "text/plain", "plain": "text/plain", "string": "text/plain", "txt": "text/plain", "chat": "text/plain", "message": "text/plain",
	"markdown": "text/markdown", "md": "text/markdown", "html": "text/html", "csv": "text/csv", "code": "text/plain", "url": "text/uri-list",
	"json": "application/json", "data": "application/json", "structured": "application/json", "form": "application/json",
	"pdf":  "application/pdf",
	"file": "application/octet-stream", "files": "application/octet-stream", "binary": "application/octet-stream", "xml": "application/xml",
	"image": "image/png", "audio": "audio/mpeg", "voice": "audio/mpeg", "video": "video/mp4",
}

// examineModes warns of modes that are no media types.
func (c *checker) examineModes(list *node) {
	if list.kind != kindArray {
		return
	}
	bad := func(n *node) {
		if c.exam.badModes++; c.exam.mode == nil {
			c.exam.mode = n
		}
	}
	if len(list.items) == 0 {
		c.exam.modes++
		bad(list)
	}
	for i := range list.items {
		n := &list.items[i]
		if n.kind != kindString {
			continue
		}
		c.exam.modes++
		if isMediaType(n.str) {
			continue
		}
		bad(n)
		c.exam.counted++
		source := c.cite(rule{old: "AgentCard.defaultInputModes (MIME types)", v10: "AgentCard.default_input_modes (media types)"})
		if meant := mediaTypes[strings.ToLower(strings.TrimSpace(n.str))]; meant != "" {
			c.warn(n, codeMediaType, source, "%q is no media type; write %q", short(n.str), meant)
		} else {
			c.warn(n, codeMediaType, source, "%q is no media type; write a type and a subtype, such as \"text/plain\"", short(n.str))
		}
	}
}

// isMediaType says whether s is a media type (RFC 6838, 4.2), with parameters or without; a range such as "image/*" is one.
func isMediaType(s string) bool {
	kind, subtype, ok := strings.Cut(s, "/")
	if !ok || kind == "" || subtype == "" {
		return false
	}
	if isToken(kind) && isToken(subtype) {
		return true
	}
	parsed, _, err := mime.ParseMediaType(s)
	if err != nil {
		return false
	}
	kind, subtype, _ = strings.Cut(parsed, "/")
	return isToken(kind) && isToken(subtype)
}

// isToken says whether s is a token (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if b := s[i]; !isLetter(b) && !isDigit(b) && strings.IndexByte("!#$%&'*+-.^_`|~", b) < 0 {
			return false
		}
	}
	return s != ""
}
