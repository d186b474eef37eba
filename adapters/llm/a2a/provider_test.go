package a2a

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	vendor "github.com/a2aproject/a2a-go/a2a"
	"github.com/a2aproject/a2a-go/a2asrv"
	"github.com/a2aproject/a2a-go/a2asrv/eventqueue"

	"github.com/bureau-agents/bureau/ports/llm"
)

// scripted is an agent on the official server library; do plays its part.
type scripted struct {
	do       func(ctx context.Context, said string, req *a2asrv.RequestContext, write func(vendor.Event)) error
	canceled chan vendor.TaskID
}

func (s scripted) Execute(ctx context.Context, req *a2asrv.RequestContext, q eventqueue.Queue) error {
	return s.do(ctx, textOf(req.Message.Parts), req, func(e vendor.Event) { _ = q.Write(ctx, e) })
}

func (s scripted) Cancel(ctx context.Context, req *a2asrv.RequestContext, q eventqueue.Queue) error {
	s.canceled <- req.TaskID
	event := vendor.NewStatusUpdateEvent(req, vendor.TaskStateCanceled, nil)
	event.Final = true
	return q.Write(ctx, event)
}

type server struct {
	*httptest.Server
	token string // that it wants; "" any
	card  string // where its card is
}

// serve starts an agent.
func serve(t *testing.T, s scripted, streaming bool) *server {
	t.Helper()
	out := &server{card: cardPaths[0]}
	rpc := a2asrv.NewJSONRPCHandler(a2asrv.NewHandler(s))
	out.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case out.token != "" && r.Header.Get("Authorization") != "Bearer "+out.token:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == out.card:
			a2asrv.NewStaticAgentCardHandler(&vendor.AgentCard{
				Name: "parrot", URL: "http://agent.invalid/rpc", PreferredTransport: vendor.TransportProtocolJSONRPC, ProtocolVersion: "0.3.0",
				Capabilities: vendor.AgentCapabilities{Streaming: streaming},
			}).ServeHTTP(w, r)
		case r.URL.Path == "/rpc":
			rpc.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(out.Close)
	return out
}

// everywhere sends each request to one server, whatever address it names: an instance is reached in this way, too.
type everywhere struct{ host string }

func (e everywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = e.host
	return http.DefaultTransport.RoundTrip(r)
}

