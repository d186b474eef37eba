package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/webhook"
)

// taskParts are what runs stand on.
type taskParts struct {
	fx.In

	Store    *bunstore.Store
	Accounts *account.Service
	Agents   *agent.Service
	Sessions *session.Service
	Journal  *session.Journal
	Gate     *gate.Gate
	Policies *policy.Service
	Trail    *audit.Service
	Notices  *webhook.Service
}

func provideTasks(b base, lc fx.Lifecycle, p taskParts) (*task.Service, error) {
	store := p.Store.Tasks()
	s, err := task.NewService(task.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: store, Acts: store, Agents: p.Agents, Sessions: p.Sessions,
		Log: p.Store.Sessions(), Gate: p.Gate, Credits: p.Accounts, Policies: p.Policies, Trail: p.Trail,
		Notices: p.Notices,
	})
	if err != nil {
		return nil, err
	}
	p.Journal.Watch(s)
	p.Sessions.OnSend(s.MaySend)
	background(lc, s.Run)
	return s, nil
}

func taskModule() fx.Option {
	return fx.Module("tasks", fx.Provide(provideTasks), fx.Invoke(func(*task.Service) {}))
}
