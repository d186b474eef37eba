package app_test

import (
	"slices"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// peerTask is an A2A task as its operator sees it.
type peerTask struct {
	ID, State, Reason, Rule string
	AgentID                 string `json:"agent_id"`
	APIKeyID                string `json:"api_key_id"`
	ContextID               string `json:"context_id"`
	SessionID               string `json:"session_id"`
	EventID                 string `json:"event_id"`
	Files                   []struct{ Path, Filename string }
}

// TestPeerTasks lists what two peers asked of an agent, for its operator.
func TestPeerTasks(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		b := newBench(t, cfg, nil, nil)
		api := b.s.Admin.In(t)
		var other struct{ ID, Key string }
		api.Call("POST", "/v1/api_keys", m{"name": "another peer", "scopes": []string{"chat"}}, &other)
		first := newA2APeer(t, b.s, "1.0 JSON-RPC", b.s.Admin, b.agent)
		second := newA2APeer(t, b.s, "0.3 HTTP+JSON", b.s.As(other.Key), b.agent)
		made := first.send(saysText("Use the bash tool to run `echo one > /mnt/session/outputs/note.txt`"))
		next := saysText("Hello")
		next.ContextID = made.ContextID
		plain, theirs := first.send(next), second.send(saysText("Hello"))
		api.Call("POST", "/v1/agents/"+b.agent+"/freeze", m{"reason": "a test"}, nil)
		rejected := second.send(saysText("Are you there?"))
		all := []string{string(rejected.ID), string(theirs.ID), string(plain.ID), string(made.ID)}

		list := func(query string, want ...string) {
			t.Helper()
			var got []string
			for _, task := range apptest.All[peerTask](api, "/v1/agents/"+b.agent+"/a2a_tasks?"+query) {
				got = append(got, task.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", query, got, want)
			}
		}
		list("", all...)
		list("limit=1", all...)
		list("state=completed", all[1:]...)
		list("state=rejected", all[0])
		list("api_key_id="+other.ID, all[:2]...)
		list("context_id="+made.ContextID, all[2:]...)
		list("context_id=nothing")
		api.Refuse(400, "GET", "/v1/agents/"+b.agent+"/a2a_tasks?state=odd", nil)
		api.Refuse(404, "GET", "/v1/agents/agent_01h455vb4pex5vsknk084sn02q/a2a_tasks", nil)
		api.Refuse(404, "GET", "/v1/a2a_tasks/turn_01h455vb4pex5vsknk084sn02q", nil)
		for _, path := range []string{"/v1/agents/" + b.agent + "/a2a_tasks", "/v1/a2a_tasks/" + all[1]} { // a peer sees no other peers
			b.s.As(other.Key).In(t).Refuse(403, "GET", path, nil)
		}

		var one peerTask
		api.Call("GET", "/v1/a2a_tasks/"+all[3], nil, &one)
		if one.AgentID != b.agent || one.State != "completed" || one.ContextID != made.ContextID || one.SessionID == "" || one.APIKeyID == other.ID ||
			len(one.Files) != 1 || one.Files[0].Path != "note.txt" {
			t.Errorf("%+v", one)
		}
		event := slices.ContainsFunc(apptest.All[event](api, "/v1/sessions/"+one.SessionID+"/events"), func(e event) bool { return e.ID == one.EventID })
		if !event {
			t.Errorf("%s is no event of %s", one.EventID, one.SessionID)
		}
		api.Call("GET", "/v1/a2a_tasks/"+all[0], nil, &one)
		if one.State != "rejected" || one.Reason == "" || one.Rule != "frozen" || one.APIKeyID != other.ID {
			t.Errorf("%+v", one)
		}
	})
}
