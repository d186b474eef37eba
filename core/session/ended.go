package session

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// OnEnd sets who is told, after the commit, of every session that this process archives or deletes: what belongs to it elsewhere, such as
// its sandbox, can go. It is called before the service is used.
func (s *Service) OnEnd(fn func(context.Context, Ref)) { s.ended = fn }

// OnSend sets who is asked before events of a client are taken that begin a turn; its error is Send's. It is called before the service is
// used.
func (s *Service) OnSend(fn func(context.Context, account.Scope, id.Session) error) { s.admits = fn }
