package a2a

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of messages.
const (
	MaxMessageID  = 255 // characters
	MaxContext    = 255 // characters of a contextId
	MaxParts      = 200
	MaxReferences = 20
)

// Message is what a peer says to an agent.
type Message struct {
	Agent      id.Agent
	ID         string  // the messageId, 1 to MaxMessageID characters
	Context    string  // the contextId; "": a new context, or that of Task
	Task       id.Turn // the task that it goes on with; zero: it begins one
	Parts      []Part  // 1 to MaxParts
	References []id.Turn
	Extensions []string
	Metadata   json.RawMessage // of the message, a JSON object; nil: none
	// TaskMetadata is kept with the task that the message begins, a JSON object; nil: none.
	TaskMetadata json.RawMessage
	// Then runs in the transaction in which the message begins a task, or is taken by one; nil: nothing does. It may run again, and does not
	// for a message that was sent before.
	Then func(ctx context.Context, t Task) error
}

func (m Message) check() error {
	var f check.Faults
	f.Given("message.messageId", m.ID, MaxMessageID)
	f.Text("message.contextId", m.Context, MaxContext)
	if strings.ContainsFunc(m.ID, unicode.IsControl) {
		f.Addf("message.messageId", "must not have control characters")
	}
	if strings.ContainsFunc(m.Context, unicode.IsControl) {
		f.Addf("message.contextId", "must not have control characters")
	}
	switch {
	case len(m.Parts) == 0:
		f.Addf("message.parts", "must have at least one part")
	case len(m.Parts) > MaxParts:
		f.Addf("message.parts", "must have at most %d parts", MaxParts)
	}
	if len(m.References) > MaxReferences {
		f.Addf("message.referenceTaskIds", "must have at most %d ids", MaxReferences)
	}
	return f.Err(ErrInvalid)
}

