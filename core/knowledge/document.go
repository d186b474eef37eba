package knowledge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/extract"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MaxDocument is how many bytes a document may have.
const MaxDocument = 32 << 20

// maxHeadings is how many characters of headings stand before the text of an entry; those that are innermost stay.
const maxHeadings = 400

// Files reads uploaded files; app wires core/file.
type Files interface {
	// Read returns a file whole: its name, its media type ("" when it is not known) and its bytes. id.NotFound, and a fault.TooLarge when it
	// has more than most bytes.
	Read(ctx context.Context, sc account.Scope, file id.File, most int64) (name, mediaType string, data []byte, err error)
}

// DocumentDeps is what Documents need; all are required.
type DocumentDeps struct {
	Knowledge *Service
	Extractor extract.Extractor
	Files     Files
}

// Documents make entries of whole documents. They are safe for concurrent use.
type Documents struct{ d DocumentDeps }

// NewDocuments returns Documents, or an error that names the missing dependency.
func NewDocuments(d DocumentDeps) (*Documents, error) {
	switch {
	case d.Knowledge == nil:
		return nil, errors.New("knowledge: DocumentDeps.Knowledge is required")
	case d.Extractor == nil:
		return nil, errors.New("knowledge: DocumentDeps.Extractor is required")
	case d.Files == nil:
		return nil, errors.New("knowledge: DocumentDeps.Files is required")
	}
	return &Documents{d}, nil
}

// DocumentRequest says which file is to become entries.
type DocumentRequest struct {
	Into     Space // an agent that is in a swarm stands for its swarm
	File     id.File
	Source   string          // of the entries; "" is the file's name
	Metadata json.RawMessage // of every entry, a JSON object or nil; "part", "parts", "page" and "headings" are added
	// Replace deletes what the space has from Source and the document no longer says, before anything is stored.
	Replace bool
	// KeepNumericVariants is as in IngestRequest.
	KeepNumericVariants *bool

	Target int // characters of an entry, 200 to MaxText; 0 is extract.DefaultTarget
}

// DocumentResult says what became of a document.
type DocumentResult struct {
	IngestResult        // Index counts the entries that the document was cut into
	Source       string // of the entries
	Deleted      int    // entries that Replace deleted
}

// Ingest cuts a file where its structure says and ingests the pieces, each with the headings that it stands under. They are stored in
// batches of MaxChunks, each whole or not at all: when one fails the error is returned, and repeating the call stores what is missing,
// since what is there is a twin of itself. It needs account.FilesRead besides. Errors are those of Service.Ingest and of the extractor, and ErrInvalid for a document
// without text.
func (s *Documents) Ingest(ctx context.Context, sc account.Scope, req DocumentRequest) (DocumentResult, error) {
	if err := sc.Require(account.FilesRead); err != nil { // what is ingested can be found by search
		return DocumentResult{}, err
	}
	shared, err := req.check()
	if err != nil {
		return DocumentResult{}, err
	}
	if _, err := s.d.Knowledge.resolve(ctx, sc, req.Into, true); err != nil {
		return DocumentResult{}, err
	}
	name, media, data, err := s.d.Files.Read(ctx, sc, req.File, MaxDocument)
	if err != nil {
		return DocumentResult{}, err
	}
	if req.Source == "" {
		req.Source = path.Base(name)
	}
	passages, err := s.d.Extractor.Extract(ctx, extract.Document{
		Name: name, MediaType: media, Data: data, Target: req.Target, Most: MaxText - maxHeadings - len(headingEnd),
	})
	if err != nil {
		return DocumentResult{}, err
	}
	if len(passages) == 0 {
		return DocumentResult{}, ErrInvalid.Withf("%s has no text that can be read; pages that were scanned have to go through text recognition first", name)
	}
	chunks, err := chunksOf(passages, req.Source, shared)
	if err != nil {
		return DocumentResult{}, err
	}
	out := DocumentResult{Source: req.Source}
	if req.Replace {
		if out.Deleted, err = s.deleteStale(ctx, sc, req, chunks); err != nil {
			return out, err
		}
	}
	for first := 0; first < len(chunks); first += MaxChunks {
		res, err := s.d.Knowledge.Ingest(ctx, sc, IngestRequest{
			Into: req.Into, KeepNumericVariants: req.KeepNumericVariants, Chunks: chunks[first:min(first+MaxChunks, len(chunks))],
		})
		if err != nil {
			return out, err
		}
		out.Stored += res.Stored
		out.Total += res.Total
		for _, skipped := range res.Skipped {
			skipped.Index += first
			out.Skipped = append(out.Skipped, skipped)
		}
		for _, kept := range res.Kept {
			kept.Index += first
			out.Kept = append(out.Kept, kept)
		}
	}
	return out, nil
}

// check returns the metadata that the entries share.
func (r DocumentRequest) check() (map[string]any, error) {
	k := &checker{}
	if r.Source != "" {
		k.Given("source", r.Source, MaxSource)
	}
	if r.Target != 0 && (r.Target < 200 || r.Target > MaxText) {
		k.Addf("target", "must be 200 to %d", MaxText)
	}
	shared := map[string]any{}
	if raw := k.metadata("metadata", r.Metadata); len(raw) > 0 && k.Err(ErrInvalid) == nil {
		if err := json.Unmarshal(raw, &shared); err != nil {
			k.Addf("metadata", "must be a JSON object")
		}
	}
	return shared, k.Err(ErrInvalid)
}

// headingEnd stands between the headings and the text of an entry.
const headingEnd = "\n\n"

func chunksOf(passages []extract.Passage, source string, shared map[string]any) ([]Chunk, error) {
	chunks := make([]Chunk, len(passages))
	for i, p := range passages {
		own := map[string]any{"part": i + 1, "parts": len(passages)}
		for name, value := range shared {
			own[name] = value
		}
		if p.Page > 0 {
			own["page"] = p.Page
		}
		text := p.Text
		if over := headingLine(p.Headings); over != "" {
			own["headings"] = p.Headings
			text = over + headingEnd + text
		}
		metadata, err := json.Marshal(own)
		if err != nil {
			return nil, fmt.Errorf("knowledge: %w", err)
		}
		chunks[i] = Chunk{Text: text, Source: source, Metadata: metadata}
	}
	return chunks, nil
}

// headingLine is "outer > inner"; outer ones go where there are too many.
func headingLine(headings []string) string {
	for len(headings) > 0 {
		if line := strings.Join(headings, " > "); utf8.RuneCountInString(line) <= maxHeadings {
			return line
		}
		headings = headings[1:]
	}
	return ""
}

// deleteStale deletes the entries of the source that the document does not say any more.
func (s *Documents) deleteStale(ctx context.Context, sc account.Scope, req DocumentRequest, chunks []Chunk) (int, error) {
	says := make(map[Hash]bool, len(chunks))
	for _, c := range chunks {
		says[HashOf(c.Text)] = true
	}
	var stale []id.Knowledge
	list := ListRequest{Request: page.Request{Limit: MaxChunks}, In: req.Into, Source: req.Source}
	for {
		found, err := s.d.Knowledge.List(ctx, sc, list)
		if err != nil {
			return 0, err
		}
		for _, e := range found.Items {
			if !says[e.Hash] {
				stale = append(stale, e.ID)
			}
		}
		if list.Cursor = found.Next; list.Cursor == "" {
			break
		}
	}
	for i, e := range stale {
		if _, err := s.d.Knowledge.Delete(ctx, sc, DeleteRequest{In: req.Into, ID: e}); err != nil {
			return i, err
		}
	}
	return len(stale), nil
}
