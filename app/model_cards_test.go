package app_test

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// card is a model card as the API answers it.
type card struct {
	ID            string
	ModelID       string `json:"model_id"`
	Model         string
	Provider      string
	APIKeyPreview string            `json:"api_key_preview"`
	BaseURL       *string           `json:"base_url"`
	CustomHeaders map[string]string `json:"custom_headers"`
	IsDefault     bool              `json:"is_default"`
	Probe         *struct{ OK bool }
}

// ask talks to an agent and returns what it said, and the provider and the model that answered.
func ask(t *testing.T, api *apptest.Client, agent, text string) (said, model string) {
	t.Helper()
	var made struct{ ID string }
	api.Call("POST", "/v1/sessions", m{"agent": agent}, &made)
	return askIn(t, api, made.ID, text)
}

func askIn(t *testing.T, api *apptest.Client, session, text string) (said, model string) {
	t.Helper()
	talk := logged(t, api.Stream("POST", "/v1/sessions/"+session+"/messages", m{"content": text}).Rest())
	for _, e := range apptest.All[struct {
		Type, Model, Provider string
	}](api, "/v1/sessions/"+session+"/events") {
		if e.Type == "span.model_request_start" {
			model = e.Provider + "/" + e.Model
		}
	}
	return talk.last(t, "agent.message").text(), model
}

// TestModelCards plays a tenant's own models through the API: added, refused, used, rotated, deleted.
func TestModelCards(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		api, models := s.Admin.In(t), s.Models
		agentOf := func(model any) string {
			t.Helper()
			var made struct{ ID string }
			api.Call("POST", "/v1/agents", m{"name": "a", "model": model}, &made)
			return made.ID
		}
		early := agentOf("nobody-has-this") // without cards it runs offline, and says so

		body := m{"model_id": "claude", "provider": "ant-compatible", "model": "claude-x", "base_url": models.URL + "/v1/", "api_key": "sk-good-key-0001"}
		var c card
		api.Call("POST", "/v1/model_cards", body, &c)
		if c.Probe == nil || !c.Probe.OK || c.APIKeyPreview != "0001" || c.Model != "claude-x" {
			t.Fatalf("%+v", c)
		}
		probe := models.Seen()
		if len(probe) != 1 || probe[0].Path != "/v1/messages" || probe[0].Limit != 1 || probe[0].Key != "sk-good-key-0001" {
			t.Fatalf("%+v", probe)
		}
		if code, _ := api.Refuse(409, "POST", "/v1/model_cards", body); code != "model_card_exists" {
			t.Errorf("twice: %s", code)
		}

		// A card whose model does not answer is refused with what the provider said, and nothing is stored.
		for name, change := range map[string]m{
			"a bad key":         {"api_key": "sk-bad-key-0001"},
			"a wrong address":   {"base_url": models.URL + "/elsewhere/v1"},
			"a private address": {"base_url": "http://127.0.0.1:1"},
			"nobody there":      {"base_url": "http://nobody.invalid"},
		} {
			bad := m{"model_id": "other", "provider": "oai-compatible", "base_url": models.URL, "api_key": "sk-good-key-0002"}
			for k, v := range change {
				bad[k] = v
			}
			code, message := api.Refuse(400, "POST", "/v1/model_cards", bad)
			if code != "model_card_probe_failed" || strings.Contains(message, "sk-") || name == "a bad key" && !strings.Contains(message, "no such key") {
				t.Errorf("%s: %s %s", name, code, message)
			}
		}
		same(t, 1, len(apptest.All[card](api, "/v1/model_cards")))

		// Agents name it; what nothing resolves is a slip now, but an agent that had it before stays editable.
		agent := agentOf(m{"id": "claude"})
		said, model := ask(t, api, agent, "Who are you?")
		same(t, "I am claude-x ant-compatible/claude-x", said+" "+model)
		if code, _ := api.Refuse(400, "POST", "/v1/agents", m{"name": "b", "model": "claud"}); code != "model_unknown" {
			t.Errorf("slip: %s", code)
		}
		api.Refuse(400, "POST", "/v1/agents/"+agent, m{"model": "claud"})
		api.Call("POST", "/v1/agents/"+early, m{"name": "renamed"}, nil)
		if _, model = ask(t, api, early, "Hi"); model != "offline/offline" {
			t.Errorf("early agent ran on %s", model)
		}
		agentOf("offline")

		// A rotated key is used from the next call on, in the same session too; one that the model refuses changes nothing.
		var session struct{ ID string }
		api.Call("POST", "/v1/sessions", m{"agent": agent}, &session)
		askIn(t, api, session.ID, "One")
		api.Call("POST", "/v1/model_cards/"+c.ID, m{"api_key": "sk-good-key-0003", "model": "claude-y", "custom_headers": m{"X-Team": "red-team-secret"}}, &c)
		if c.APIKeyPreview != "0003" || c.CustomHeaders["X-Team"] != "[redacted]" || c.Probe == nil {
			t.Fatalf("%+v", c)
		}
		said, _ = askIn(t, api, session.ID, "Two")
		last := models.Seen()[len(models.Seen())-1]
		if said != "I am claude-y" || last.Key != "sk-good-key-0003" || last.Header.Get("X-Team") != "red-team-secret" {
			t.Errorf("%q %+v", said, last)
		}
		if code, _ := api.Refuse(400, "PATCH", "/v1/model_cards/"+c.ID, m{"api_key": "sk-bad-key"}); code != "model_card_probe_failed" {
			t.Errorf("bad rotation: %s", code)
		}
		api.Call("PUT", "/v1/model_cards/"+c.ID, m{"custom_headers": m{"X-Team": "[redacted]", "X-More": "more"}, "is_default": true}, &c)
		askIn(t, api, session.ID, "Three")
		last = models.Seen()[len(models.Seen())-1]
		if last.Key != "sk-good-key-0003" || last.Header.Get("X-Team") != "red-team-secret" || last.Header.Get("X-More") != "more" {
			t.Errorf("%+v", last)
		}

		// The default card answers agents that name no model; there is one default.
		if said, _ = ask(t, api, agentOf("default"), "Who?"); said != "I am claude-y" {
			t.Errorf("default: %q", said)
		}
		var second card
		api.Call("POST", "/v1/model_cards", m{
			"model_id": "gpt", "provider": "oai-compatible", "base_url": models.URL, "api_key": "sk-good-key-0004", "is_default": true,
		}, &second)
		if said, _ = ask(t, api, agentOf("default"), "Who?"); said != "I am gpt" {
			t.Errorf("second default: %q", said)
		}
		api.Call("GET", "/v1/model_cards/"+c.ID, nil, &c)
		same(t, false, c.IsDefault)

		if code, _ := api.Refuse(403, "GET", "/v1/model_cards/"+c.ID+"/key", nil); code != "model_card_key_internal" {
			t.Errorf("key: %s", code)
		}
		api.Call("DELETE", "/v1/model_cards/"+c.ID, nil, nil)
		api.Refuse(404, "GET", "/v1/model_cards/"+c.ID, nil)
		api.Refuse(404, "DELETE", "/v1/model_cards/"+c.ID, nil)
		if _, model = ask(t, api, agent, "Still there?"); model != "offline/offline" {
			t.Errorf("after the card: %s", model)
		}
		for _, secret := range []string{"sk-good", "sk-bad", "red-team-secret"} {
			if strings.Contains(s.Log(), secret) {
				t.Errorf("the log holds %s", secret)
			}
		}
	})
}

