package app

import (
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/environment"
)

func provideEnvironments(b base, s *bunstore.Store) (*environment.Service, error) {
	store := s.Environments()
	return environment.NewService(environment.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: store, Sessions: store,
	})
}
