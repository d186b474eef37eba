package native

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// agentHostingWire is what an agent shows of how it is hosted.
type agentHostingWire struct {
	Status string `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
}

// hostingWire is how an agent is hosted.
type hostingWire struct {
	AgentID       string          `json:"agent_id"`
	Type          string          `json:"type" enum:"hosting"`
	Status        string          `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	Desired       string          `json:"desired" enum:"running,stopped" doc:"What was asked for last."`
	NeedsRestart  bool            `json:"needs_restart" doc:"A running agent does not know of a change yet; a restart tells it."`
	Generation    int64           `json:"generation" doc:"How many starts and restarts were asked for."`
	Region        string          `json:"region" enum:"us,eu"`
	Config        json.RawMessage `json:"config" doc:"Your own object."`
	AvatarURL     *string         `json:"avatar_url"`
	Program       *programWire    `json:"program" doc:"A program of the agent's own; null is Bureau's worker, beside which the agent's model answers."`
	Limits        hostLimitsWire  `json:"limits"`
	StartedAt     *stamp          `json:"started_at" doc:"When the program that runs, or ran last, was started."`
	StoppedAt     *stamp          `json:"stopped_at" doc:"Of a stopped agent."`
	LastError     *string         `json:"last_error"`
	ErrorCategory *string         `json:"error_category" enum:"image,crash_loop,out_of_memory,runtime,health"`
}

// programWire is a program of an agent's own.
type programWire struct {
	Image      string       `json:"image,omitempty" maxLength:"512" doc:"What a container is made of; none where the runtime runs commands of its machine."`
	Command    []string     `json:"command,omitempty" maxItems:"64" doc:"With its arguments; the image's own when left out."`
	Port       int          `json:"port" minimum:"1" maximum:"65535" doc:"Where it listens."`
	Protocol   string       `json:"protocol,omitempty" enum:"openai,a2a" doc:"How it is spoken to; openai when left out."`
	HealthPath string       `json:"health_path,omitempty" maxLength:"2048" doc:"Answers 2xx once it is ready; it is ready when it takes connections when left out."`
	Model      string       `json:"model,omitempty" maxLength:"256" doc:"As which it is asked by openai; agent when left out."`
	TokenName  string       `json:"token_name,omitempty" maxLength:"128" doc:"The agent's secret that is shown to it as a bearer token."`
	Network    *networkWire `json:"network,omitempty" doc:"How far it reaches; nowhere when left out."`
}

// networkWire is how far a program reaches.
type networkWire struct {
	Mode  string   `json:"mode" enum:"none,public,limited"`
	Hosts []string `json:"hosts,omitempty" maxItems:"64" doc:"Of limited: names, *.example.com for subdomains."`
}

// hostLimitsWire are limits of an instance.
type hostLimitsWire struct {
	Memory    int64 `json:"memory,omitempty" minimum:"0" doc:"Bytes; the server's default when left out, here and below."`
	CPU       int   `json:"cpu,omitempty" minimum:"0" doc:"Thousandths of a core."`
	Processes int   `json:"processes,omitempty" minimum:"0"`
	OpenFiles int   `json:"open_files,omitempty" minimum:"0" doc:"Of each process."`
	Disk      int64 `json:"disk,omitempty" minimum:"0" doc:"Bytes of files."`
}

func showProgram(p *hosting.Program) *programWire {
	if p == nil {
		return nil
	}
	mode := string(p.Network.Mode)
	if p.Network.Mode == runtime.NetworkNone {
		mode = "none"
	}
	return &programWire{
		Image: p.Image, Command: p.Command, Port: p.Port, Protocol: string(p.Protocol), HealthPath: p.HealthPath,
		Model: p.Model, TokenName: p.TokenName,
		Network: &networkWire{Mode: mode, Hosts: p.Network.Hosts},
	}
}

func (w *programWire) read() *hosting.Program {
	if w == nil {
		return nil
	}
	p := &hosting.Program{
		Image: w.Image, Command: w.Command, Port: w.Port, Protocol: hosting.Protocol(w.Protocol), HealthPath: w.HealthPath, Model: w.Model,
		TokenName: w.TokenName,
	}
	if w.Network != nil && w.Network.Mode != "none" {
		p.Network.Mode = runtime.NetworkMode(w.Network.Mode)
	}
	if w.Network != nil {
		p.Network.Hosts = w.Network.Hosts
	}
	return p
}

