package app

import (
	"net/http"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/http/a2a"
	"github.com/bureau-agents/bureau/adapters/http/agento"
	"github.com/bureau-agents/bureau/adapters/http/native"
	"github.com/bureau-agents/bureau/adapters/http/valar"
	"github.com/bureau-agents/bureau/adapters/http/valta"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
)

// faceParts are the services behind the faces beside the native one.
type faceParts struct {
	fx.In

	Config     Config
	Store      *bunstore.Store
	A2A        *tasks.Service
	AgentCards *tasks.Cards
	Pushes     *tasks.Pushes
	Accounts   *account.Service
	Agents     *agent.Service
	Audit      *audit.Service
	Chat       *chat.Service
	Directory  *agent.Directory
	Documents  *agent.Documents
	Exchange   *telemetry.Exchange
	Opinions   *telemetry.Opinions
	Events     *telemetry.Service
	Gate       *gate.Gate
	Hosting    *hosting.Service
	Knowledge  *knowledge.Service
	Links      *account.Links
	Market     *skill.Market
	Policies   *policy.Service
	Retire     *retire.Service
	Secrets    *secret.AgentSecrets
	Swarms     *swarm.Service
	Tasks      *task.Service
	Usage      *usage.Service
	Wallets    *wallet.Service
}

// faces returns the handlers of the other faces, by where they stand. They have the settings of the native one, so that one limit counts a
// key's requests over all of them.
func faces(s native.Settings, p faceParts) (map[string]http.Handler, error) {
	v, err := valta.New(valta.Deps{
		Settings: s, Account: p.Accounts, Agents: p.Agents, Audit: p.Audit, Destroyer: p.Retire, Gate: p.Gate, Policies: p.Policies,
		Tasks: p.Tasks, Wallets: p.Wallets,
	})
	if err != nil {
		return nil, err
	}
	r, err := valar.New(valar.Deps{Settings: s, Events: p.Events, Directory: p.Directory, Destroyer: p.Retire, Exchange: p.Exchange, Opinions: p.Opinions, Links: p.Links, Market: p.Market, Usage: p.Usage, Ready: p.Store.Ping})
	if err != nil {
		return nil, err
	}
	a, err := agento.New(agento.Deps{
		Settings: s, Chat: p.Chat, Account: p.Accounts, Destroyer: p.Retire, Agents: p.Agents, Documents: p.Documents, Secrets: p.Secrets, Knowledge: p.Knowledge, Hosting: p.Hosting, Market: p.Market, Swarms: p.Swarms,
	})
	if err != nil {
		return nil, err
	}
	keys, err := signingKeys(p.Config)
	if err != nil {
		return nil, err
	}
	o, err := a2a.New(a2a.Deps{Settings: s, Tasks: p.A2A, Agents: p.Agents, Cards: p.AgentCards, Pushes: p.Pushes, SigningKeys: keys})
	if err != nil {
		return nil, err
	}
	return map[string]http.Handler{valta.Prefix: v, valar.Prefix: r, agento.Prefix: a, a2a.Prefix: o}, nil
}
