package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/extract"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
)

func knowledgeFilesModule() fx.Option {
	return fx.Module("knowledge files", fx.Provide(provideKnowledgeFiles))
}

func provideKnowledgeFiles(s *knowledge.Service, files *file.Service) (*knowledge.Documents, error) {
	x, err := extract.New(extract.Config{MaxData: knowledge.MaxDocument})
	if err != nil {
		return nil, err
	}
	return knowledge.NewDocuments(knowledge.DocumentDeps{Knowledge: s, Extractor: x, Files: knowledgeFiles{files}})
}

// knowledgeFiles gives knowledge the files that it is made of.
type knowledgeFiles struct{ files *file.Service }

func (k knowledgeFiles) Read(ctx context.Context, sc account.Scope, f id.File, most int64) (name, mediaType string, data []byte, err error) {
	meta, data, err := readFile(ctx, k.files, sc, f, most)
	return meta.Name, meta.MediaType, data, err
}