// TestRedaction lets a model repeat secrets, in pieces, and a provider complain of its key: neither is in the log or in the stream.
func TestRedaction(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	api, models := s.Admin.In(t), s.Models
	var made struct{ ID string }
	api.Call("POST", "/v1/model_cards", m{
		"model_id": "parrot", "provider": "ant-compatible", "base_url": models.URL, "api_key": "sk-good-key-of-parrot",
	}, nil)
	api.Call("POST", "/v1/vaults", m{"display_name": "CRM", "secret": "crm-secret-value", "secret_name": "CRM_TOKEN"}, &made)
	vault := made.ID
	api.Call("POST", "/v1/agents", m{"name": "parrot", "model": "parrot"}, &made)
	agent := made.ID
	api.Call("POST", "/v1/sessions", m{"agent": agent, "vault_ids": []string{vault}}, &made)
	models.Reply(func(r apptest.ModelRequest) []string {
		return []string{"The key is ", r.Key[:5], r.Key[5:], ", the token is crm-sec", "ret-", "value", "."}
	})
	stream := api.Stream("POST", "/v1/sessions/"+made.ID+"/messages?include=chunks", m{"content": "Tell me."}).Rest()
	var seen string
	for _, e := range stream {
		seen += string(e.Data) + "\n"
	}
	events := string(api.Do("GET", "/v1/sessions/"+made.ID+"/events", nil).Body)
	for _, secret := range []string{"sk-good-key-of-parrot", "crm-secret-value", "secret-value"} {
		if strings.Contains(seen, secret) || strings.Contains(events, secret) {
			t.Errorf("%s is shown: %s", secret, seen)
		}
	}
	const want = "The key is [redacted:parrot], the token is [redacted:CRM_TOKEN]."
	if !strings.Contains(events, want) {
		t.Errorf("log %s", events)
	}
	if said := logged(t, stream).last(t, "agent.message").text(); said != want {
		t.Errorf("said %q", said)
	}
	if strings.Contains(s.Log(), "crm-secret") || strings.Contains(s.Log(), "sk-good") {
		t.Error("the server's log holds a secret")
	}
}
