package app_test

import (
	"context"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

// startUnhosted starts a server on whose host nothing is run, for tests that host many agents and look at none of their programs.
func startUnhosted(t *testing.T, cfg apptest.Config) *apptest.Server {
	t.Helper()
	cfg.Options = append(cfg.Options, app.WithHost(runtimetest.NewFakeHost(), answers{}))
	return apptest.Start(t, cfg)
}

// answers is a prober for which every instance does.
type answers struct{}

func (answers) Probe(context.Context, hosting.Deployment, string) error { return nil }

// hosts has the world's agent run and talk to somebody.
func (w *world) hosts(t *testing.T) {
	t.Helper()
	of := "/v1/agents/" + w.agent
	var at struct{ Status string }
	w.api.Call("POST", of+"/start", nil, &at)
	if at.Status != "running" {
		t.Fatalf("the agent is %s", at.Status)
	}
	peer := plain["peer_id"]
	w.api.Stream("POST", of+"/chat/messages", m{"message": "My name is " + w.name + ".", "peer_id": peer, "context": m{"of": w.name}}).Rest()
	chats := apptest.All[struct{ ID string }](w.api, of+"/chat/sessions?peer_id="+peer)
	if len(chats) != 1 || len(apptest.All[m](w.api, of+"/chat/messages?session_id="+chats[0].ID)) < 2 {
		t.Fatalf("talked in %v", chats)
	}
	w.chat = chats[0].ID
}

// hostedBody is agentBody of an agent that is to be in the swarm, and to run a program of its own.
func (w *world) hostedBody() m {
	body := w.agentBody()
	body["swarm_id"] = w.swarm
	body["hosting"] = m{
		"region": "us", "config": m{"of": w.name, "llmProvider": "openai"}, "avatar_url": "https://img.invalid/" + w.name + ".png",
		"program": m{
			"image": w.name + ".invalid/agent:1", "command": []string{"serve", w.name}, "port": 8000, "protocol": "a2a", "health_path": "/healthz",
			"model": w.name, "token_name": "PROGRAM_TOKEN", "network": m{"mode": "limited", "hosts": []string{w.name + ".example"}},
		},
		"limits":  m{"memory": 64 << 20, "cpu": 500, "processes": 32, "open_files": 256, "disk": 64 << 20},
		"secrets": m{"openai_api_key": "sk-" + w.name + "-key", "PROGRAM_TOKEN": w.name + "-token"},
		"soul":    "# SOUL.md\n\n" + w.name, "identity": "# " + w.name, "workflow": "# Workflow\n\n" + w.name,
	}
	return body
}

// hostingBodies are valid bodies of the operations that host agents, in this world's ids.
func (w *world) hostingBodies() m {
	patch := m{"region": "us", "config": m{"of": w.name}, "avatar_url": "https://img.invalid/" + w.name + ".png", "limits": m{"memory": 64 << 20}}
	return m{"updateHosting": patch, "putHosting": patch}
}

// hostingAgentoBodies are the same of the agento face.
func (w *world) hostingAgentoBodies() m {
	return m{
		"createAgent": m{
			"name": w.name + " hosted", "region": "us", "secrets": m{"openaiApiKey": "sk-" + w.name + "-key"}, "config": m{"llmProvider": "offline"},
			"soulMd": "# SOUL.md\n\n" + w.name, "workflowMd": "# Workflow\n\n" + w.name, "swarmId": w.swarm,
		},
		"updateAgent": m{"name": w.name + " again", "avatarUrl": "https://img.invalid/" + w.name + ".png", "config": m{"of": w.name}, "swarmId": w.swarm},
	}
}
