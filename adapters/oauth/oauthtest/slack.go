package oauthtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// Slack is a Slack with an app that anybody may install in any workspace: the workspace "T1" has the bot "UT1".
type Slack struct {
	*provider

	// Rotate has tokens expire after this many seconds, with a refresh token; 0 has them last.
	Rotate int
}

// NewSlack starts one, for the duration of the test.
func NewSlack(tb testing.TB) *Slack {
	s := &Slack{provider: newProvider(tb)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/v2/authorize", s.authorize)
	mux.HandleFunc("POST /api/oauth.v2.access", s.access)
	mux.HandleFunc("POST /api/chat.postMessage", s.method("post", s.post))
	mux.HandleFunc("POST /api/conversations.replies", s.method("find", s.find))
	mux.HandleFunc("POST /api/conversations.history", s.method("find", s.find))
	mux.HandleFunc("POST /api/apps.uninstall", s.method("revoke", s.uninstall))
	mux.HandleFunc("POST /api/auth.revoke", s.method("revoke token", s.revoke))
	s.Config.Handler = mux
	s.Start()
	return s
}

func (s *Slack) answer(w http.ResponseWriter, body map[string]any, problem string) {
	if problem != "" {
		body = map[string]any{"ok": false, "error": problem}
	} else {
		body["ok"] = true
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func (s *Slack) access(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.next("token") {
	case Down:
		hangUp()
	case Broken:
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	id, secret, _ := r.BasicAuth()
	team, problem := "", ""
	switch {
	case id != ClientID:
		problem = "invalid_client_id"
	case secret != ClientSecret:
		problem = "bad_client_secret"
	case r.PostForm.Get("grant_type") == "authorization_code":
		team, problem = s.redeem(r)
	case r.PostForm.Get("grant_type") == "refresh_token":
		old := r.PostForm.Get("refresh_token")
		if team = s.refresh[old]; team == "" {
			problem = "invalid_refresh_token"
		}
		delete(s.refresh, old)
	default:
		problem = "invalid_grant_type"
	}
	token := random("xoxb-")
	body := map[string]any{
		"access_token": token, "token_type": "bot", "scope": "app_mentions:read,chat:write", "bot_user_id": "U" + team, "app_id": "A1",
		"team": map[string]any{"id": team, "name": "Team " + team}, "enterprise": nil, "is_enterprise_install": false,
		"authed_user": map[string]any{"id": "UADMIN"},
	}
	if problem == "" {
		s.tokens[token] = team
		if s.Rotate > 0 {
			next := random("xoxe-")
			s.refresh[next] = team
			body["refresh_token"], body["expires_in"] = next, s.Rotate
		}
	}
	s.answer(w, body, problem)
}

// method is a call of the Web API with a token.
func (s *Slack) method(what string, do func(r *http.Request, team string) (map[string]any, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		s.mu.Lock()
		defer s.mu.Unlock()
		trouble := s.next(what)
		team, good := s.tokens[bearer(r)]
		switch {
		case trouble == Down:
			hangUp()
		case trouble == TooMany:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		case trouble == Broken:
			w.WriteHeader(http.StatusInternalServerError)
			return
		case trouble == Forbidden:
			s.answer(w, nil, "missing_scope")
			return
		case !good || trouble == Revoked:
			s.answer(w, nil, "invalid_auth")
			return
		}
		body, problem := do(r, team)
		if trouble == Lost {
			hangUp()
		}
		s.answer(w, body, problem)
	}
}

func (s *Slack) post(r *http.Request, _ string) (map[string]any, string) {
	f := r.PostForm
	switch {
	case f.Get("channel") == "":
		return nil, "channel_not_found"
	case f.Get("text") == "":
		return nil, "no_text"
	}
	ts := fmt.Sprintf("%d.%06d", time.Now().Unix(), len(s.said)+1)
	s.said = append(s.said, Said{
		Token: bearer(r), Channel: f.Get("channel"), Thread: f.Get("thread_ts"), Text: f.Get("text"), Name: f.Get("username"), Avatar: f.Get("icon_url"),
		ID: ts, Metadata: f.Get("metadata"),
	})
	return map[string]any{"ts": ts, "channel": f.Get("channel")}, ""
}

func (s *Slack) find(r *http.Request, _ string) (map[string]any, string) {
	found := []map[string]any{}
	for _, m := range s.said {
		if m.Channel == r.PostForm.Get("channel") && m.Thread == r.PostForm.Get("ts") {
			found = append(found, map[string]any{"ts": m.ID, "text": m.Text, "metadata": json.RawMessage(m.Metadata)})
		}
	}
	return map[string]any{"messages": found, "has_more": false}, ""
}

func (s *Slack) uninstall(r *http.Request, team string) (map[string]any, string) {
	if r.PostForm.Get("client_id") != ClientID || r.PostForm.Get("client_secret") != ClientSecret {
		return nil, "bad_client_secret"
	}
	for token, t := range s.tokens {
		if t == team {
			delete(s.tokens, token)
		}
	}
	return map[string]any{}, ""
}

func (s *Slack) revoke(r *http.Request, _ string) (map[string]any, string) {
	delete(s.tokens, bearer(r))
	return map[string]any{"revoked": true}, ""
}

// Mention is the body of an event in which somebody addresses the bot of a team. thread is "" for a message that begins one.
func Mention(event, team, channel, ts, thread, text string) string {
	return slackEvent(event, team, map[string]any{
		"type": "app_mention", "user": "UHUMAN", "text": "<@U" + team + "> " + text, "ts": ts, "thread_ts": thread, "channel": channel,
	})
}

// Direct is the body of an event in which somebody writes to the bot alone.
func Direct(event, team, channel, ts, text string) string {
	return slackEvent(event, team, map[string]any{
		"type": "message", "channel_type": "im", "user": "UHUMAN", "text": text, "ts": ts, "channel": channel,
	})
}

// SlackEvent is the body of an event of a team.
func SlackEvent(event, team string, inner map[string]any) string {
	return slackEvent(event, team, inner)
}

func slackEvent(event, team string, inner map[string]any) string {
	if inner["thread_ts"] == "" {
		delete(inner, "thread_ts")
	}
	b, err := json.Marshal(map[string]any{
		"type": "event_callback", "event_id": event, "team_id": team, "api_app_id": "A1", "event_time": time.Now().Unix(), "event": inner,
		"authorizations": []any{map[string]any{"team_id": team, "user_id": "U" + team, "is_bot": true}},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TS is a message's time as Slack writes it; n tells messages of one second apart.
func TS(at time.Time, n int) string { return fmt.Sprintf("%d.%06d", at.Unix(), n) }

// SlackHeaders sign a body at a time, as "Name: value" lines.
func SlackHeaders(body string, at time.Time) []string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(HookSecret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	return []string{"X-Slack-Request-Timestamp: " + stamp, "X-Slack-Signature: v0=" + hex.EncodeToString(mac.Sum(nil))}
}
