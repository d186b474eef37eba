package agento

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/ports/id"
)

// Destroyer takes agents out of existence.
type Destroyer interface {
	// Destroy removes an agent with all that belongs to it.
	Destroy(ctx context.Context, sc account.Scope, agent id.Agent) error
}

var _ Destroyer = (*retire.Service)(nil)

type startedWire struct {
	ID            string  `json:"id" doc:"A UUID."`
	Status        string  `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	StartedAt     *stamp  `json:"startedAt" doc:"When the program was started."`
	LastError     *string `json:"lastError,omitempty" doc:"Of an agent whose status is error."`
	ErrorCategory *string `json:"errorCategory,omitempty" enum:"image,crash_loop,out_of_memory,runtime,health"`
}

type stoppedWire struct {
	ID        string `json:"id" doc:"A UUID."`
	Status    string `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	StoppedAt *stamp `json:"stoppedAt"`
}

type statusWire struct {
	Status          string         `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	ContainerStatus string         `json:"containerStatus" enum:"none,starting,running,exited" doc:"What the runtime says of the agent's program."`
	Live            bool           `json:"live" doc:"The program runs, and that is known and not remembered from long ago."`
	Resources       *resourcesWire `json:"resources" doc:"Null where nothing was measured."`
	Source          string         `json:"source" enum:"runtime,cache" doc:"runtime: observed now; cache: what was kept last."`
}

type resourcesWire struct {
	MemoryUsage string `json:"memoryUsage" example:"128MiB / 512MiB"`
	CPUPercent  string `json:"cpuPercent" example:"2.35%"`
}

// size writes a number of bytes with the largest unit in which it is at least 1, as container engines do.
func size(n int64) string {
	v, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, larger
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + unit
}

func showStatus(r hosting.Report) statusWire {
	w := statusWire{Status: string(r.Deployment.Status), ContainerStatus: string(r.Instance), Live: r.Live, Source: string(r.Source)}
	if r.Stats != nil {
		w.Resources = &resourcesWire{size(r.Stats.Memory) + " / " + size(r.Stats.MemoryLimit), fmt.Sprintf("%.2f%%", max(0, r.Stats.CPUPercent))}
	}
	return w
}

func (f *face) registerLifecycle() {
	for _, act := range []struct {
		verb, summary, description string
		do                         func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error)
	}{
		{"start", "Start an agent", "One that runs stays as it is. A frozen agent cannot be started.", f.deps.Hosting.Start},
		{
			"restart", "Restart an agent", "Its program ends and starts again with the newest configuration, documents, secrets and skills.",
			f.deps.Hosting.Restart,
		},
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: act.verb + "Agent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/" + act.verb, Tag: "agents", Summary: act.summary,
			Description: act.description, Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict, http.StatusServiceUnavailable},
		}, func(ctx context.Context, in *agentInput) (*output[startedWire], error) {
			of, err := in.read()
			if err != nil {
				return nil, err
			}
			d, err := act.do(ctx, httpx.Scope(ctx), of)
			if err != nil {
				return nil, err
			}
			return ok(startedWire{
				of.UUID().String(), string(d.Status), stampPtr(d.StartedAt), textPtr(d.LastError), textPtr(string(d.ErrorCategory)),
			}), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "stopAgent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/stop", Tag: "agents", Summary: "Stop an agent",
		Description: "Its files and everything else of it stay.", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *agentInput) (*output[stoppedWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		d, err := f.deps.Hosting.Stop(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(stoppedWire{of.UUID().String(), string(d.Status), stampPtr(d.StoppedAt)}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgentStatus", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/status", Tag: "agents",
		Summary: "See how an agent's program is now, and what it uses", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *agentInput) (*output[statusWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Hosting.Status(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(showStatus(r)), nil
	})
}
