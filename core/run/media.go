package run

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// Files reads what content refers to by its id. app wires core/file.
type Files interface {
	// ReadFile returns a file whole, or id.NotFound, or a fault.TooLarge when it has more than most bytes.
	ReadFile(ctx context.Context, sc account.Scope, file id.File, most int64) (File, error)
}

// File is what a file holds.
type File struct {
	Name      string
	MediaType string // without parameters; text/plain for everything that is text
	Data      []byte
}

const (
	// maxFileBytes bounds one file that is shown to a model, maxFilesBytes all of them in one request.
	maxFileBytes  = 24 << 20
	maxFilesBytes = 64 << 20

	// How many tokens media have at most, whatever their bytes say.
	imageTokens    = 16_384
	documentTokens = 400_000
	// pdfTokensPerByte is more than the shortest page has: a page is shown as its text and as an image.
	pdfTokensPerByte = 35
)

// resolveMedia puts what files hold in the place of their ids, and returns how many tokens media have at most beyond what their events
// count for. A file that cannot be had is said to be missing.
func (s *Service) resolveMedia(ctx context.Context, sc account.Scope, messages []llm.Message) ([]llm.Message, int64, error) {
	var tokens, read int64
	for i := range messages {
		cloned := false
		for k, b := range messages[i].Blocks {
			if b.Media == nil {
				continue
			}
			m := *b.Media
			if file, ok := session.FileOf(m); ok {
				block, n, err := s.readMedia(ctx, sc, file, m, maxFilesBytes-read)
				if err != nil {
					return nil, 0, err
				}
				if !cloned {
					messages[i].Blocks, cloned = slices.Clone(messages[i].Blocks), true
				}
				messages[i].Blocks[k] = block
				read += n
				tokens += n
				if block.Media == nil {
					continue
				}
				m = *block.Media
			}
			tokens += mediaTokens(m)
		}
	}
	return messages, tokens, nil
}

// readMedia returns the block for a file, and how many bytes it has.
func (s *Service) readMedia(ctx context.Context, sc account.Scope, file id.File, m llm.Media, most int64) (llm.Block, int64, error) {
	missing := llm.Block{Text: "[the file " + file.String() + " is not there any more]"}
	if s.d.Files == nil {
		return missing, 0, nil
	}
	f, err := s.d.Files.ReadFile(ctx, sc, file, min(maxFileBytes, most))
	if err != nil {
		switch fault.KindOf(err) {
		case fault.NotFound:
			return missing, 0, nil
		case fault.TooLarge:
			return llm.Block{Text: "[the file " + file.String() + " is too large to be shown]"}, 0, nil
		}
		return llm.Block{}, 0, err
	}
	if f.MediaType != "text/plain" && f.MediaType != "application/pdf" && !slices.Contains(session.ImageTypes(), f.MediaType) {
		return llm.Block{Text: "[the file " + file.String() + ", " + f.Name + ", cannot be shown: it is " + f.MediaType + "]"}, 0, nil
	}
	m.URL, m.Data = "", f.Data
	if m.MediaType = f.MediaType; m.Title == "" {
		m.Title = f.Name
	}
	return llm.Block{Media: &m}, int64(len(f.Data)), nil
}

// mediaTokens bounds the tokens of media whose bytes do not.
func mediaTokens(m llm.Media) int64 {
	switch {
	case m.MediaType == "application/pdf" && m.URL == "":
		return min(documentTokens, pdfTokensPerByte*int64(len(m.Data)))
	case m.MediaType == "application/pdf":
		return documentTokens
	case m.MediaType == "text/plain":
		return 0
	}
	return imageTokens
}
