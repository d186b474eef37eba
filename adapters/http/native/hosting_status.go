package native

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
)

// hostingStatusWire is how an agent's instance is at a moment.
type hostingStatusWire struct {
	AgentID   string         `json:"agent_id"`
	Type      string         `json:"type" enum:"hosting_status"`
	Status    string         `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	Instance  string         `json:"instance" enum:"none,starting,running,exited" doc:"What the runtime says of the agent's program."`
	Live      bool           `json:"live" doc:"The program runs, and that is known and not remembered from long ago."`
	Resources *resourcesWire `json:"resources" doc:"Null where nothing was measured."`
	Source    string         `json:"source" enum:"runtime,cache" doc:"runtime: observed now; cache: what was kept last, since another server reaches the instance."`
	Channels  []channelWire  `json:"channels" nullable:"false" doc:"Services in which people write to the agent, by name: those that it was ever connected with."`
}

// channelWire is a service in which people write to an agent.
type channelWire struct {
	Name    string  `json:"name" enum:"telegram,slack"`
	Problem *string `json:"problem" doc:"Why nothing comes in at the moment; null when nothing is known to be wrong."`
}

// ChannelProblems knows what is wrong with the channels of agents; *chat.Channels does.
type ChannelProblems interface {
	Problems(ctx context.Context, sc account.Scope, of id.Agent) (map[chat.Channel]string, error)
}

type resourcesWire struct {
	Memory      int64   `json:"memory" doc:"Bytes."`
	MemoryLimit int64   `json:"memory_limit" doc:"Bytes."`
	CPUPercent  float64 `json:"cpu_percent" doc:"100 is one core."`
	Processes   int     `json:"processes"`
	MeasuredAt  stamp   `json:"measured_at"`
}

func showReport(r hosting.Report, problems map[chat.Channel]string) hostingStatusWire {
	w := hostingStatusWire{
		AgentID: r.Deployment.Agent.String(), Type: "hosting_status", Status: string(r.Deployment.Status), Instance: string(r.Instance), Live: r.Live,
		Source: string(r.Source), Channels: []channelWire{},
	}
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		w.Channels = append(w.Channels, channelWire{string(name), textOrNull(problems[name])})
	}
	if r.Stats != nil {
		w.Resources = &resourcesWire{r.Stats.Memory, r.Stats.MemoryLimit, r.Stats.CPUPercent, r.Stats.Processes, stampOf(r.Stats.At)}
	}
	return w
}

// logLineWire is a line of an agent's log.
type logLineWire struct {
	Time  stamp  `json:"time"`
	Level string `json:"level" doc:"info, warn, error, or what the program writes in brackets before a line; stderr of a line that was written there."`
	Text  string `json:"text" doc:"Without the agent's secrets."`
}

func showLine(l hosting.Line) logLineWire { return logLineWire{stampOf(l.Time), l.Level, l.Text} }

type logsWire struct {
	Type string        `json:"type" enum:"logs"`
	Data []logLineWire `json:"data" nullable:"false" doc:"Oldest first."`
}

type logsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Tail    int    `query:"tail" minimum:"0" maximum:"10000" default:"100" doc:"How many of the newest lines."`
}

type logStreamInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Tail    int    `query:"tail" minimum:"0" maximum:"10000" default:"200" doc:"How many of the newest lines come first."`
}

func (f *face) registerHostingStatus() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getHostingStatus", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/status", Tag: "hosting",
		Summary: "See how an agent's program is now, and what it uses", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[hostingStatusWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Hosting.Status(ctx, httpx.Scope(ctx), agentID)
		if err != nil {
			return nil, err
		}
		problems, err := f.deps.Channels.Problems(ctx, httpx.Scope(ctx), agentID)
		if err != nil {
			return nil, err
		}
		return ok(showReport(r, problems)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgentLogs", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/logs", Tag: "hosting", Summary: "Read the end of an agent's log",
		Description: "What its program writes, and what the server has it note: turns, tools, errors. Logs outlive restarts and are cut at their old end " +
			"when they grow.",
		Permission: account.Logs, Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, in *logsInput) (*output[logsWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		lines, err := f.deps.Hosting.Logs(ctx, httpx.Scope(ctx), agentID, hosting.LogQuery{Tail: in.Tail})
		if err != nil {
			return nil, err
		}
		out := logsWire{Type: "logs", Data: []logLineWire{}}
		for l, err := range lines {
			if err != nil {
				return nil, err
			}
			out.Data = append(out.Data, showLine(l))
		}
		return ok(out), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "streamAgentLogs", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/logs/stream", Tag: "hosting", Produces: httpx.ContentEvents,
		Summary: "Follow an agent's log", Permission: account.Logs, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Server-sent events, each a line as JSON: `{\"time\", \"level\", \"text\"}`. The stream goes on over restarts of the agent, and begins to " +
			"flow with its first start where there was none.",
	}, func(ctx context.Context, in *logStreamInput) (httpx.Stream, error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		ctx, stop := context.WithCancel(ctx)
		lines, err := f.deps.Hosting.Logs(ctx, httpx.Scope(ctx), agentID, hosting.LogQuery{Tail: in.Tail, Follow: true})
		if err != nil {
			stop()
			return nil, err
		}
		return func(w http.ResponseWriter, r *http.Request) { httpx.ServeSeq(w, r, stop, lines, lineEvent) }, nil
	})
}

func lineEvent(l hosting.Line) httpx.Event {
	data, _ := json.Marshal(showLine(l)) //nolint:errchkjson // texts always encode
	return httpx.Event{Data: data}
}
