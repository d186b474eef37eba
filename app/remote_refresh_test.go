package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// echo is an agent of somebody else's that tells everybody how it was called, and gives out tokens.
type echo struct{ *httptest.Server }

const freshToken = "fr3sh-token-0f-the-echo"

// Execute implements a2asrv.AgentExecutor.
func (e *echo) Execute(ctx context.Context, req *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		call, _ := a2asrv.CallContextFrom(ctx)
		shown, _ := call.ServiceParams().Get("authorization")
		heard := "called with " + strings.Join(shown, ", ")
		said := ""
		for _, part := range req.Message.Parts {
			said += part.Text()
		}
		if said == "fail" {
			why := a2a.NewMessageForTask(a2a.MessageRoleAgent, req, a2a.NewTextPart(heard))
			_ = yield(a2a.NewSubmittedTask(req, req.Message), nil) && yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateFailed, why), nil)
			return
		}
		if !yield(a2a.NewSubmittedTask(req, req.Message), nil) {
			return
		}
		half := len(heard) - 9 // within the token
		first := a2a.NewArtifactEvent(req, a2a.NewTextPart(heard[:half]))
		_ = yield(first, nil) && yield(a2a.NewArtifactUpdateEvent(req, first.Artifact.ID, a2a.NewTextPart(heard[half:]+"!")), nil) &&
			yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateCompleted, nil), nil)
	}
}

// Cancel implements a2asrv.AgentExecutor.
func (e *echo) Cancel(_ context.Context, req *a2asrv.ExecutorContext) iter.Seq2[a2a.Event, error] {
	return func(yield func(a2a.Event, error) bool) {
		yield(a2a.NewStatusUpdateEvent(req, a2a.TaskStateCanceled, nil), nil)
	}
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{}
	rpc := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(e))
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/agent-card.json":
			_, _ = fmt.Fprintf(w, `{"name":"echo","description":"Repeats.","version":"1","capabilities":{"streaming":true},`+
				`"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}],"defaultInputModes":["text/plain"],`+
				`"defaultOutputModes":["text/plain"]%s}`, e.URL+"/rpc", painterSkills)
		case "/token":
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(m{"access_token": freshToken, "token_type": "Bearer", "expires_in": 3600})
		case "/rpc":
			rpc.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// session registers the agent, and opens a session with it and a vault whose token is about to expire.
func (e *echo) session(t *testing.T, api *apptest.Client) string {
	t.Helper()
	ends := time.Now().Add(30 * time.Second).UTC().Format(time.RFC3339)
	var r remoteAnswer
	api.Call("POST", "/v1/remote_agents", m{"url": e.URL}, &r)
	var vault, sess struct{ ID string }
	api.Call("POST", "/v1/vaults", m{"display_name": "Echoes"}, &vault)
	api.Call("POST", "/v1/vaults/"+vault.ID+"/credentials", m{"auth": m{
		"type": "mcp_oauth", "access_token": "0ld-token-0f-the-echo", "mcp_server_url": e.URL, "expires_at": ends,
		"refresh": m{
			"client_id": "c", "refresh_token": "refresh-0f-the-echo", "token_endpoint": e.URL + "/token", "token_endpoint_auth": m{"type": "none"},
		},
	}}, nil)
	api.Call("POST", "/v1/sessions", m{"agent": r.AgentID, "vault_ids": []string{vault.ID}}, &sess)
	return "/v1/sessions/" + sess.ID
}

// TestRemoteAgentTellsFreshToken: a token that a vault got for this very call is not told, though the turn began before there was one.
func TestRemoteAgentTellsFreshToken(t *testing.T) {
	t.Parallel()
	for said, told := range map[string]string{"hello": "agent.message", "fail": "session.error"} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			e := newEcho(t)
			s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
				c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(e.URL, "http://"))
			}})
			api := s.Admin.In(t)
			sess := e.session(t, api)
			stream := ""
			for _, chunk := range api.Stream("POST", sess+"/messages", m{"content": said}).Rest() {
				stream += string(chunk.Data)
			}
			last := turn(apptest.All[event](api, sess+"/events")).last(t, told)
			if text := last.text() + last.Error.Message; !strings.Contains(text, "called with Bearer [redacted:echo]") {
				t.Errorf("the log: %q", text)
			}
			if !strings.Contains(stream, "redacted:echo") || strings.Contains(stream, freshToken) {
				t.Errorf("the stream: %s", stream)
			}
		})
	}
}
