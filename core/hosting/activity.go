package hosting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/id"
)

// Diary is the log of an instance, into which Bureau's worker writes on demand.
type Diary interface {
	// Log writes a line; one with line breaks is written as one. level is debug, info, warn or error.
	Log(ctx context.Context, instance, level, text string) error
}

// ActivityDeps is what Activity needs; all are required.
type ActivityDeps struct {
	Logger     *slog.Logger
	Bus        bus.Bus
	Supervisor *Supervisor
	Diary      Diary
}

// Activity writes into the logs of agents' instances what the server does for them: turns, tools, errors. It never makes a turn wait: what
// cannot be written soon is left out, and how much that was is said in the server's log. It is safe for concurrent use.
type Activity struct {
	d      ActivityDeps
	shared bool
	lanes  [activityLanes]chan entry
	lost   atomic.Int64
}

const (
	activityLanes = 4   // one instance that does not answer holds up a quarter of the others
	activityRoom  = 256 // lines that wait in a lane
	diaryTimeout  = 2 * time.Second
	maxLogText    = 2000 // bytes of a text that comes from elsewhere
)

// entry is a line on its way.
type entry struct {
	agent       id.Agent
	level, text string
	passed      chan<- struct{} // closed when its turn comes, in place of writing anything; nil: a line
}

// NewActivity returns Activity, or an error that names what is missing. shared says that other servers may supervise the instances of
// agents whose turns this one runs.
func NewActivity(d ActivityDeps, shared bool) (*Activity, error) {
	switch {
	case d.Logger == nil:
		return nil, errors.New("hosting: ActivityDeps.Logger is required")
	case d.Bus == nil:
		return nil, errors.New("hosting: ActivityDeps.Bus is required")
	case d.Supervisor == nil:
		return nil, errors.New("hosting: ActivityDeps.Supervisor is required")
	case d.Diary == nil:
		return nil, errors.New("hosting: ActivityDeps.Diary is required")
	}
	a := &Activity{d: d, shared: shared}
	for i := range a.lanes {
		a.lanes[i] = make(chan entry, activityRoom)
	}
	d.Supervisor.catchUp = a.catchUp
	return a, nil
}

var _ Watcher = (*Activity)(nil)

// Heard takes what a turn has written. It is a session.Listener.
func (a *Activity) Heard(t session.Turn, events []session.Event) {
	live := a.d.Supervisor.writes(t.Agent)
	if !live && !a.shared {
		return
	}
	for _, e := range events {
		level, text, ok := lineFor(t, e)
		switch {
		case !ok:
		case live:
			a.put(entry{agent: t.Agent, level: level, text: text})
		default:
			a.send(entry{agent: t.Agent, level: level, text: text})
		}
	}
}

// Started implements Watcher.
func (a *Activity) Started(_ context.Context, _ account.Scope, of id.Agent) {
	a.put(entry{agent: of, level: "info", text: "the agent is running"})
}

// Stopped implements Watcher: what ends an instance ends its log.
func (*Activity) Stopped(context.Context, account.Scope, id.Agent) {}

// Log writes a line into the log of an agent that runs here. One of an agent that does not, or has a program of its own, is lost.
func (a *Activity) Log(_ context.Context, _ account.Scope, of id.Agent, level slog.Level, text string) {
	if a.d.Supervisor.writes(of) {
		a.put(entry{agent: of, level: strings.ToLower(level.String()), text: short(text)})
	}
}

// put queues a line, or leaves it out.
func (a *Activity) put(e entry) {
	select {
	case a.lane(e.agent) <- e:
	default:
		a.lost.Add(1)
	}
}

func (a *Activity) lane(of id.Agent) chan entry {
	u := of.UUID()
	return a.lanes[int(u[len(u)-1])%activityLanes]
}

// catchUpMost is how long a reader of a log waits for lines that are on their way into it.
const catchUpMost = 500 * time.Millisecond

// catchUp returns once what was queued for an agent before is written, so that who has read an answer finds its turn in the log.
func (a *Activity) catchUp(ctx context.Context, of id.Agent) {
	if !a.d.Supervisor.writes(of) {
		return
	}
	passed := make(chan struct{})
	select {
	case a.lane(of) <- entry{agent: of, passed: passed}:
	default:
		return
	}
	late := time.NewTimer(catchUpMost)
	defer late.Stop()
	select {
	case <-passed:
	case <-late.C:
	case <-ctx.Done():
	}
}

