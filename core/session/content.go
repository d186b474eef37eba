package session

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// MaxContentBlocks bounds one message.
const MaxContentBlocks = 1000

// Block is one part of a message or a result, in the API's shape.
type Block struct {
	Type    string        `json:"type"` // BlockText, BlockImage, BlockDocument, BlockSearchResult or BlockRedacted
	Text    string        `json:"text,omitzero"`
	Source  *Source       `json:"source,omitempty"` // BlockImage and BlockDocument
	Title   string        `json:"title,omitempty"`  // BlockDocument
	Context string        `json:"context,omitempty"`
	Search  *SearchResult `json:"-"` // BlockSearchResult
}

// The types of blocks.
const (
	BlockText         = "text"
	BlockImage        = "image"
	BlockDocument     = "document"
	BlockSearchResult = "search_result" // in results only
	BlockRedacted     = "redacted"      // something that nobody is shown
)

// SearchResult is what a tool found somewhere.
type SearchResult struct {
	Source    string       `json:"source"` // where: an address
	Title     string       `json:"title"`
	Content   []SearchText `json:"content"`
	Citations Citations    `json:"citations"`
}

// SearchText is a part of what was found.
type SearchText struct {
	Type string `json:"type"` // BlockText
	Text string `json:"text"`
}

// Citations says whether a model may cite a search result.
type Citations struct {
	Enabled bool `json:"enabled"`
}

type (
	plainBlock  Block
	searchBlock struct {
		Type string `json:"type"`
		SearchResult
	}
)

// MarshalJSON implements json.Marshaler.
func (b Block) MarshalJSON() ([]byte, error) {
	if b.Type == BlockSearchResult && b.Search != nil {
		return json.Marshal(searchBlock{b.Type, *b.Search})
	}
	return json.Marshal(plainBlock(b))
}

// UnmarshalJSON implements json.Unmarshaler: source is an object, or a text in search results.
func (b *Block) UnmarshalJSON(raw []byte) error {
	var of struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &of); err != nil {
		return err
	}
	if of.Type != BlockSearchResult {
		return json.Unmarshal(raw, (*plainBlock)(b))
	}
	var s searchBlock
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if s.Content == nil {
		s.Content = []SearchText{}
	}
	*b = Block{Type: s.Type, Search: &s.SearchResult}
	return nil
}

// Source is where the bytes of an image or a document are.
type Source struct {
	Type      string `json:"type"` // SourceBase64, SourceURL, SourceText or SourceFile
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
	File      string `json:"file_id,omitempty"` // a file of the tenant; it is read when a model is asked
}

// The types of sources.
const (
	SourceBase64 = "base64"
	SourceURL    = "url"
	SourceText   = "text" // documents only
	SourceFile   = "file"
)

// ImageTypes returns the media types of images that models see.
func ImageTypes() []string { return []string{"image/png", "image/jpeg", "image/gif", "image/webp"} }

// Text makes the content of a plain text.
func Text(s string) []Block { return []Block{{Type: BlockText, Text: s}} }

// ParseContent reads a string or an array of blocks; path says where it stands in the caller's input. Empty content, unknown
// types and sources that cannot be read are a fault.Invalid. Which blocks belong into a message is for CheckContent to say.
func ParseContent(raw json.RawMessage, path string) ([]Block, error) {
	trimmed := strings.TrimSpace(string(raw))
	if trimmed == "" || trimmed == "null" {
		return nil, fault.Invalidf(path, "is required")
	}
	if trimmed[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, fault.Invalidf(path, "is not a JSON string")
		}
		if strings.TrimSpace(s) == "" {
			return nil, fault.Invalidf(path, "must not be empty")
		}
		return Text(s), nil
	}
	var blocks []Block
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return nil, fault.Invalidf(path, "must be a string or an array of content blocks")
	}
	if err := checkBlocks(blocks, path); err != nil {
		return nil, err
	}
	return blocks, nil
}

// CheckContent returns a fault.Invalid for content that a message cannot have.
func CheckContent(blocks []Block, path string) error {
	for i, b := range blocks {
		if b.Type == BlockSearchResult {
			return fault.Invalidf(fmt.Sprintf("%s[%d].type", path, i), "must be one of text, image, document, redacted")
		}
	}
	return checkBlocks(blocks, path)
}