func (s *server) provider(t *testing.T, token string) *Provider {
	t.Helper()
	p, err := New(Config{
		Name: "program", BaseURL: "http://agent.invalid", Token: token, Transport: everywhere{strings.TrimPrefix(s.URL, "http://")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask returns the pieces of an answer, and its end.
func ask(ctx context.Context, p *Provider, conversation, text string) (pieces []string, resp *llm.Response, err error) {
	req := llm.Request{Conversation: conversation, System: "ignored", Messages: []llm.Message{
		{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "earlier"}}}, {Role: llm.RoleAssistant, Blocks: []llm.Block{{Text: "indeed"}}},
		{Role: llm.RoleUser, Blocks: []llm.Block{{Text: text}}},
	}}
	for event, err := range p.Generate(ctx, req) {
		if err != nil {
			return pieces, nil, err
		}
		if event.Text != "" {
			pieces = append(pieces, event.Text)
		}
		if event.Response != nil {
			resp = event.Response
		}
	}
	return pieces, resp, nil
}

func text(said string) *vendor.Message {
	return vendor.NewMessage(vendor.MessageRoleAgent, vendor.TextPart{Text: said})
}

func final(req *a2asrv.RequestContext, state vendor.TaskState, m *vendor.Message) *vendor.TaskStatusUpdateEvent {
	event := vendor.NewStatusUpdateEvent(req, state, m)
	event.Final = true
	return event
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	conversation := "0198c0de-0000-7000-8000-000000000001"
	for name, tc := range map[string]struct {
		do        func(ctx context.Context, said string, req *a2asrv.RequestContext, write func(vendor.Event)) error
		streaming bool
		want      []string
		err       error
	}{
		"a message": {want: []string{"parrot says hello"}, do: func(_ context.Context, said string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
			if req.ContextID != conversation {
				return fmt.Errorf("the context is %q", req.ContextID)
			}
			write(text("parrot says " + said))
			return nil
		}},
		"a streamed artifact": {streaming: true, want: []string{"one ", "two"}, do: func(_ context.Context, _ string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateWorking, text("thinking")))
			first := vendor.NewArtifactEvent(req, vendor.TextPart{Text: "one "})
			write(first)
			write(vendor.NewArtifactUpdateEvent(req, first.Artifact.ID, vendor.TextPart{Text: "two"}))
			write(final(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
		"two artifacts of an agent that does not stream": {want: []string{"one\n\ntwo"}, do: func(_ context.Context, _ string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewArtifactEvent(req, vendor.TextPart{Text: "one"}))
			write(vendor.NewArtifactEvent(req, vendor.TextPart{Text: "two"}))
			write(final(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
		"a failure": {streaming: true, err: llm.ErrRefusedRequest, do: func(_ context.Context, _ string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(final(req, vendor.TaskStateFailed, text("the disk is full")))
			return nil
		}},
		"nothing": {streaming: true, err: llm.ErrCutStream, do: func(_ context.Context, _ string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(final(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, scripted{do: tc.do}, tc.streaming).provider(t, "")
			pieces, resp, err := ask(t.Context(), p, conversation, "hello")
			if !errors.Is(err, tc.err) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if strings.Join(pieces, "|") != strings.Join(tc.want, "|") {
				t.Errorf("pieces %q, want %q", pieces, tc.want)
			}
			if err == nil && (resp.Blocks[0].Text != strings.Join(tc.want, "") || resp.StopReason != llm.StopEnd || resp.Model != "parrot") {
				t.Errorf("response %+v", resp)
			}
		})
	}
}

// TestQuestion answers what an agent asks back, in the task that asked.
func TestQuestion(t *testing.T) {
	t.Parallel()
	p := serve(t, scripted{do: func(_ context.Context, said string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
		if req.StoredTask == nil {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(final(req, vendor.TaskStateInputRequired, text("Which colour?")))
			return nil
		}
		write(vendor.NewArtifactEvent(req, vendor.TextPart{Text: "Painted " + said}))
		write(final(req, vendor.TaskStateCompleted, nil))
		return nil
	}}, true).provider(t, "")
	for _, turn := range [][2]string{{"Paint it.", "Which colour?"}, {"red", "Painted red"}, {"And again.", "Which colour?"}} {
		if pieces, _, err := ask(t.Context(), p, "0198c0de-0000-7000-8000-000000000002", turn[0]); err != nil || strings.Join(pieces, "") != turn[1] {
			t.Errorf("%q: %q, %v; want %q", turn[0], pieces, err, turn[1])
		}
	}
}

// TestAbandoned tells the agent when nobody waits for it any more.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	s := scripted{canceled: make(chan vendor.TaskID, 1), do: func(ctx context.Context, _ string, req *a2asrv.RequestContext, write func(vendor.Event)) error {
		write(vendor.NewSubmittedTask(req, req.Message))
		write(vendor.NewArtifactEvent(req, vendor.TextPart{Text: "begun"}))
		<-ctx.Done()
		return ctx.Err()
	}}
	p := serve(t, s, true).provider(t, "")
	for event, err := range p.Generate(t.Context(), llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "x"}}}}}) {
		if err != nil || event.Text != "begun" {
			t.Fatalf("%+v, %v", event, err)
		}
		break
	}
	select {
	case <-s.canceled:
	case <-t.Context().Done():
		t.Error("the task was not cancelled")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	parrot := scripted{do: func(_ context.Context, said string, _ *a2asrv.RequestContext, write func(vendor.Event)) error {
		write(text(said))
		return nil
	}}
	s := serve(t, parrot, false)
	s.token = "secret"
	if _, _, err := ask(t.Context(), s.provider(t, "wrong"), "", "x"); !errors.Is(err, llm.ErrCredentials) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong token: %v", err)
	}
	s.card = cardPaths[1]
	if pieces, _, err := ask(t.Context(), s.provider(t, "secret"), "", "hi"); err != nil || strings.Join(pieces, "") != "hi" {
		t.Errorf("a card at the older address: %q, %v", pieces, err)
	}
	s.card = "/elsewhere"
	if _, _, err := ask(t.Context(), s.provider(t, "secret"), "", "x"); !errors.Is(err, llm.ErrRefusedRequest) {
		t.Errorf("without a card: %v", err)
	}
	s.Close()
	if _, _, err := ask(t.Context(), s.provider(t, "secret"), "", "x"); !errors.Is(err, llm.ErrOverloaded) {
		t.Errorf("out of reach: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := ask(ctx, s.provider(t, "secret"), "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// TestLargeCard: a card is read as a whole, so that one without end must not be.
func TestLargeCard(t *testing.T) {
	t.Parallel()
	sent := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		blanks := []byte(strings.Repeat(" ", 64<<10))
		for sent < 32*maxCard {
			n, err := w.Write(blanks)
			if sent += n; err != nil {
				return
			}
		}
	}))
	p, err := New(Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ask(t.Context(), p, "", "hello")
	if !errors.Is(err, llm.ErrRefusedRequest) || !strings.Contains(err.Error(), "card is larger") {
		t.Errorf("got %v", err)
	}
	s.Close()
	if sent >= 32*maxCard {
		t.Error("all of it was read")
	}
}