func (w hostLimitsWire) read() hosting.Limits {
	return hosting.Limits{
		Limits: runtime.Limits{Memory: w.Memory, Processes: w.Processes, Disk: w.Disk}, CPU: w.CPU, OpenFiles: w.OpenFiles,
	}
}

// stampOrNull is null for the zero time.
func stampOrNull(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	return stampPtr(&t)
}

func showHosting(d hosting.Deployment) hostingWire {
	return hostingWire{
		AgentID: d.Agent.String(), Type: "hosting", Status: string(d.Status), Desired: string(d.Desired), NeedsRestart: d.NeedsRestart,
		Generation: d.Generation, Region: string(d.Region), Config: d.Config, AvatarURL: textOrNull(d.AvatarURL), Program: showProgram(d.Program),
		Limits: hostLimitsWire{
			Memory: d.Limits.Memory, CPU: d.Limits.CPU, Processes: d.Limits.Processes, OpenFiles: d.Limits.OpenFiles, Disk: d.Limits.Disk,
		},
		StartedAt: stampOrNull(d.StartedAt), StoppedAt: stampOrNull(d.StoppedAt), LastError: textOrNull(d.LastError),
		ErrorCategory: textOrNull(string(d.ErrorCategory)),
	}
}

// withHosting adds to agents how they are hosted, those that ever were.
func (f *face) withHosting(ctx context.Context, agents ...*agentWire) error {
	if len(agents) == 0 || f.deps.Hosting == nil { // tests of one area leave it out
		return nil
	}
	ids := make([]id.Agent, len(agents))
	for i, a := range agents {
		var err error
		if ids[i], err = id.Parse[id.AgentKind](a.ID); err != nil {
			return err
		}
	}
	found, err := f.deps.Hosting.Find(ctx, httpx.Scope(ctx), ids...)
	if err != nil {
		return err
	}
	for i, a := range agents {
		if d := found[ids[i]]; !d.CreatedAt.IsZero() {
			a.Hosting = &agentHostingWire{string(d.Status)}
		}
	}
	return nil
}

// answerAgent writes an agent with how it is hosted.
func (f *face) answerAgent(ctx context.Context, a agent.Agent) (*output[agentWire], error) {
	w := showAgent(a)
	if err := f.withHosting(ctx, &w); err != nil {
		return nil, err
	}
	return ok(w), nil
}

// hostParam is how an agent is to be hosted from the beginning.
type hostParam struct {
	Region    string            `json:"region,omitempty" enum:"us,eu" doc:"eu when left out."`
	Config    json.RawMessage   `json:"config,omitempty" doc:"Your own object, of at most 64 KiB. llmProvider in it chooses among the providers that the agent has keys of: anthropic, openai, google, offline."`
	AvatarURL string            `json:"avatar_url,omitempty" maxLength:"2048"`
	Program   *programWire      `json:"program,omitempty"`
	Limits    hostLimitsWire    `json:"limits,omitempty"`
	Secrets   map[string]string `json:"secrets,omitempty" doc:"Keys and tokens by name, such as anthropic_api_key; they can be written, never read."`
	Soul      string            `json:"soul,omitempty" doc:"The first SOUL.md."`
	Identity  string            `json:"identity,omitempty" doc:"The first IDENTITY.md."`
	Workflow  string            `json:"workflow,omitempty" doc:"The first WORKFLOW.md."`
}

func (p *hostParam) request(cfg agent.Config, swarm id.Swarm) hosting.CreateRequest {
	return hosting.CreateRequest{
		Agent: cfg, Swarm: swarm, Secrets: p.Secrets,
		Settings: hosting.Settings{
			Region: hosting.Region(p.Region), Config: p.Config, AvatarURL: p.AvatarURL, Program: p.Program.read(), Limits: p.Limits.read(),
		},
		Documents: hosting.FirstDocuments{Soul: p.Soul, Identity: p.Identity, Workflow: p.Workflow},
	}
}

type hostingInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Body    struct {
		Region    httpx.Kept[string]         `json:"region,omitempty" enum:"us,eu"`
		Config    json.RawMessage            `json:"config,omitempty" doc:"Merged into what is there, member by member; null removes a member."`
		AvatarURL httpx.Opt[string]          `json:"avatar_url,omitempty" maxLength:"2048" doc:"Null removes it."`
		Program   httpx.Opt[*programWire]    `json:"program,omitempty" doc:"Null is Bureau's worker."`
		Limits    httpx.Kept[hostLimitsWire] `json:"limits,omitempty" doc:"All of them: those that are left out become the server's defaults."`
	}
}

func (in *hostingInput) change() (hosting.Change, error) {
	c := hosting.Change{Config: in.Body.Config}
	if in.Body.Region.Set {
		region := hosting.Region(in.Body.Region.Value)
		c.Region = &region
	}
	if in.Body.AvatarURL.Set {
		c.AvatarURL = &in.Body.AvatarURL.Value
	}
	if in.Body.Program.Set {
		p := in.Body.Program.Value.read()
		c.Program = &p
	}
	if in.Body.Limits.Null {
		return c, fault.Invalidf("limits", "must not be null")
	}
	if in.Body.Limits.Set {
		l := in.Body.Limits.Value.read()
		c.Limits = &l
	}
	return c, nil
}

func (f *face) registerHosting() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getHosting", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/hosting", Tag: "hosting",
		Summary: "Read how an agent is hosted", Permission: account.AgentsRead,
		Description: "An agent that was never hosted is stopped.",
	}, func(ctx context.Context, in *AgentInput) (*output[hostingWire], error) {
		return f.hosted(ctx, in, f.deps.Hosting.Get)
	})

	for method, op := range map[string]string{http.MethodPatch: "updateHosting", http.MethodPut: "putHosting"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}/hosting", Tag: "hosting", Summary: "Change how an agent is hosted",
			Example: `{"region":"us","config":{"style":"brief"}}`,
			Description: "What the body leaves out stays. What a running agent was started with reaches it by a restart only: then `needs_restart` is " +
				"true. It makes no version of the agent. PATCH and PUT do the same.",
			Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, in *hostingInput) (*output[hostingWire], error) {
			agentID, err := id.Parse[id.AgentKind](in.AgentID)
			if err != nil {
				return nil, err
			}
			change, err := in.change()
			if err != nil {
				return nil, err
			}
			h, err := f.deps.Hosting.Update(ctx, httpx.Scope(ctx), agentID, change)
			if err != nil {
				return nil, err
			}
			return ok(showHosting(h.Deployment)), nil
		})
	}

	for _, act := range []struct {
		verb, summary, description string
		do                         func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error)
	}{
		{
			"start", "Start an agent", "Hosts it where it was not. Answers once it runs or is in `error`, after 25 seconds in any case. One that runs " +
				"stays as it is. A frozen agent cannot be started.", f.deps.Hosting.Start,
		},
		{
			"stop", "Stop an agent", "Its program ends; its files, logs, documents, secrets, knowledge and sessions stay. It cannot be talked to until it is " +
				"started again; sessions that do not go through the chat go on.", f.deps.Hosting.Stop,
		},
		{
			"restart", "Restart an agent", "Its program ends and starts again with what the agent has now. What lies in its work directory stays.",
			f.deps.Hosting.Restart,
		},
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: act.verb + "Agent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/" + act.verb, Tag: "hosting", Summary: act.summary,
			Description: act.description, Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict, http.StatusServiceUnavailable},
		}, func(ctx context.Context, in *AgentInput) (*output[hostingWire], error) {
			return f.hosted(ctx, in, act.do)
		})
	}
	f.registerHostingStatus()
}

// hosted answers with what do makes of an agent's hosting.
func (*face) hosted(
	ctx context.Context, in *AgentInput, do func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error),
) (*output[hostingWire], error) {
	agentID, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	d, err := do(ctx, httpx.Scope(ctx), agentID)
	if err != nil {
		return nil, err
	}
	return ok(showHosting(d)), nil
}
