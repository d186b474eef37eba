package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
)

type ingestFileInput struct{ Body ingestFileBody }

type ingestFileBody struct {
	AgentID  string          `json:"agent_id,omitempty" doc:"Either this or swarm_id. An agent in a swarm stands for the swarm."`
	SwarmID  string          `json:"swarm_id,omitempty"`
	FileID   string          `json:"file_id" doc:"An uploaded Markdown, HTML, text or PDF file, up to 32 MiB."`
	Source   string          `json:"source,omitempty" maxLength:"512" doc:"Of the entries; the file's name when left out."`
	Metadata json.RawMessage `json:"metadata,omitempty" doc:"An object that every entry gets; part, parts, page and headings are added."`
	Replace  bool            `json:"replace,omitempty" doc:"Delete what is there from the source and the file no longer says."`
	Keep     *bool           `json:"keep_numeric_variants,omitempty" doc:"As in /v1/knowledge/ingest."`
	Target   int             `json:"target_characters,omitempty" minimum:"200" maximum:"4000" default:"1200" doc:"How long an entry should be."`
}

// TransformSchema implements huma.SchemaTransformer.
func (ingestFileBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return oneSpace(s)
}

type ingestFileWire struct {
	IngestWire
	Source  string `json:"source"`
	Deleted int    `json:"deleted" doc:"Entries of the source that replace deleted."`
}

func (f *face) registerKnowledgeFiles() {
	httpx.Register(f.Face, httpx.Op{
		ID: "ingestKnowledgeFile", Method: http.MethodPost, Path: "/v1/knowledge/files", Tag: "knowledge", Status: http.StatusCreated,
		Example: `{"agent_id":"agent_01h...","file_id":"file_01h...","replace":true}`,
		Summary: "Store a whole file for agents to answer from",
		Description: "The file is cut where its headings, paragraphs, lists and tables say. Each piece becomes an entry with the headings that it " +
			"stands under, and its place in the file as metadata. Twins are skipped as in `/v1/knowledge/ingest`, so that a call that was cut " +
			"off can be repeated. The key needs `files:read` besides.",
		Permission: account.KnowledgeWrite, Statuses: []int{http.StatusNotImplemented},
	}, func(ctx context.Context, in *ingestFileInput) (*output[ingestFileWire], error) {
		space, err := readSpace(in.Body.AgentID, in.Body.SwarmID)
		if err != nil {
			return nil, err
		}
		file, err := id.Parse[id.FileKind](in.Body.FileID)
		if err != nil {
			return nil, err
		}
		res, err := f.deps.KnowledgeFiles.Ingest(ctx, httpx.Scope(ctx), knowledge.DocumentRequest{
			Into: space, File: file, Source: in.Body.Source, Metadata: in.Body.Metadata, Replace: in.Body.Replace,
			KeepNumericVariants: in.Body.Keep, Target: in.Body.Target,
		})
		if err != nil {
			return nil, err
		}
		return ok(ingestFileWire{showIngest(res.IngestResult), res.Source, res.Deleted}), nil
	})
}
