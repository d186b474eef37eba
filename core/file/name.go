package file

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

// checked returns n with its name and media type in their stored form, or ErrInvalid.
func (n New) checked(sniffed string) (New, error) {
	var fields []fault.Field
	addf := func(path, format string, args ...any) {
		fields = append(fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	n.Name = cleanName(n.Name)
	if size := utf8.RuneCountInString(n.Name); size > MaxName {
		addf("filename", "has %d characters; at most %d are allowed", size, MaxName)
	}
	n.MediaType = strings.TrimSpace(n.MediaType)
	if n.MediaType != "" && (len(n.MediaType) > MaxMediaType || !mediaType.MatchString(n.MediaType)) {
		addf("media_type", "must be a media type such as text/plain")
	}
	if base, _, _ := strings.Cut(n.MediaType, ";"); base == "" || strings.EqualFold(strings.TrimSpace(base), unknownMedia) {
		n.MediaType = guessMedia(n.Name, sniffed)
	}
	if n.Name == "" {
		n.Name = "unnamed" + extensionOf(n.MediaType)
	}
	if n.TTL < 0 || n.TTL > MaxTTL {
		addf("expires_in_seconds", "must be 1 to %d", int64(MaxTTL.Seconds()))
	}
	if n.Output && n.Session.IsZero() {
		addf("session_id", "is required for an output")
	}
	if len(fields) > 0 {
		return New{}, ErrInvalid.Withf("%s: %s", fields[0].Path, fields[0].Message).WithFields(fields...)
	}
	return n, nil
}

// cleanName returns the last element of a path without what a name may not have.
func cleanName(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		// Format characters, such as those that turn the direction of writing, make one name look like another.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, name))
	if strings.Trim(name, ".") == "" {
		return ""
	}
	return name
}

// mediaType is the form of https://www.rfc-editor.org/rfc/rfc9110#name-media-type.
var mediaType = regexp.MustCompile("^[0-9A-Za-z!#$&^_.+-]+/[0-9A-Za-z!#$&^_.+-]+" +
	`([ \t]*;[ \t]*[0-9A-Za-z!#$%&'*+.^_|~-]+=([0-9A-Za-z!#$%&'*+.^_|~-]+|"[ !#-\[\]-~]*"))*$`)

// unknownMedia is the media type of bytes that nothing is known about.
const unknownMedia = "application/octet-stream"

// extensions are the media types that names tell. Where types have several, the first is what a nameless file gets.
var extensions = []struct{ ext, media string }{
	{".txt", "text/plain; charset=utf-8"}, {".log", "text/plain; charset=utf-8"}, {".md", "text/markdown; charset=utf-8"},
	{".csv", "text/csv; charset=utf-8"}, {".tsv", "text/tab-separated-values; charset=utf-8"}, {".html", "text/html; charset=utf-8"},
	{".htm", "text/html; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
	{".ts", "text/plain; charset=utf-8"}, {".py", "text/x-python; charset=utf-8"}, {".go", "text/x-go; charset=utf-8"},
	{".sh", "text/x-shellscript; charset=utf-8"}, {".sql", "text/x-sql; charset=utf-8"}, {".yaml", "application/yaml"},
	{".yml", "application/yaml"}, {".toml", "application/toml"}, {".json", "application/json"}, {".jsonl", "application/jsonl"},
	{".xml", "application/xml"}, {".pdf", "application/pdf"}, {".zip", "application/zip"}, {".gz", "application/gzip"},
	{".tar", "application/x-tar"}, {".png", "image/png"}, {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}, {".gif", "image/gif"},
	{".webp", "image/webp"}, {".svg", "image/svg+xml"}, {".mp3", "audio/mpeg"}, {".wav", "audio/wav"}, {".mp4", "video/mp4"},
	{".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{".parquet", "application/vnd.apache.parquet"}, {".wasm", "application/wasm"},
}

func guessMedia(name, sniffed string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		for _, e := range extensions {
			if strings.EqualFold(name[i:], e.ext) {
				return e.media
			}
		}
	}
	if sniffed == "" {
		return unknownMedia
	}
	return sniffed
}

func extensionOf(media string) string {
	base := func(media string) string {
		media, _, _ = strings.Cut(media, ";")
		return strings.ToLower(strings.TrimSpace(media))
	}
	for _, e := range extensions {
		if base(e.media) == base(media) {
			return e.ext
		}
	}
	return ""
}

// sniffSize is how many bytes sniff looks at.
const sniffSize = 512

// sniff returns the media type that the first bytes of a file tell, or "".
func sniff(head []byte) string {
	for _, m := range []struct{ prefix, media string }{
		{"\x89PNG\r\n\x1a\n", "image/png"}, {"\xff\xd8\xff", "image/jpeg"}, {"GIF87a", "image/gif"}, {"GIF89a", "image/gif"},
		{"%PDF-", "application/pdf"}, {"PK\x03\x04", "application/zip"}, {"\x1f\x8b\x08", "application/gzip"},
	} {
		if bytes.HasPrefix(head, []byte(m.prefix)) {
			return m.media
		}
	}
	if len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "WEBP" {
		return "image/webp"
	}
	text := head
	for i := 0; len(head) == sniffSize && i < utf8.UTFMax-1 && !utf8.Valid(text); i++ {
		text = text[:len(text)-1] // the last character may be cut
	}
	if !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) }) {
		return ""
	}
	return "text/plain; charset=utf-8"
}
