package app_test

import "testing"

// peers has a peer of the world's give its helper a task, which ends.
func (w *world) peers(t *testing.T) {
	t.Helper()
	var answer struct {
		Result struct {
			Task struct {
				ID     string
				Status struct{ State string }
			}
		}
	}
	w.api.Call("POST", a2aPrefix+"/"+w.helper, m{
		"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": m{"message": m{
			"messageId": w.name, "role": "ROLE_USER", "contextId": w.name, "parts": []m{{"text": "Tell me your name, " + w.name + "."}},
		}},
	}, &answer)
	if w.peerTask = answer.Result.Task.ID; answer.Result.Task.Status.State != "TASK_STATE_COMPLETED" {
		t.Fatalf("the task: %+v", answer)
	}
}
