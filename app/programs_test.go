package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// parrot is an agent of somebody else's: a program that speaks OpenAI's protocol, wants a token, and remembers nothing.
const parrot = `
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = self.headers["Authorization"] == "Bearer " + os.environ["PARROT_TOKEN"]
        print("asked as", asked["model"], "with", self.headers["Authorization"], flush=True)
        self.send_response(200 if good else 401); self.send_header("Content-Type", "text/event-stream"); self.send_header("Connection", "close"); self.end_headers()
        self.close_connection = True
        soul = open("SOUL.md").read()
        last = asked["messages"][-1]["content"]
        said = last if isinstance(last, str) else last[0]["text"]
        texts = [m for m in asked["messages"] if m["role"] == "user"]
        for piece in ["Squawk: ", said, " (message %d, %s, tools %s)" % (len(texts), soul, "tools" in asked)]:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"], "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        chunk["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n")
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8700), Handler).serve_forever()
`

// TestPrograms hosts an agent that is a program of its own: started with its documents and secrets, asked for its health, talked to in
// place of a model, with its output in the agent's log and without its secrets there.
func TestPrograms(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	api := s.Admin.In(t)
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "Polly", "model": "offline"}, &made)
	agent := "/v1/agents/" + made.ID
	api.Call("PUT", agent+"/personality", m{"soul_md": "I am a parrot."}, nil)
	api.Call("PUT", agent+"/secrets", m{"secrets": m{"PARROT_TOKEN": "cracker-4711-cracker"}}, nil)
	api.Call("PATCH", agent+"/hosting", m{"program": m{
		"command": []string{"python3", "-u", "-c", parrot}, "port": 8700, "health_path": "/health", "model": "polly", "token_name": "PARROT_TOKEN",
	}}, nil)
	var hosted struct {
		Status    string
		LastError *string `json:"last_error"`
	}
	api.Call("POST", agent+"/start", nil, &hosted)
	if hosted.Status != "running" {
		t.Fatalf("status %q, %v", hosted.Status, hosted.LastError)
	}
	say := func(text string) string {
		t.Helper()
		events := api.Stream("POST", agent+"/chat/messages", m{"message": text})
		defer events.Close()
		said := ""
		for _, e := range events.Rest() {
			var piece struct{ Content, Message string }
			if err := json.Unmarshal(e.Data, &piece); err != nil {
				t.Fatalf("%s: %v", e.Data, err)
			}
			said += piece.Content + piece.Message
		}
		return said
	}
	same(t, "Squawk: Hello! (message 1, I am a parrot., tools False)", say("Hello!"))
	same(t, "Squawk: Again. (message 2, I am a parrot., tools False)", say("Again."))
	var logs struct {
		Data []struct{ Text string }
	}
	api.Call("GET", agent+"/logs", nil, &logs)
	all := ""
	for _, line := range logs.Data {
		all += line.Text + "\n"
	}
	if !strings.Contains(all, "asked as polly with Bearer [redacted") || strings.Contains(all, "cracker") {
		t.Errorf("the log: %s", all)
	}

	api.Call("PUT", agent+"/secrets", m{"secrets": m{"PARROT_TOKEN": "another-4712-another"}}, nil)
	api.Call("POST", agent+"/restart", nil, &hosted)
	same(t, "Squawk: Anew. (message 3, I am a parrot., tools False)", say("Anew."))

	api.Call("POST", agent+"/stop", nil, nil)
	api.Refuse(409, "POST", agent+"/chat/messages", m{"message": "Gone?"})
}
