package span

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestOriginsAreSmall(t *testing.T) {
	t.Parallel()
	many := Attributes{"service.name": "shop", "gen_ai.agent.name": strings.Repeat("é", 1<<20)}
	for i := range 5000 {
		many[fmt.Sprintf("attribute.%d", i)] = []any{int64(i)}
	}
	for name, o := range map[string]*Origin{
		"one long text":   {Resource: Attributes{"service.name": "shop", "command": strings.Repeat("x", 200_000)}, Scope: "lib"},
		"many attributes": {Resource: many, Scope: "lib"},
		"long names":      {Resource: Attributes{"service.name": "shop"}, Scope: "lib" + strings.Repeat(" ", 1<<20), ScopeVersion: strings.Repeat("1", 1<<20)},
	} {
		s := chat("00f067aa0ba902b7", "", nil)
		s.Origin = newOrigins().small(o)
		e, err := s.event(tenant, time.Now())
		if err != nil || len(e.Payload) > maxResource+4096 {
			t.Errorf("%s: the event has %d bytes, %v", name, len(e.Payload), err)
		}
		var payload struct{ Resource map[string]any }
		if err := json.Unmarshal(e.Payload, &payload); err != nil || payload.Resource["service.name"] != "shop" {
			t.Errorf("%s: %v, %v", name, payload.Resource["service.name"], err)
		}
		if (name != "long names") != (payload.Resource["truncated"] == true) {
			t.Errorf("%s: truncated is %v", name, payload.Resource["truncated"])
		}
	}
}

func TestOriginsAreMadeOnce(t *testing.T) {
	t.Parallel()
	resource := Attributes{"service.name": "shop", "command": strings.Repeat("x", 200_000)}
	small := newOrigins()
	a, b := small.small(&Origin{Resource: resource, Scope: "a"}), small.small(&Origin{Resource: resource, Scope: "b"})
	a.Resource["mark"] = true
	if b.Resource["mark"] != true || b.Scope != "b" {
		t.Error("a resource that two libraries share is made small twice")
	}
	if c := small.small(&Origin{Resource: Attributes{"service.name": "other"}}); c.Resource["service.name"] != "other" {
		t.Errorf("another resource is %v", c.Resource)
	}
	if c := small.small(&Origin{}); len(c.Resource) != 0 {
		t.Errorf("no resource is %v", c.Resource)
	}
}
