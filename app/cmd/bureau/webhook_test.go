package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWebhookCommands(t *testing.T) {
	c := newTerminal(t)
	var hook struct{ ID, Secret string }
	if err := json.Unmarshal([]byte(c.must("webhook", "create", "http://localhost:9/x", "--event", "agent.*,webhook.test")), &hook); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hook.ID, "whk_") || !strings.HasPrefix(hook.Secret, "whsec_") {
		t.Fatalf("%+v", hook)
	}
	c.wants([]string{hook.ID, "http://localhost:9/x", "agent.*,webhook.test", "enabled"}, "webhook", "list")
	if out := c.must("webhook", "list"); strings.Contains(out, hook.Secret) {
		t.Error("the list shows the secret")
	}
	c.wants([]string{"queued att_", "webhook.test"}, "webhook", "test", hook.ID)
	c.wants([]string{"att_", "webhook.test"}, "webhook", "deliveries", hook.ID)
	c.wants([]string{"deleted " + hook.ID}, "webhook", "delete", hook.ID)
}
