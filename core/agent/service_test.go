package agent_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

type (
	anyTX         struct{ tx.Runner }
	anyRepository struct{ agent.Repository }
	anyModel      struct{}
	anyTrail      struct{ agent.Trail }
)

func (anyModel) CheckModel(context.Context, account.Scope, string) error { return nil }

func TestNewServiceNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	whole := agent.Deps{
		TX: anyTX{}, Clock: clock.Func(time.Now), IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler),
		Repository: anyRepository{}, Models: anyModel{}, Trail: anyTrail{},
	}
	if _, err := agent.NewService(whole, agent.ServiceConfig{}); err != nil {
		t.Fatal(err)
	}
	for name, drop := range map[string]func(*agent.Deps){
		"TX": func(d *agent.Deps) { d.TX = nil }, "Clock": func(d *agent.Deps) { d.Clock = nil }, "IDs": func(d *agent.Deps) { d.IDs = nil },
		"Logger": func(d *agent.Deps) { d.Logger = nil }, "Repository": func(d *agent.Deps) { d.Repository = nil },
		"Models": func(d *agent.Deps) { d.Models = nil }, "Trail": func(d *agent.Deps) { d.Trail = nil },
	} {
		d := whole
		drop(&d)
		if _, err := agent.NewService(d, agent.ServiceConfig{}); err == nil || !strings.Contains(err.Error(), "Deps."+name+" is required") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestPatchLeavesTheOldConfigAlone(t *testing.T) {
	t.Parallel()
	old := agent.Config{
		Name: "a", System: "s", Metadata: map[string]string{"keep": "1", "drop": "2"}, Skills: []agent.SkillRef{{ID: "x"}},
	}
	two := "3"
	got := agent.Patch{
		Name: agent.Set("b"), System: agent.Set(""), Skills: agent.Set[[]agent.SkillRef](nil),
		Metadata: map[string]*string{"drop": nil, "new": &two},
	}.Apply(old)
	want := agent.Config{Name: "b", Metadata: map[string]string{"keep": "1", "new": "3"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	was := agent.Config{
		Name: "a", System: "s", Metadata: map[string]string{"keep": "1", "drop": "2"}, Skills: []agent.SkillRef{{ID: "x"}},
	}
	if diff := cmp.Diff(was, old); diff != "" {
		t.Errorf("the old one changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(old, agent.Patch{}.Apply(old)); diff != "" {
		t.Errorf("an empty patch (-want +got):\n%s", diff)
	}
	cleared := agent.Patch{ClearMetadata: true, Metadata: map[string]*string{"new": &two}}.Apply(old)
	if diff := cmp.Diff(map[string]string{"new": "3"}, cleared.Metadata); diff != "" {
		t.Errorf("cleared (-want +got):\n%s", diff)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	set := agent.Tool{
		Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow},
		Configs: []agent.ToolConfig{{Name: "bash", Enabled: false, Permission: agent.AlwaysAsk}},
	}
	for name, want := range map[string]bool{"read": true, "bash": false, "fly": false} {
		if got, _ := set.Lookup(name); got != want {
			t.Errorf("%s is enabled: %v; want %v", name, got, want)
		}
	}
	if _, p := set.Lookup("bash"); p != agent.AlwaysAsk {
		t.Errorf("bash has the permission %s", p)
	}
}
