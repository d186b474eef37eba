package session

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// MaxContentBlocks bounds one message.
const MaxContentBlocks = 1000

// Block is one part of a message or a result, in the API's shape.
type Block struct {
	Type    string  `json:"type"` // BlockText, BlockImage or BlockDocument
	Text    string  `json:"text,omitzero"`
	Source  *Source `json:"source,omitempty"` // BlockImage and BlockDocument
	Title   string  `json:"title,omitempty"`  // BlockDocument
	Context string  `json:"context,omitempty"`
}

// The types of blocks.
const (
	BlockText     = "text"
	BlockImage    = "image"
	BlockDocument = "document"
)

// Source is where the bytes of an image or a document are.
type Source struct {
	Type      string `json:"type"` // SourceBase64, SourceURL or SourceText
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

// The types of sources.
const (
	SourceBase64 = "base64"
	SourceURL    = "url"
	SourceText   = "text" // documents only
)

// ImageTypes returns the media types of images that models see.
func ImageTypes() []string { return []string{"image/png", "image/jpeg", "image/gif", "image/webp"} }

// Text makes the content of a plain text.
func Text(s string) []Block { return []Block{{Type: BlockText, Text: s}} }

// ParseContent reads a string or an array of blocks; path says where it stands in the caller's input. Empty content, unknown
// types and sources that cannot be read are a fault.Invalid.
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
	if err := CheckContent(blocks, path); err != nil {
		return nil, err
	}
	return blocks, nil
}

// CheckContent returns a fault.Invalid for content that a message cannot have.
func CheckContent(blocks []Block, path string) error {
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
	case BlockImage, BlockDocument:
	case "":
		return fault.Invalidf(path+".type", "is required")
	default:
		return fault.Invalidf(path+".type", "must be one of text, image, document")
	}
	switch s := b.Source; {
	case s == nil:
		return fault.Invalidf(path+".source", "is required")
	case s.Type == SourceBase64:
		if s.MediaType == "" {
			return fault.Invalidf(path+".source.media_type", "is required")
		}
		if _, err := base64.StdEncoding.DecodeString(s.Data); err != nil || s.Data == "" {
			return fault.Invalidf(path+".source.data", "must be base64")
		}
	case s.Type == SourceURL:
		if !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
			return fault.Invalidf(path+".source.url", "must be an http or https address")
		}
	case s.Type == SourceText && b.Type == BlockDocument:
		if s.Data == "" {
			return fault.Invalidf(path+".source.data", "must not be empty")
		}
	default:
		return fault.Invalidf(path+".source.type", "is not a source that this server can read")
	}
	return nil
}

// LLM returns the block as models take it.
func (b Block) LLM() llm.Block {
	switch {
	case b.Type == BlockText || b.Source == nil:
		return llm.Block{Text: b.Text}
	case b.Source.Type == SourceText:
		return llm.Block{Media: &llm.Media{MediaType: "text/plain", Data: []byte(b.Source.Data), Title: b.Title}}
	case b.Source.Type == SourceURL:
		return llm.Block{Media: &llm.Media{MediaType: b.mediaType(), URL: b.Source.URL, Title: b.Title}}
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

// PlainText joins the texts of blocks; other blocks are named in brackets.
func PlainText(blocks []Block) string {
	var parts []string
	for _, b := range blocks {
		if b.Type == BlockText {
			parts = append(parts, b.Text)
		} else {
			parts = append(parts, "["+b.Type+"]")
		}
	}
	return strings.Join(parts, "\n")
}
