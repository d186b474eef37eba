package valta

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Prefix is where the face stands.
const Prefix = "/compat/valta"

// Settings are what the faces of one server have in common.
type Settings = httpx.Settings

// Destroyer takes agents out of the world for good, with all that only they need.
type Destroyer interface {
	// Destroy returns id.NotFound when the tenant has no such agent.
	Destroy(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Deps are the services behind the face; all are required.
type Deps struct {
	Settings
	Account   *account.Service
	Agents    *agent.Service
	Audit     *audit.Service
	Destroyer Destroyer
	Gate      *gate.Gate
	Policies  *policy.Service
	Tasks     *task.Service
	Wallets   *wallet.Service
}

func (d *Deps) validate() error {
	switch {
	case d.Account == nil:
		return errors.New("valta: Deps.Account is required")
	case d.Agents == nil:
		return errors.New("valta: Deps.Agents is required")
	case d.Audit == nil:
		return errors.New("valta: Deps.Audit is required")
	case d.Destroyer == nil:
		return errors.New("valta: Deps.Destroyer is required")
	case d.Gate == nil:
		return errors.New("valta: Deps.Gate is required")
	case d.Policies == nil:
		return errors.New("valta: Deps.Policies is required")
	case d.Tasks == nil:
		return errors.New("valta: Deps.Tasks is required")
	case d.Wallets == nil:
		return errors.New("valta: Deps.Wallets is required")
	}
	return nil
}

// face is the API while it is put together.
type face struct {
	*httpx.Face
	deps Deps
}

var tags = []httpx.Tag{
	{Name: "agents", Description: "Agents, and freezing them."},
	{Name: "runs", Description: "Tasks given to agents, and what became of them."},
	{Name: "wallets", Description: "Agents' money."},
	{Name: "policies", Description: "What an agent may spend."},
	{Name: "approvals", Description: "Payments and runs that wait for a person."},
	{Name: "audit", Description: "What was done, by whom, in a chain that nobody can change unnoticed."},
	{Name: "account", Description: "The plan and its credits."},
}

// New returns the handler of the face. Requests come with Prefix in their path.
func New(deps Deps) (http.Handler, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	if deps.Accounts == nil {
		deps.Accounts = deps.Account
	}
	hf, err := httpx.New(httpx.Config{
		Settings: deps.Settings,
		Name:     "valta",
		Title:    "Bureau: Valta-compatible API",
		Description: "Agents with wallets, policies and runs, as clients of the Valta API know them. The same agents, wallets and policies are " +
			"those of Bureau's own API.\n\nSend an API key as `x-api-key` or as `Authorization: Bearer`. Lists are pages by number: `page` " +
			"from 1, `limit` 20 when it is left out and 100 at most. Amounts are JSON numbers with up to six decimal places, read exactly. " +
			"Any POST may carry an `Idempotency-Key`.",
		Prefix:   Prefix,
		Envelope: httpx.Envelope{Encode: encodeError},
		Public:   []string{"GET /openapi.json", "GET /docs"},
		Tags:     tags,
	})
	if err != nil {
		return nil, err
	}
	f := &face{Face: hf, deps: deps}
	f.registerAccount()
	f.registerAgents()
	f.registerApprovals()
	f.registerAudit()
	f.registerPolicies()
	f.registerRuns()
	f.registerWallets()
	f.RegisterDocs()
	if err := f.Build(); err != nil {
		return nil, err
	}
	return f, nil
}

// errorWire is the envelope of every error.
type errorWire struct {
	Code    string `json:"code" doc:"Which error it is, such as NOT_FOUND. Codes do not change."`
	Message string `json:"message" doc:"For people."`
	Error   string `json:"error" doc:"The message again, for clients that look here."`
}

// codes are the codes by status; codesByFault those that say more than the status does.
var (
	codes = map[int]string{
		http.StatusBadRequest:            "INVALID_REQUEST",
		http.StatusUnauthorized:          "UNAUTHORISED",
		http.StatusPaymentRequired:       "CREDITS_EXHAUSTED",
		http.StatusForbidden:             "FORBIDDEN",
		http.StatusNotFound:              "NOT_FOUND",
		http.StatusMethodNotAllowed:      "METHOD_NOT_ALLOWED",
		http.StatusRequestTimeout:        "REQUEST_TIMEOUT",
		http.StatusConflict:              "CONFLICT",
		http.StatusRequestEntityTooLarge: "PAYLOAD_TOO_LARGE",
		http.StatusTooManyRequests:       "RATE_LIMIT_EXCEEDED",
		http.StatusNotImplemented:        "NOT_IMPLEMENTED",
		http.StatusServiceUnavailable:    "SERVICE_UNAVAILABLE",
		http.StatusGatewayTimeout:        "TIMEOUT",
	}
	codesByFault = map[string]string{
		agent.ErrFrozen.Code:   "AGENT_FROZEN",
		account.ErrFrozen.Code: "AGENT_FROZEN",
	}
)

func encodeError(status int, e *fault.Error, _ string) any {
	code := codes[status]
	if special, ok := codesByFault[e.Code]; ok {
		code = special
	}
	if code == "" {
		code = "INTERNAL_ERROR"
	}
	message := camelWords(e.Message)
	return errorWire{Code: code, Message: message, Error: message}
}

// output is the output of most operations.
type output[T any] struct{ Body T }

func ok[T any](body T) *output[T] { return &output[T]{Body: body} }

// stamp is a time: RFC 3339 in UTC with milliseconds.
type stamp string

func stampOf(t time.Time) stamp { return stamp(t.UTC().Format("2006-01-02T15:04:05.000Z")) }

// stampPtr is stampOf for a time that may not be there.
func stampPtr(t *time.Time) *stamp {
	if t == nil {
		return nil
	}
	s := stampOf(*t)
	return &s
}

// textPtr is null for an empty text.
func textPtr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// successWire acknowledges a deletion.
type successWire struct {
	Success bool `json:"success" doc:"true"`
}