// checkBlocks returns a fault.Invalid for content that neither a message nor a result can have.
func checkBlocks(blocks []Block, path string) error {
	if len(blocks) == 0 {
		return fault.Invalidf(path, "must not be empty")
	}
	if len(blocks) > MaxContentBlocks {
		return fault.Invalidf(path, "must have at most %d blocks", MaxContentBlocks)
	}
	for i, b := range blocks {
		if err := b.check(fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func (b Block) check(path string) error {
	switch b.Type {
	case BlockText:
		if b.Text == "" {
			return fault.Invalidf(path+".text", "must not be empty")
		}
		return nil
	case BlockRedacted:
		return nil
	case BlockSearchResult:
		return b.checkSearch(path)
	case BlockImage, BlockDocument:
	case "":
		return fault.Invalidf(path+".type", "is required")
	default:
		return fault.Invalidf(path+".type", "must be one of text, image, document, search_result, redacted")
	}
	switch s := b.Source; {
	case s == nil:
		return fault.Invalidf(path+".source", "is required")
	case s.Type == SourceBase64:
		switch {
		case s.MediaType == "":
			return fault.Invalidf(path+".source.media_type", "is required")
		case b.Type == BlockImage && !slices.Contains(ImageTypes(), s.MediaType):
			return fault.Invalidf(path+".source.media_type", "must be one of %s", strings.Join(ImageTypes(), ", "))
		}
		if _, err := base64.StdEncoding.DecodeString(s.Data); err != nil || s.Data == "" {
			return fault.Invalidf(path+".source.data", "must be base64")
		}
	case s.Type == SourceURL:
		if !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
			return fault.Invalidf(path+".source.url", "must be an http or https address")
		}
	case s.Type == SourceFile:
		if _, err := id.Parse[id.FileKind](s.File); err != nil {
			return err
		}
	case s.Type == SourceText && b.Type == BlockDocument:
		if s.MediaType != "" && s.MediaType != "text/plain" {
			return fault.Invalidf(path+".source.media_type", "must be text/plain")
		}
		if s.Data == "" {
			return fault.Invalidf(path+".source.data", "must not be empty")
		}
	default:
		return fault.Invalidf(path+".source.type", "is not a source that this server can read")
	}
	return nil
}

func (b Block) checkSearch(path string) error {
	s := b.Search
	switch {
	case s == nil || s.Source == "":
		return fault.Invalidf(path+".source", "is required")
	case len(s.Content) == 0:
		return fault.Invalidf(path+".content", "must not be empty")
	}
	for i, c := range s.Content {
		switch at := fmt.Sprintf("%s.content[%d]", path, i); {
		case c.Type != BlockText:
			return fault.Invalidf(at+".type", "must be text")
		case c.Text == "":
			return fault.Invalidf(at+".text", "must not be empty")
		}
	}
	return nil
}

// FilesIn returns the files that blocks refer to.
func FilesIn(blocks []Block) []id.File {
	var out []id.File
	for _, b := range blocks {
		if b.Source == nil || b.Source.Type != SourceFile {
			continue
		}
		if f, err := id.Parse[id.FileKind](b.Source.File); err == nil {
			out = append(out, f)
		}
	}
	return out
}

// fileScheme marks, in llm.Media.URL, a file that is read before a model is asked.
const fileScheme = "bureau-file:"

// FileOf returns the file that m stands for, as Block.LLM made it; false when it is no file.
func FileOf(m llm.Media) (id.File, bool) {
	text, ok := strings.CutPrefix(m.URL, fileScheme)
	if !ok {
		return id.File{}, false
	}
	f, err := id.Parse[id.FileKind](text)
	return f, err == nil
}

// LLM returns the block as models take it. What a file holds is for the caller to put in its place: see FileOf.
func (b Block) LLM() llm.Block {
	switch {
	case b.Type == BlockSearchResult || b.Type == BlockRedacted:
		return llm.Block{Text: b.plain()}
	case b.Type == BlockText || b.Source == nil:
		return llm.Block{Text: b.Text}
	case b.Source.Type == SourceText:
		return llm.Block{Media: &llm.Media{MediaType: "text/plain", Data: []byte(b.Source.Data), Title: b.Title}}
	case b.Source.Type == SourceURL:
		return llm.Block{Media: &llm.Media{MediaType: b.mediaType(), URL: b.Source.URL, Title: b.Title}}
	case b.Source.Type == SourceFile:
		return llm.Block{Media: &llm.Media{MediaType: b.mediaType(), URL: fileScheme + b.Source.File, Title: b.Title}}
	}
	data, err := base64.StdEncoding.DecodeString(b.Source.Data)
	if err != nil { // checked when it was accepted
		return llm.Block{Text: "[unreadable " + b.Type + "]"}
	}
	return llm.Block{Media: &llm.Media{MediaType: b.mediaType(), Data: data, Title: b.Title}}
}

func (b Block) mediaType() string {
	switch {
	case b.Source.MediaType != "":
		return b.Source.MediaType
	case b.Type == BlockImage:
		return "image/*"
	}
	return "application/pdf"
}

// PlainText joins the texts of blocks; images and documents are named in brackets.
func PlainText(blocks []Block) string {
	parts := make([]string, len(blocks))
	for i, b := range blocks {
		parts[i] = b.plain()
	}
	return strings.Join(parts, "\n")
}

// plain returns the block as text.
func (b Block) plain() string {
	switch {
	case b.Type == BlockText:
		return b.Text
	case b.Type == BlockSearchResult && b.Search != nil:
		var sb strings.Builder
		fmt.Fprintf(&sb, "[search result] %s\n%s", b.Search.Title, b.Search.Source)
		for _, c := range b.Search.Content {
			sb.WriteString("\n" + c.Text)
		}
		return sb.String()
	}
	return "[" + b.Type + "]"
}

// IsMedia reports whether the block is an image or a document, which no text can stand for.
func (b Block) IsMedia() bool { return b.Type == BlockImage || b.Type == BlockDocument }
