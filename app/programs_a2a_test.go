package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// waiter is an agent of somebody else's that speaks A2A: it keeps what was ordered in each context, and asks back for a size.
const waiter = `
import http.server, json, os, uuid
orders, asked = {}, {}
def message(text, context, task=None):
    m = {"kind": "message", "role": "agent", "messageId": str(uuid.uuid4()), "contextId": context, "parts": [{"kind": "text", "text": text}]}
    return dict(m, taskId=task) if task else m
def status(task, context, state, said=None, final=False):
    s = dict({"state": state}, **({"message": message(said, context, task)} if said else {}))
    return {"kind": "status-update", "taskId": task, "contextId": context, "final": final, "status": s}
def piece(task, context, artifact, text, append):
    return {"kind": "artifact-update", "taskId": task, "contextId": context, "append": append, "lastChunk": False,
            "artifact": {"artifactId": artifact, "parts": [{"kind": "text", "text": text}]}}
def answer(m):
    context, said = m["contextId"], m["parts"][0]["text"]
    known = orders.setdefault(context, [])
    if m.get("taskId"):
        task, what = m["taskId"], said + " " + asked.pop(m["taskId"])
        known.append(what)
        yield status(task, context, "working")
        yield piece(task, context, "a", "A ", False)
        for word in [what, " is on its way."]:
            yield piece(task, context, "a", word, True)
        yield status(task, context, "completed", final=True)
    elif said.startswith("Order a "):
        task = str(uuid.uuid4())
        asked[task] = said[len("Order a "):]
        yield {"kind": "task", "id": task, "contextId": context, "status": {"state": "submitted"}}
        yield status(task, context, "input-required", "Which size?", final=True)
    else:
        yield message("You ordered: " + (", ".join(known) or "nothing") + ".", context)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        card = {"name": "waiter", "description": "Takes orders.", "version": "1", "protocolVersion": "0.3.0", "url": "http://127.0.0.1:8701/rpc",
                "preferredTransport": "JSONRPC", "capabilities": {"streaming": True}, "skills": [], "defaultInputModes": ["text/plain"],
                "defaultOutputModes": ["text/plain"]}
        body = json.dumps(card).encode() if self.path == "/.well-known/agent-card.json" else b""
        self.send_response(200 if body else 404); self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_POST(self):
        rpc = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer " + os.environ["WAITER_TOKEN"] or rpc["method"] != "message/stream":
            self.send_response(401); self.send_header("Content-Length", "0"); self.end_headers()
            return
        print("asked", rpc["params"]["message"]["parts"][0]["text"], flush=True)
        self.send_response(200); self.send_header("Content-Type", "text/event-stream"); self.send_header("Connection", "close"); self.end_headers()
        self.close_connection = True
        for event in answer(rpc["params"]["message"]):
            self.wfile.write(b"data: " + json.dumps({"jsonrpc": "2.0", "id": rpc["id"], "result": event}).encode() + b"\n\n")
            self.wfile.flush()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8701), Handler).serve_forever()
`

// TestProgramsOverA2A hosts an agent that speaks A2A. It answers two people over both faces, each in a context of their own, in pieces, asks
// back, and is answered by the next message. What was said is in the session log, of which the program keeps nothing.
func TestProgramsOverA2A(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	api := s.Admin.In(t)
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "Waiter", "model": "offline"}, &made)
	own, compat := "/v1/agents/"+made.ID, agentoPrefix+"/v1/agents/"+made.ID
	api.Call("PUT", own+"/secrets", m{"secrets": m{"WAITER_TOKEN": "apron-4711-apron"}}, nil)
	api.Call("PATCH", own+"/hosting", m{"program": m{
		"command": []string{"python3", "-u", "-c", waiter}, "port": 8701, "protocol": "a2a", "token_name": "WAITER_TOKEN",
	}}, nil)
	var hosted hostedAgent
	if api.Call("POST", own+"/start", nil, &hosted); hosted.Status != "running" {
		t.Fatalf("hosted: %+v", hosted)
	}
	same(t, "Which size?", chat(t, api, compat+"/chat/messages", m{"message": "Order a pizza", "peerId": "ada"}).text)
	same(t, "You ordered: nothing.", chat(t, api, own+"/chat/messages", m{"message": "What did I order?", "peer_id": "bob"}).text)

	events := api.Stream("POST", own+"/chat/messages", m{"message": "large", "peer_id": "ada"})
	var pieces []string
	for _, e := range events.Rest() {
		var piece struct{ Type, Content string }
		if err := json.Unmarshal(e.Data, &piece); err != nil {
			t.Fatalf("%s: %v", e.Data, err)
		}
		if piece.Type == "text" {
			pieces = append(pieces, piece.Content)
		}
	}
	events.Close()
	same(t, "A large pizza is on its way.", strings.Join(pieces, ""))
	if len(pieces) < 2 {
		t.Errorf("the answer comes as %q", pieces)
	}
	same(t, "You ordered: large pizza.", chat(t, api, own+"/chat/messages", m{"message": "What did I order?", "peer_id": "ada"}).text)
	same(t, "You ordered: nothing.", chat(t, api, compat+"/chat/messages", m{"message": "And I?", "peerId": "bob"}).text)

	history := func(path string) []string {
		var list struct {
			Data []struct{ Role, Content string }
		}
		api.Call("GET", path, nil, &list)
		var said []string
		for _, one := range list.Data {
			said = append(said, one.Role+": "+one.Content)
		}
		return said
	}
	want := []string{
		"user: Order a pizza", "assistant: Which size?", "user: large", "assistant: A large pizza is on its way.", "user: What did I order?",
		"assistant: You ordered: large pizza.",
	}
	same(t, want, history(compat+"/chat/messages?peerId=ada"))
	if log := logText(api, made.ID); !strings.Contains(log, "asked large") {
		t.Errorf("the log:\n%s", log)
	}
	api.Call("POST", own+"/restart", nil, &hosted)
	same(t, "You ordered: nothing.", chat(t, api, compat+"/chat/messages", m{"message": "And now?", "peerId": "ada"}).text)
	same(t, append(want, "user: And now?", "assistant: You ordered: nothing."), history(compat+"/chat/messages?peerId=ada"))
}
