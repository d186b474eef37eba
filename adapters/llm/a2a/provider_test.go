package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/ports/llm"
)

// doer plays an agent's part: it is told what was said, and writes events.
type doer func(ctx context.Context, said string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error

// scripted is an agent on the official server library.
type scripted struct {
	do       doer
	canceled chan vendor.TaskID
}

func (s scripted) Execute(ctx context.Context, req *a2asrv.ExecutorContext) iter.Seq2[vendor.Event, error] {
	return func(yield func(vendor.Event, error) bool) {
		said := ""
		for _, part := range req.Message.Parts {
			said += part.Text()
		}
		if err := s.do(ctx, said, req, func(e vendor.Event) { yield(e, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (s scripted) Cancel(_ context.Context, req *a2asrv.ExecutorContext) iter.Seq2[vendor.Event, error] {
	return func(yield func(vendor.Event, error) bool) {
		s.canceled <- req.TaskID
		yield(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCanceled, nil), nil)
	}
}

// dialect is a way to speak A2A.
type dialect struct {
	version vendor.ProtocolVersion
	binding vendor.TransportProtocol
}

var dialects = map[string]dialect{
	"1.0 JSON-RPC":   {vendor.Version, vendor.TransportProtocolJSONRPC},
	"1.0 HTTP+JSON":  {vendor.Version, vendor.TransportProtocolHTTPJSON},
	"0.3 JSON-RPC":   {a2av0.Version, vendor.TransportProtocolJSONRPC},
	"0.3 HTTP+JSON":  {a2av0.Version, vendor.TransportProtocolHTTPJSON},
	"0.2.6 JSON-RPC": {"0.2.6", vendor.TransportProtocolJSONRPC},
}

func (d dialect) handler(h a2asrv.RequestHandler) http.Handler {
	switch {
	case d.version == vendor.Version && d.binding == vendor.TransportProtocolJSONRPC:
		return a2asrv.NewJSONRPCHandler(h)
	case d.version == vendor.Version:
		return a2asrv.NewRESTHandler(h)
	case d.binding == vendor.TransportProtocolJSONRPC:
		return a2av0.NewJSONRPCHandler(h)
	}
	return a2av0.NewRESTHandler(h)
}

// card is as an agent of that version writes it.
func (d dialect) card(streaming bool) map[string]any {
	card := map[string]any{
		"name": "parrot", "description": "Repeats.", "version": "1", "capabilities": map[string]any{"streaming": streaming},
		"defaultInputModes": []string{"text/plain"}, "defaultOutputModes": []string{"text/plain"}, "skills": []any{},
	}
	if d.version == vendor.Version {
		card["supportedInterfaces"] = []any{
			map[string]any{"url": "agent.invalid:443", "protocolBinding": "GRPC", "protocolVersion": "1.0"},
			map[string]any{"url": "http://agent.invalid/rpc", "protocolBinding": d.binding, "protocolVersion": "1.0"},
		}
		return card
	}
	card["url"], card["protocolVersion"] = "http://agent.invalid/rpc", d.version
	if d.binding != vendor.TransportProtocolJSONRPC {
		card["preferredTransport"] = d.binding
	}
	return card
}

type server struct {
	*httptest.Server
	token string // that it wants; "" any
	card  string // where its card is
}

// serve starts an agent.
func serve(t *testing.T, s scripted, d dialect, streaming bool) *server {
	t.Helper()
	out := &server{card: cardPaths[0]}
	card, err := json.Marshal(d.card(streaming))
	if err != nil {
		t.Fatal(err)
	}
	rpc := http.StripPrefix("/rpc", d.handler(a2asrv.NewHandler(s, a2asrv.WithCapabilityChecks(&vendor.AgentCapabilities{Streaming: true}))))
	out.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case out.token != "" && r.Header.Get("Authorization") != "Bearer "+out.token:
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == out.card:
			_, _ = w.Write(card)
		case strings.HasPrefix(r.URL.Path, "/rpc"):
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
	return vendor.NewMessage(vendor.MessageRoleAgent, vendor.NewTextPart(said))
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	conversation := "0198c0de-0000-7000-8000-000000000001"
	for name, tc := range map[string]struct {
		do        doer
		streaming bool
		want      []string
		err       error
	}{
		"a message": {want: []string{"parrot says hello"}, do: func(_ context.Context, said string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
			if req.ContextID != conversation {
				return fmt.Errorf("the context is %q", req.ContextID)
			}
			write(text("parrot says " + said))
			return nil
		}},
		"a streamed artifact": {streaming: true, want: []string{"one ", "two"}, do: func(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateWorking, text("thinking")))
			first := vendor.NewArtifactEvent(req, vendor.NewTextPart("one "))
			write(first)
			write(vendor.NewArtifactUpdateEvent(req, first.Artifact.ID, vendor.NewTextPart("two")))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
		"two artifacts of an agent that does not stream": {want: []string{"one\n\ntwo"}, do: func(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewArtifactEvent(req, vendor.NewTextPart("one")))
			write(vendor.NewArtifactEvent(req, vendor.NewTextPart("two")))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
		"a failure": {streaming: true, err: llm.ErrRefusedRequest, do: func(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateFailed, text("the disk is full")))
			return nil
		}},
		"nothing": {streaming: true, err: llm.ErrCutStream, do: func(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
			write(vendor.NewSubmittedTask(req, req.Message))
			write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
			return nil
		}},
	} {
		for spoken, d := range dialects {
			t.Run(name+"/"+spoken, func(t *testing.T) {
				t.Parallel()
				p := serve(t, scripted{do: tc.do}, d, tc.streaming).provider(t, "")
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
}

// painter asks back for a colour.
func painter(_ context.Context, said string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
	if req.StoredTask == nil {
		write(vendor.NewSubmittedTask(req, req.Message))
		write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateInputRequired, text("Which colour?")))
		return nil
	}
	write(vendor.NewArtifactEvent(req, vendor.NewTextPart("Painted "+said)))
	write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
	return nil
}

// TestQuestion answers what an agent asks back, in the task that asked.
func TestQuestion(t *testing.T) {
	t.Parallel()
	for spoken, d := range dialects {
		t.Run(spoken, func(t *testing.T) {
			t.Parallel()
			p := serve(t, scripted{do: painter}, d, true).provider(t, "")
			for _, turn := range [][2]string{{"Paint it.", "Which colour?"}, {"red", "Painted red"}, {"And again.", "Which colour?"}} {
				if pieces, _, err := ask(t.Context(), p, "0198c0de-0000-7000-8000-000000000002", turn[0]); err != nil || strings.Join(pieces, "") != turn[1] {
					t.Errorf("%q: %q, %v; want %q", turn[0], pieces, err, turn[1])
				}
			}
		})
	}
}

// TestRestarted goes on with what another process has kept, and begins anew where the agent has forgotten it.
func TestRestarted(t *testing.T) {
	t.Parallel()
	s := serve(t, scripted{do: painter}, dialects["1.0 JSON-RPC"], true)
	kept := &memory{}
	say := func(text, want string) {
		t.Helper()
		p := s.provider(t, "")
		p.keep = kept
		if pieces, _, err := ask(t.Context(), p, "c", text); err != nil || strings.Join(pieces, "") != want {
			t.Errorf("%q: %q, %v; want %q", text, pieces, err, want)
		}
	}
	say("Paint it.", "Which colour?")
	say("blue", "Painted blue")
	kept.all = map[string]Conversation{"c": {Context: "c", Task: "never", Waiting: true}}
	say("Paint it.", "Which colour?")
	if c := kept.all["c"]; c.Task == "never" || !c.Waiting {
		t.Errorf("kept is %+v", c)
	}
}

// TestAbandoned tells the agent when nobody waits for it any more: because the answer is not read on, or because the turn was stopped.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	for spoken, d := range dialects {
		for name, stop := range map[string]func(cancel func()) bool{
			"not read on": func(func()) bool { return false }, "cancelled": func(cancel func()) bool { cancel(); return true },
		} {
			t.Run(spoken+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := scripted{canceled: make(chan vendor.TaskID, 1), do: func(ctx context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
					write(vendor.NewSubmittedTask(req, req.Message))
					write(vendor.NewArtifactEvent(req, vendor.NewTextPart("begun")))
					<-ctx.Done()
					return ctx.Err()
				}}
				p := serve(t, s, d, true).provider(t, "")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for event, err := range p.Generate(ctx, llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "x"}}}}}) {
					if err != nil {
						if !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
						break
					}
					if event.Text != "begun" {
						t.Fatalf("%+v", event)
					}
					if !stop(cancel) {
						break
					}
				}
				select {
				case <-s.canceled:
				case <-t.Context().Done():
					t.Error("the task was not cancelled")
				}
			})
		}
	}
}

