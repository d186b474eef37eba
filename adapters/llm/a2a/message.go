package a2a

import (
	"fmt"
	"slices"
	"strings"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/ports/llm"
)

// maxSent is how many bytes the files of a message may have in all. As JSON they are a third longer, and servers bound what they read.
const maxSent = 20 << 20

// piece is a part of a message before it is known what the agent takes.
type piece struct {
	part *vendor.Part
	file bool
	old  bool // it came with an earlier message, which had no answer
}

func textPiece(text string) piece { return piece{part: vendor.NewTextPart(text)} }

// piecesOf is what is said newest in a request.
func piecesOf(req llm.Request) ([]piece, error) {
	if len(req.Messages) == 0 {
		return nil, llm.ErrRefusedRequest.Withf("there is no message")
	}
	blocks := req.Messages[len(req.Messages)-1].Blocks
	before := 0 // how many blocks are of earlier messages
	if req.Newest > 0 {
		before = len(blocks) - req.Newest
	}
	var out []piece
	for i, b := range blocks {
		switch {
		case b.Text != "":
			out = append(out, textPiece(b.Text))
		case b.ToolResult != nil:
			out = append(out, textPiece(b.ToolResult.Text))
		case b.Media != nil:
			out = append(out, piece{part: filePart(*b.Media), file: true, old: i < before})
		}
	}
	if len(out) == 0 {
		return nil, llm.ErrRefusedRequest.Withf("the message is empty")
	}
	return out, nil
}

func filePart(m llm.Media) *vendor.Part {
	part := &vendor.Part{Filename: m.Title, MediaType: m.MediaType}
	if part.Content = vendor.Raw(m.Data); m.URL != "" {
		part.Content = vendor.URL(m.URL)
	}
	return part
}

// partsFor makes the parts of a message to an agent with this card. Files of types that the card does not name are refused before anything
// is sent, but for texts, which go as such. One that was refused before is told in words, so that the conversation can go on.
func partsFor(card *vendor.AgentCard, pieces []piece) ([]*vendor.Part, error) {
	modes := inputModes(card)
	room := maxSent
	for _, p := range pieces {
		if !p.file || p.old {
			continue
		}
		if !takes(modes, p.part.MediaType) && !isPlain(p.part) {
			return nil, llm.ErrRefusedRequest.Withf("the agent does not take files of the type %s; by its card it takes %s",
				kindOf(p.part.MediaType), oneLine(strings.Join(modes, ", ")))
		}
		room -= len(p.part.Raw())
	}
	if room < 0 {
		return nil, llm.ErrRefusedRequest.Withf("the files of the message have %d bytes; agents elsewhere are sent %d at most",
			maxSent-room, maxSent)
	}
	out := make([]*vendor.Part, 0, len(pieces))
	for _, p := range pieces {
		size := len(p.part.Raw())
		switch {
		case !p.file:
			out = append(out, p.part)
		case p.old && (size > room || !takes(modes, p.part.MediaType) && !isPlain(p.part)):
			out = append(out, vendor.NewTextPart(fmt.Sprintf("[a file of the type %s was here, which was not sent]", kindOf(p.part.MediaType))))
		case isPlain(p.part) && !takes(modes, p.part.MediaType):
			if p.old {
				room -= size
			}
			out = append(out, vendor.NewTextPart(strings.TrimSpace("[file "+oneLine(p.part.Filename))+"]\n"+string(p.part.Raw())))
		default:
			if p.old {
				room -= size
			}
			part := *p.part
			if strings.HasSuffix(part.MediaType, "/*") { // what it is exactly is told by whoever has it
				part.MediaType = ""
			}
			out = append(out, &part)
		}
	}
	return out, nil
}

// isPlain reports whether a file is a text that came with the message.
func isPlain(p *vendor.Part) bool { return p.Raw() != nil && strings.HasPrefix(p.MediaType, "text/") }

// inputModes are the media types that a card names, for the agent and for its skills. Which skill is asked is for the agent to find out.
func inputModes(card *vendor.AgentCard) []string {
	modes := slices.Clone(card.DefaultInputModes)
	for _, s := range card.Skills {
		for _, mode := range s.InputModes {
			if !slices.Contains(modes, mode) {
				modes = append(modes, mode)
			}
		}
	}
	return modes
}

// takes reports whether an agent whose card names these modes takes a media type, "image/*" for an image of any. A card without modes says
// nothing. Before 0.3 many named kinds instead of types: "image", "file".
func takes(modes []string, mediaType string) bool {
	kind, _, _ := strings.Cut(mediaType, "/")
	return len(modes) == 0 || slices.ContainsFunc(modes, func(mode string) bool {
		mode, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(mode)), ";")
		of, rest, typed := strings.Cut(strings.TrimSpace(mode), "/")
		switch {
		case of == "*", of == "file" && !typed, of == "application" && rest == "octet-stream":
			return true
		case of != kind:
			return false
		}
		return !typed || rest == "*" || mediaType == kind+"/"+rest || mediaType == kind+"/*"
	})
}

// kindOf names a media type for people.
func kindOf(mediaType string) string {
	if kind, ok := strings.CutSuffix(mediaType, "/*"); ok {
		return kind
	}
	return mediaType
}