// topicLog carries lines to the server that supervises the agent.
const topicLog = "hosting.log"

// message is an entry on the bus.
type message struct {
	Agent string `json:"a"`
	Level string `json:"l"`
	Text  string `json:"t"`
}

func (a *Activity) send(e entry) {
	payload, err := json.Marshal(message{e.agent.UUID().String(), e.level, e.text})
	if err == nil && len(payload) <= bus.MaxPayload {
		err = a.d.Bus.Publish(context.Background(), topicLog, payload)
	}
	if err != nil {
		a.lost.Add(1)
	}
}

func (a *Activity) hear(payload []byte) {
	var m message
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	if of, ok := agentOf(m.Agent); ok && a.d.Supervisor.writes(of) {
		a.put(entry{agent: of, level: m.Level, text: m.Text})
	}
}

// Run writes until ctx ends.
func (a *Activity) Run(ctx context.Context) {
	if a.shared {
		if stop, err := a.d.Bus.Subscribe(ctx, topicLog, a.hear); err != nil {
			a.d.Logger.WarnContext(ctx, "other servers' lines for the logs of agents are not heard", "error", err)
		} else {
			defer stop()
		}
	}
	var work sync.WaitGroup
	for _, lane := range a.lanes {
		work.Go(func() {
			for {
				select {
				case e := <-lane:
					a.write(ctx, e)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			if n := a.lost.Swap(0); n > 0 {
				a.d.Logger.WarnContext(ctx, "lines were left out of the logs of agents", "lines", n)
			}
		case <-ctx.Done():
		}
	}
	work.Wait()
}

func (a *Activity) write(ctx context.Context, e entry) {
	if e.passed != nil {
		close(e.passed)
		return
	}
	if !a.d.Supervisor.writes(e.agent) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, diaryTimeout)
	defer cancel()
	if err := a.d.Diary.Log(ctx, InstanceID(e.agent), e.level, e.text); err != nil {
		a.lost.Add(1)
		a.d.Logger.DebugContext(ctx, "a line was left out of the log of an agent", "agent_id", e.agent, "error", err)
	}
}

// writes reports whether the agent runs here by Bureau's worker, which can be told what to write.
func (s *Supervisor) writes(a id.Agent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.live[a]
	return ok && !r.own
}

// lineFor is what the log says of an event; false: nothing. It says that something happened and not what was said: conversations are in the
// sessions' logs, under another permission.
func lineFor(t session.Turn, e session.Event) (level, text string, ok bool) {
	switch e.Type {
	case session.SessionRunning:
		return "info", fmt.Sprintf("turn %d of session %s started", t.Number, t.Session), true
	case session.AgentToolUse, session.AgentMCPToolUse, session.AgentCustomToolUse:
		var body session.ToolUseBody
		if json.Unmarshal(e.Data, &body) != nil {
			return "", "", false
		}
		return "info", "tool " + short(body.Name) + " called", true
	case session.AgentToolResult, session.AgentMCPToolResult:
		var body session.ToolResultBody
		if json.Unmarshal(e.Data, &body) != nil || !body.IsError {
			return "", "", false
		}
		return "warn", "a tool answered with an error", true
	case session.SpanModelEnd:
		var body session.SpanEndBody
		if json.Unmarshal(e.Data, &body) != nil {
			return "", "", false
		}
		if body.Error != "" {
			return "warn", "model " + short(body.Model) + " failed: " + short(body.Error), true
		}
		return "info", "model " + short(body.Model) + " answered", true
	case session.SessionError:
		var body session.ErrorBody
		if json.Unmarshal(e.Data, &body) != nil {
			return "", "", false
		}
		return "error", short(body.Error.Message), true
	case session.SessionWarning:
		var body session.WarningBody
		if json.Unmarshal(e.Data, &body) != nil {
			return "", "", false
		}
		return "warn", short(body.Message), true
	case session.SessionIdle:
		var body session.IdleBody
		if json.Unmarshal(e.Data, &body) != nil {
			return "", "", false
		}
		return "info", fmt.Sprintf("turn %d of session %s ended: %s", t.Number, t.Session, body.StopReason.Type), true
	}
	return "", "", false
}

// short cuts a text that comes from elsewhere.
func short(text string) string {
	if len(text) > maxLogText {
		text = text[:maxLogText] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
