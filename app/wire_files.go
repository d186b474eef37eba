package app

import (
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/blob"
)

// formOverhead is what a form may have around the file that it uploads.
const formOverhead = 1 << 20

func provideFiles(b base, cfg Config, s *bunstore.Store, blobs blob.Store) (*file.Service, error) {
	store := s.Files()
	return file.NewService(file.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: store, Blobs: blobs, Sessions: store,
	}, file.Config{MaxSize: cfg.MaxUpload, Quota: cfg.FileQuota})
}
