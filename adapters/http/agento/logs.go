package agento

import (
	"context"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
)

type logsWire struct {
	Logs string `json:"logs" doc:"Lines, oldest first: time, level in brackets, text."`
}

type logsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Tail    int    `query:"tail" minimum:"0" maximum:"10000" default:"100" doc:"How many of the newest lines."`
}

type logStreamInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Tail    int    `query:"tail" minimum:"0" maximum:"10000" default:"200" doc:"How many of the newest lines come first."`
}

func (f *face) registerLogs() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getLogs", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/logs", Tag: "logs", Summary: "Read the end of an agent's log",
		Permission: account.Logs, Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, in *logsInput) (*output[logsWire], error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		lines, err := f.deps.Hosting.Logs(ctx, httpx.Scope(ctx), of, hosting.LogQuery{Tail: in.Tail})
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		for l, err := range lines {
			if err != nil {
				return nil, err
			}
			text.WriteString(l.String())
			text.WriteByte('\n')
		}
		return ok(logsWire{text.String()}), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "streamLogs", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/logs/stream", Tag: "logs", Produces: httpx.ContentEvents,
		Summary: "Follow an agent's log", Permission: account.Logs, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Server-sent events, each a line: time, level in brackets, text. The stream goes on over restarts of the agent.",
	}, func(ctx context.Context, in *logStreamInput) (httpx.Stream, error) {
		of, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		ctx, stop := context.WithCancel(ctx)
		lines, err := f.deps.Hosting.Logs(ctx, httpx.Scope(ctx), of, hosting.LogQuery{Tail: in.Tail, Follow: true})
		if err != nil {
			stop()
			return nil, err
		}
		return func(w http.ResponseWriter, r *http.Request) {
			httpx.ServeSeq(w, r, stop, lines, func(l hosting.Line) httpx.Event { return httpx.Event{Data: []byte(l.String())} })
		}, nil
	})
}
