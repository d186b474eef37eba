package agento

import (
	"errors"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/swarm"
)

// Prefix is where the face stands.
const Prefix = "/compat/agento"

// perMinute is how many requests a key may make in any minute.
const perMinute = 120

// Settings are what the faces of one server have in common.
type Settings = httpx.Settings

// Deps are the services behind the face; all are required.
type Deps struct {
	Settings

	Account   *account.Service
	Agents    *agent.Service
	Destroyer Destroyer
	Documents *agent.Documents
	Chat      *chat.Service
	Hosting   *hosting.Service
	Knowledge *knowledge.Service
	Market    *skill.Market
	Secrets   *secret.AgentSecrets
	Swarms    *swarm.Service
}

// validate names what is missing.
func (d Deps) validate() error {
	for _, s := range []struct {
		name    string
		missing bool
	}{
		{"Account", d.Account == nil}, {"Destroyer", d.Destroyer == nil}, {"Agents", d.Agents == nil}, {"Chat", d.Chat == nil}, {"Hosting", d.Hosting == nil}, {"Knowledge", d.Knowledge == nil}, {"Market", d.Market == nil}, {"Documents", d.Documents == nil}, {"Secrets", d.Secrets == nil},
		{"Swarms", d.Swarms == nil},
	} {
		if s.missing {
			return errors.New("agento: Deps." + s.name + " is required")
		}
	}
	return nil
}

// face is the API while it is put together.
type face struct {
	*httpx.Face
	deps Deps
}

var tags = []httpx.Tag{
	{Name: "agents", Description: "Hosted agents and their lives."},
	{Name: "chat", Description: "Talking to agents."},
	{Name: "logs", Description: "What agents' programs say."},
	{Name: "skills", Description: "The marketplace, and what agents have from it."},
	{Name: "swarms", Description: "Groups of agents that share knowledge and credentials."},
	{Name: "knowledge", Description: "What agents answer from."},
	{Name: "documents", Description: "Personality, workflow and rules of agents."},
	{Name: "secrets", Description: "Keys and tokens of agents; they can be written, never read."},
	{Name: "account", Description: "The plan and what is used of it."},
}

// New returns the handler of the face. Requests come with Prefix in their path.
func New(deps Deps) (http.Handler, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	hf, err := httpx.New(httpx.Config{
		Settings: deps.Settings,
		Name:     "agento",
		Title:    "Bureau: Agento-compatible API",
		Description: "Hosted agents, as clients of the Agento API know them. The same agents are those of Bureau's own API.\n\nSend an API key as " +
			"`X-Api-Key` or as `Authorization: Bearer`. Answers are `{\"data\": ...}`; lists have `pagination` besides. A key may make 120 " +
			"requests in any minute.",
		Prefix:   Prefix,
		Envelope: httpx.Envelope{Encode: encodeError},
		Rate:     httpx.Rate{PerMinute: func(account.Scope) int { return perMinute }, Sliding: true},
		Public:   []string{"GET /openapi.json", "GET /docs"},
		Tags:     tags,
	})
	if err != nil {
		return nil, err
	}
	f := &face{Face: hf, deps: deps}
	f.registerSkills()
	f.registerSwarms()
	f.registerKnowledge()
	f.registerAccount()
	f.registerAgents()
	f.registerLogs()
	f.registerDocuments()
	f.registerSecrets()
	f.registerChat()
	f.RegisterDocs()
	if err := f.Build(); err != nil {
		return nil, err
	}
	return f, nil
}
