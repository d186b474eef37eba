package session

import "context"

// OnEnd sets who is told, after the commit, of every session that this process archives or deletes: what belongs to it elsewhere, such as
// its sandbox, can go. It is called before the service is used.
func (s *Service) OnEnd(fn func(context.Context, Ref)) { s.ended = fn }