// digest tells messages apart that came under one id.
func (m Message) digest() string {
	h := sha256.New()
	write := func(texts ...string) {
		for _, s := range texts {
			fmt.Fprintf(h, "%d:%s", len(s), s)
		}
	}
	write(m.Context, m.Task.String())
	for _, p := range m.Parts {
		text := ""
		if p.Text != nil {
			text = "t" + *p.Text
		}
		write(text, string(compact(p.Data)), string(p.Raw), p.URL, p.Filename, p.MediaType)
	}
	for _, r := range m.References {
		write(r.String())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// body is how a message is kept: without the bytes of files, which the session's log has.
type body struct {
	Parts      []partBody      `json:"parts"`
	Metadata   json.RawMessage `json:"metadata,omitempty"`
	Extensions []string        `json:"extensions,omitempty"`
	References []string        `json:"references,omitempty"`
}

type partBody struct {
	Text      *string         `json:"text,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	URL       string          `json:"url,omitempty"`
	Filename  string          `json:"filename,omitempty"`
	MediaType string          `json:"media_type,omitempty"`
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Size      int64           `json:"size,omitempty"`
}

func (m Message) stored() (json.RawMessage, error) {
	b := body{Metadata: m.Metadata, Extensions: m.Extensions}
	for _, p := range m.Parts {
		b.Parts = append(b.Parts, partBody{p.Text, p.Data, p.URL, p.Filename, p.MediaType, p.Metadata, int64(len(p.Raw))})
	}
	for _, r := range m.References {
		b.References = append(b.References, r.String())
	}
	return json.Marshal(b)
}

// said reads a message as stored wrote it.
func (m Stored) said() (Said, error) {
	var b body
	if err := json.Unmarshal(m.Body, &b); err != nil {
		return Said{}, fmt.Errorf("a2a: message %q of task %s: %w", m.Name, m.Task, err)
	}
	out := Said{ID: m.Name, At: m.CreatedAt, Metadata: b.Metadata, Extensions: b.Extensions, References: b.References}
	for _, p := range b.Parts {
		out.Parts = append(out.Parts, Part{
			Text: p.Text, Data: p.Data, URL: p.URL, Filename: p.Filename, MediaType: p.MediaType, Metadata: p.Metadata, Size: p.Size,
		})
	}
	return out, nil
}

// content makes the content of a session's message of parts.
func content(parts []Part) ([]session.Block, error) {
	out := make([]session.Block, len(parts))
	for i, p := range parts {
		b, err := p.block(fmt.Sprintf("message.parts[%d]", i))
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

func (p Part) block(path string) (session.Block, error) {
	switch {
	case p.Text != nil:
		if *p.Text == "" {
			return session.Block{}, invalid(path+".text", "must not be empty")
		}
		return session.Block{Type: session.BlockText, Text: *p.Text}, nil
	case p.Data != nil:
		return session.Block{Type: session.BlockText, Text: string(compact(p.Data))}, nil
	case p.URL != "":
		return p.link(path)
	case len(p.Raw) > 0:
		return p.file(path)
	}
	return session.Block{}, invalid(path, "must have a text, data, a file's bytes or a URL")
}

const typePDF = "application/pdf"

// file makes a block of a file's bytes.
func (p Part) file(path string) (session.Block, error) {
	typ := mediaType(p.MediaType)
	if typ == "" || typ == "application/octet-stream" {
		switch {
		case bytes.HasPrefix(p.Raw, []byte("%PDF-")):
			typ = typePDF
		case utf8.Valid(p.Raw):
			typ = "text/plain"
		}
	}
	coded := func(block string) session.Block {
		return session.Block{Type: block, Title: p.Filename, Source: &session.Source{
			Type: session.SourceBase64, MediaType: typ, Data: base64.StdEncoding.EncodeToString(p.Raw),
		}}
	}
	switch {
	case slices.Contains(session.ImageTypes(), typ):
		b := coded(session.BlockImage)
		b.Title = ""
		return b, nil
	case typ == typePDF:
		return coded(session.BlockDocument), nil
	case isText(typ) && utf8.Valid(p.Raw) && !bytes.ContainsRune(p.Raw, 0):
		return session.Block{Type: session.BlockDocument, Title: p.Filename, Source: &session.Source{
			Type: session.SourceText, MediaType: "text/plain", Data: string(p.Raw),
		}}, nil
	}
	return session.Block{}, unreadable(path, typ)
}

// link makes a block of a file that is elsewhere. What models can fetch by themselves is given to them; of everything else the agent learns
// the address.
func (p Part) link(path string) (session.Block, error) {
	if !strings.HasPrefix(p.URL, "https://") && !strings.HasPrefix(p.URL, "http://") {
		return session.Block{}, invalid(path+".url", "must be an http or https address")
	}
	source := &session.Source{Type: session.SourceURL, URL: p.URL}
	switch typ := mediaType(p.MediaType); {
	case slices.Contains(session.ImageTypes(), typ):
		return session.Block{Type: session.BlockImage, Source: source}, nil
	case typ == typePDF:
		return session.Block{Type: session.BlockDocument, Title: p.Filename, Source: source}, nil
	case typ == "" || isText(typ):
		text := "[file] " + p.URL
		if p.Filename != "" {
			text = "[file " + p.Filename + "] " + p.URL
		}
		return session.Block{Type: session.BlockText, Text: text}, nil
	default:
		return session.Block{}, unreadable(path, typ)
	}
}

func unreadable(path, typ string) error {
	if typ == "" {
		typ = "of this file"
	}
	return ErrContentType.Withf("%s: agents do not read the media type %s; they read text, JSON, PDF and the images %s",
		path, typ, strings.Join(session.ImageTypes(), ", "))
}

// mediaType returns a media type without its parameters, in lower case; "" for none and for what is none.
func mediaType(s string) string {
	typ, _, err := mime.ParseMediaType(s)
	if err != nil {
		return ""
	}
	return typ
}

func isText(typ string) bool {
	switch typ {
	case "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript", "application/sql", "application/csv":
		return true
	}
	return strings.HasPrefix(typ, "text/") || strings.HasSuffix(typ, "+json") || strings.HasSuffix(typ, "+xml")
}

// compact returns a JSON text without blanks between its parts.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

func invalid(path, format string, args ...any) error {
	var f check.Faults
	f.Addf(path, format, args...)
	return f.Err(ErrInvalid)
}

// Accepts reports whether a caller who accepts these media types, none of which are all, takes what agents write: text.
func Accepts(modes []string) bool {
	return len(modes) == 0 || slices.ContainsFunc(modes, func(mode string) bool {
		mode = strings.ToLower(strings.TrimSpace(mode))
		return mode == "*" || mode == "*/*" || mode == "text" || strings.HasPrefix(mode, "text/")
	})
}