// TestSlowTask asks after a task that an agent returns before it has ended.
func TestSlowTask(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var rpc struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if err := json.NewDecoder(r.Body).Decode(&rpc); err != nil {
			t.Error(err)
		}
		task := `{"id":"t1","contextId":"theirs","status":{"state":"TASK_STATE_WORKING"}}`
		if rpc.Method == "GetTask" {
			if asked++; asked > 1 {
				task = `{"id":"t1","contextId":"theirs","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[{"artifactId":"a","parts":[{"text":"done"}]}]}`
			}
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, rpc.ID, task)
			return
		}
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"task":%s}}`, rpc.ID, task)
	}))
	t.Cleanup(s.Close)
	p, err := New(Config{Card: fmt.Appendf(nil,
		`{"name":"slow","capabilities":{},"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`, s.URL)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Ask(t.Context(), Conversation{}, "go")
	if want := (Conversation{Context: "theirs"}); err != nil || r.Text != "done" || r.Failed || r.Conversation != want || asked != 2 {
		t.Errorf("%+v, %v, after %d questions", r, err, asked)
	}
}

// TestTaskBeginsAnew: some libraries begin what goes on with the task as it was, and what it had said before is not said again.
func TestTaskBeginsAnew(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{
			`{"task":{"id":"t1","contextId":"c","status":{"state":"TASK_STATE_INPUT_REQUIRED","message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"Which?"}]}}}}`,
			`{"artifactUpdate":{"taskId":"t1","contextId":"c","artifact":{"artifactId":"a","parts":[{"text":"Painted"}]}}}`,
			`{"statusUpdate":{"taskId":"t1","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}}`,
		} {
			_, _ = fmt.Fprintf(w, "data: {\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":%s}\n\n", event)
		}
	}))
	t.Cleanup(s.Close)
	p, err := New(Config{Card: fmt.Appendf(nil,
		`{"name":"x","capabilities":{"streaming":true},"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`, s.URL)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Ask(t.Context(), Conversation{Context: "c", Task: "t1", Waiting: true}, "red")
	if err != nil || r.Text != "Painted" || r.Conversation.Waiting {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestAsk: as a tool an agent answers with files and data, and a failure is told.
func TestAsk(t *testing.T) {
	t.Parallel()
	for spoken, d := range dialects {
		t.Run(spoken, func(t *testing.T) {
			t.Parallel()
			p := serve(t, scripted{do: func(_ context.Context, said string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
				write(vendor.NewSubmittedTask(req, req.Message))
				if said == "fail" {
					write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateFailed, text("no paint")))
					return nil
				}
				picture := vendor.NewRawPart([]byte("png"))
				picture.Filename, picture.MediaType = "a.png", "image/png"
				write(vendor.NewArtifactEvent(req, vendor.NewTextPart("Here:"), picture, vendor.NewDataPart(map[string]any{"n": 1})))
				write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
				return nil
			}}, d, true).provider(t, "")
			r, err := p.Ask(t.Context(), Conversation{}, "draw")
			if err != nil || r.Failed || r.Text != "Here:\n[file of 3 bytes, a.png, image/png]\n{\"n\":1}" || r.Conversation.Context == "" {
				t.Errorf("%+v, %v", r, err)
			}
			if len(r.Files) != 1 || r.Files[0].Name != "a.png" || string(r.Files[0].Data) != "png" {
				t.Errorf("files %+v", r.Files)
			}
			if r, err = p.Ask(t.Context(), Conversation{}, "fail"); err != nil || !r.Failed || r.Text != "the agent's task is failed: no paint" {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestCredentialStaysHome: a card that names another origin does not get the credential sent there.
func TestCredentialStaysHome(t *testing.T) {
	t.Parallel()
	var seen []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization")+r.Header.Get("X-Key"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	for origin, want := range map[string]string{"": "Bearer tk", strings.Replace(s.URL, "http", "HTTP", 1): "", "https://elsewhere:443": "", s.URL: "Bearer tk"} {
		seen = nil
		p, err := New(Config{
			Card:  fmt.Appendf(nil, `{"name":"x","supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC"}]}`, s.URL),
			Token: "t", Header: http.Header{"X-Key": {"k"}}, Origin: origin,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Ask(t.Context(), Conversation{}, "hi"); !errors.Is(err, llm.ErrCredentials) || len(seen) != 1 || seen[0] != want {
			t.Errorf("%q: %v, %v; want %q", origin, seen, err, want)
		}
	}
}

// TestNoInterface: a card that names nothing which is spoken is told as such.
func TestNoInterface(t *testing.T) {
	t.Parallel()
	for _, card := range []string{
		`{"name":"x","supportedInterfaces":[{"url":"agent.invalid:443","protocolBinding":"GRPC","protocolVersion":"1.0"}]}`,
		`{"name":"x","supportedInterfaces":[{"url":"file:///etc/passwd","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`,
		`{"name":"x","supportedInterfaces":[{"url":"https://x.invalid","protocolBinding":"JSONRPC","protocolVersion":"2.0"}]}`, `{}`, `[`,
	} {
		p, err := New(Config{Card: []byte(card)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Ask(t.Context(), Conversation{}, "hi"); !errors.Is(err, llm.ErrRefusedRequest) {
			t.Errorf("%s: %v", card, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	parrot := scripted{do: func(_ context.Context, said string, _ *a2asrv.ExecutorContext, write func(vendor.Event)) error {
		write(text(said))
		return nil
	}}
	s := serve(t, parrot, dialects["1.0 JSON-RPC"], false)
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

// TestAddressesByTheirNames: the SDK takes "URL" for "url", which whoever judged the card has not looked at.
func TestAddressesByTheirNames(t *testing.T) {
	t.Parallel()
	const rest = `"name":"n","description":"x","version":"1","capabilities":{},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[]`
	for text, want := range map[string][]string{
		`{"supportedInterfaces":[{"url":"https://a.example.com","URL":"https://b.example.com","protocolBinding":"JSONRPC","protocolVersion":"1.0"},
			{"url":"https://c.example.com","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],` + rest + `}`: {"https://c.example.com"},
		`{"SupportedInterfaces":[{"url":"https://a.example.com","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],` + rest + `}`: nil,
		`{"protocolVersion":"0.3.0","url":"https://a.example.com","preferredTransport":"JSONRPC",` + rest + `}`:                      {"https://a.example.com"},
		`{"protocolVersion":"0.3.0","url":"https://a.example.com","Url":"https://b.example.com",` + rest + `}`:                       nil,
		`{"protocolVersion":"0.2.6","url":"https://a.example.com",` + rest + `}`:                                                     {"https://a.example.com"},
	} {
		card, err := parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, i := range card.SupportedInterfaces {
			got = append(got, i.URL)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", text, got, want)
		}
	}
}

// TestSecuredCard: the SDK takes requirements in another form than that of A2A 1.0, which is the one that cards have.
func TestSecuredCard(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"1.0": `{"name":"n","description":"x","version":"1","capabilities":{},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],
			"supportedInterfaces":[{"url":"https://a.example.com","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],
			"securitySchemes":{"bearer":{"httpAuthSecurityScheme":{"scheme":"bearer"}}},"securityRequirements":[{"schemes":{"bearer":{}}},{"schemes":{"o":{"list":["a"]}}}],
			"skills":[{"id":"a","name":"A","description":"x","tags":["t"],"inputModes":["image/png"],"securityRequirements":[{"schemes":{"bearer":{"list":["b"]}}}]}],
			"signatures":[{"protected":"e30","signature":"AA","header":{"a":1}}]}`,
		"0.3": `{"name":"n","description":"x","version":"1","capabilities":{},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],
			"protocolVersion":"0.3.0","url":"https://a.example.com","securitySchemes":{"b":{"type":"http","scheme":"bearer"}},"security":[{"b":[]}],
			"skills":[{"id":"a","name":"A","description":"x","tags":["t"],"inputModes":["image/png"],"security":[{"b":[]}]}]}`,
	} {
		card, err := parse([]byte(text))
		if err != nil || len(card.SupportedInterfaces) != 1 || !slices.Equal(inputModes(card), []string{"text/plain", "image/png"}) {
			t.Errorf("%s: %+v, %v", name, card, err)
		}
	}
}

// TestLargeAnswer: an answer that is not streamed is read as a whole, too, and asking again would bring it again.
func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			fmt.Fprintf(w, `{"name":"large","description":"x","version":"1","capabilities":{},"defaultInputModes":["text/plain"],
				"defaultOutputModes":["text/plain"],"skills":[],
				"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`, s.URL)
			return
		}
		asked.Add(1)
		blanks := []byte(strings.Repeat(" ", 1<<20))
		for range 2 * maxAnswer / len(blanks) {
			if _, err := w.Write(blanks); err != nil {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	p, err := New(Config{BaseURL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ask(t.Context(), p, "", "hello")
	if !errors.Is(err, llm.ErrRefusedRequest) || !strings.Contains(err.Error(), "answer is larger") || asked.Load() != 1 {
		t.Errorf("got %v after %d requests", err, asked.Load())
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
