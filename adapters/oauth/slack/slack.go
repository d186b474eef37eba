// Package slack is the integration with Slack: it is installed by OAuth 2.0 (oauth.v2.access), hears of mentions and direct messages
// by the Events API, and speaks by chat.postMessage.
package slack

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/bureau-agents/bureau/adapters/oauth/internal/remote"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
)

// DefaultBaseURL is Slack's own.
const DefaultBaseURL = "https://slack.com"

// Info describes the integration.
func Info() integration.Info {
	return integration.Info{
		ID: "slack", Name: "Slack", Description: "Agents answer in channels when they are mentioned, and direct messages.",
		Scopes: []string{
			"app_mentions:read", "channels:history", "chat:write", "chat:write.customize", "groups:history", "im:history", "im:read",
		},
		Granularity: integration.PerThread,
	}
}

// Config is a Slack app. ClientID, ClientSecret and HTTP are required.
type Config struct {
	ClientID      string
	ClientSecret  string
	SigningSecret string // of the app's requests; "" believes none
	BaseURL       string // "" is DefaultBaseURL
	HTTP          *http.Client
}

// Provider is a Slack app. It is safe for concurrent use.
type Provider struct {
	cfg   Config
	oauth oauth2.Config
}

var _ integration.Provider = (*Provider)(nil)

// New returns the provider of an app, or an error that names what is missing.
func New(cfg Config) (*Provider, error) {
	switch {
	case cfg.ClientID == "":
		return nil, errors.New("slack: Config.ClientID is required")
	case cfg.ClientSecret == "":
		return nil, errors.New("slack: Config.ClientSecret is required")
	case cfg.HTTP == nil:
		return nil, errors.New("slack: Config.HTTP is required")
	}
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, DefaultBaseURL), "/")
	return &Provider{cfg: cfg, oauth: oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
		Endpoint: oauth2.Endpoint{
			AuthURL: cfg.BaseURL + "/oauth/v2/authorize", TokenURL: cfg.BaseURL + "/api/oauth.v2.access",
			AuthStyle: oauth2.AuthStyleInHeader, // asking both ways would use the code up
		},
	}}, nil
}

// Info implements integration.Provider.
func (p *Provider) Info() integration.Info { return Info() }

// AuthURL implements integration.Authorizer. Slack separates scopes by commas. PKCE is optional for an app with a secret; one that has not
// switched it on ignores it.
func (p *Provider) AuthURL(state, verifier, redirectURI string) string {
	cfg := p.oauth
	cfg.RedirectURL = redirectURI
	return cfg.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("scope", strings.Join(Info().Scopes, ",")))
}

// access is what Slack adds to the answer of oauth.v2.access.
type access struct {
	BotUserID    string
	Team         *named
	Enterprise   *named
	Organization bool
	AuthedUser   string
	Scope        string
	Type         string
}

type named struct{ ID, Name string }

func accessOf(t *oauth2.Token) access {
	text := func(v any) string { s, _ := v.(string); return s }
	group := func(name string) *named {
		m, ok := t.Extra(name).(map[string]any)
		if !ok || text(m["id"]) == "" {
			return nil
		}
		return &named{text(m["id"]), text(m["name"])}
	}
	a := access{
		BotUserID: text(t.Extra("bot_user_id")), Team: group("team"), Enterprise: group("enterprise"), Scope: text(t.Extra("scope")),
		Type: text(t.Extra("token_type")),
	}
	a.Organization, _ = t.Extra("is_enterprise_install").(bool)
	if u := group("authed_user"); u != nil {
		a.AuthedUser = u.ID
	}
	return a
}

// Exchange implements integration.Authorizer.
func (p *Provider) Exchange(ctx context.Context, code, verifier, redirectURI string) (integration.Grant, error) {
	cfg := p.oauth
	cfg.RedirectURL = redirectURI
	t, err := remote.Exchange(ctx, p.cfg.HTTP, cfg, code, verifier)
	if err != nil {
		return integration.Grant{}, err
	}
	a := accessOf(t)
	g := integration.Grant{Token: remote.TokenOf(t), BotUserID: a.BotUserID, AuthorizedBy: a.AuthedUser}
	if a.Scope != "" {
		g.Scopes = strings.Split(a.Scope, ",")
	}
	switch {
	case a.Organization && a.Enterprise != nil:
		g.WorkspaceID, g.WorkspaceName, g.Kind = a.Enterprise.ID, a.Enterprise.Name, "enterprise"
	case a.Team != nil:
		g.WorkspaceID, g.WorkspaceName, g.Kind = a.Team.ID, a.Team.Name, "team"
	default:
		return integration.Grant{}, integration.ErrExchange.Withf("Slack does not say which workspace it is")
	}
	g.Accounts = []string{g.WorkspaceID}
	return g, nil
}

// Refresh implements integration.Authorizer.
func (p *Provider) Refresh(ctx context.Context, t integration.Token) (integration.Token, error) {
	return remote.Refresh(ctx, p.cfg.HTTP, p.oauth, t)
}

// ended are the errors that say that a token is not good any more.
var ended = []string{"invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed", "app_uninstalled", "team_access_not_granted"}

// Revoke implements integration.Authorizer: it uninstalls the app from the workspace, which ends all of its tokens there.
func (p *Provider) Revoke(ctx context.Context, t integration.Token) error {
	_, err := p.call(ctx, "apps.uninstall", t.Access, url.Values{"client_id": {p.cfg.ClientID}, "client_secret": {p.cfg.ClientSecret}})
	if errors.Is(err, integration.ErrRevoked) {
		return nil
	}
	if !errors.Is(err, integration.ErrRefused) {
		return err
	}
	// A token that may not uninstall may end itself.
	_, err = p.call(ctx, "auth.revoke", t.Access, url.Values{})
	if errors.Is(err, integration.ErrRevoked) {
		return nil
	}
	return err
}

// call calls a method of the Web API and returns its answer.
func (p *Provider) call(ctx context.Context, method, token string, args url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.BaseURL+"/api/"+method, strings.NewReader(args.Encode()))
	if err != nil {
		return nil, fmt.Errorf("slack: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	a, err := remote.Do(p.cfg.HTTP, req)
	if err != nil {
		return nil, err
	}
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	switch err := json.Unmarshal(a.Body, &answer); {
	case err != nil:
		return nil, integration.ErrUnreachable.Withf("Slack answered with status %d and no JSON", a.Status)
	case answer.OK:
		return a.Body, nil
	case slices.Contains(ended, answer.Error):
		return nil, integration.ErrRevoked.Withf("Slack does not accept the token any more: %s", remote.Code(answer.Error))
	case answer.Error == "ratelimited" || answer.Error == "rate_limited":
		return nil, integration.ErrRateLimited.WithRetry(remote.RetryAfter(a.Header, time.Now()))
	case slices.Contains([]string{"fatal_error", "internal_error", "service_unavailable", "request_timeout"}, answer.Error):
		return nil, integration.ErrUnreachable.Withf("Slack answered with %s", remote.Code(answer.Error))
	}
	return nil, integration.ErrRefused.Withf("Slack refused %s: %s", method, remote.Code(answer.Error))
}

// keyEvent is the event type of the metadata that messages carry, so that they are found again.
const keyEvent = "bureau_post"

// Post implements integration.Speaker.
func (p *Provider) Post(ctx context.Context, t integration.Token, s integration.Speech) (string, error) {
	metadata, err := json.Marshal(map[string]any{"event_type": keyEvent, "event_payload": map[string]string{"key": s.Key}})
	if err != nil {
		return "", fmt.Errorf("slack: %w", err)
	}
	args := url.Values{
		"channel": {s.Channel}, "text": {escape(s.Text)}, "metadata": {string(metadata)}, "unfurl_links": {"false"}, "unfurl_media": {"false"},
	}
	if s.Thread != "" {
		args.Set("thread_ts", s.Thread)
	}
	if s.Persona.Name != "" {
		args.Set("username", s.Persona.Name)
	}
	if s.Persona.AvatarURL != "" {
		args.Set("icon_url", s.Persona.AvatarURL)
	}
	body, err := p.call(ctx, "chat.postMessage", t.Access, args)
	if err != nil {
		return "", err
	}
	var answer struct {
		TS string `json:"ts"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", integration.ErrUnreachable.Wrap(err)
	}
	return answer.TS, nil
}

// escape keeps a text from mentioning people and channels, which only control sequences in angle brackets do.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// Posted implements integration.Speaker: it looks for the key in the metadata of the thread's messages.
func (p *Provider) Posted(ctx context.Context, t integration.Token, s integration.Speech) (string, bool, error) {
	args := url.Values{
		"channel": {s.Channel}, "include_all_metadata": {"true"}, "limit": {"200"},
		"oldest": {strconv.FormatInt(s.Since.Add(-time.Minute).Unix(), 10)},
	}
	method := "conversations.history"
	if s.Thread != "" {
		method = "conversations.replies"
		args.Set("ts", s.Thread)
	}
	for range 10 { // 2000 messages since then
		body, err := p.call(ctx, method, t.Access, args)
		if err != nil {
			return "", false, err
		}
		var answer struct {
			Messages []struct {
				TS       string `json:"ts"`
				Metadata struct {
					Type    string `json:"event_type"`
					Payload struct {
						Key string `json:"key"`
					} `json:"event_payload"`
				} `json:"metadata"`
			} `json:"messages"`
			Next struct {
				Cursor string `json:"next_cursor"`
			} `json:"response_metadata"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return "", false, integration.ErrUnreachable.Wrap(err)
		}
		for _, m := range answer.Messages {
			if m.Metadata.Type == keyEvent && m.Metadata.Payload.Key == s.Key {
				return m.TS, true, nil
			}
		}
		if answer.Next.Cursor == "" {
			break
		}
		args.Set("cursor", answer.Next.Cursor)
	}
	return "", false, nil
}

// tolerance is how far the time of a webhook may be from ours, either way.
const tolerance = 5 * time.Minute

// verify checks the signature of a request: https://docs.slack.dev/authentication/verifying-requests-from-slack.
func (p *Provider) verify(header func(string) string, body []byte, now time.Time) error {
	if p.cfg.SigningSecret == "" {
		return integration.ErrNotConfigured.Withf("events of Slack cannot be checked: set BUREAU_OAUTH_SLACK_SIGNING_SECRET")
	}
	stamp := header("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return integration.ErrSignature
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return integration.ErrSignature
	}
	mac := hmac.New(sha256.New, []byte(p.cfg.SigningSecret))
	fmt.Fprintf(mac, "v0:%s:", stamp)
	mac.Write(body)
	given, err := hex.DecodeString(strings.TrimPrefix(header("X-Slack-Signature"), "v0="))
	if err != nil || !strings.HasPrefix(header("X-Slack-Signature"), "v0=") || !hmac.Equal(given, mac.Sum(nil)) {
		return integration.ErrSignature
	}
	return nil
}

// callback is a request of the Events API.
type callback struct {
	Type         string `json:"type"`
	Challenge    string `json:"challenge"`
	EventID      string `json:"event_id"`
	TeamID       string `json:"team_id"`
	EnterpriseID string `json:"enterprise_id"`
	EventTime    int64  `json:"event_time"`
	Event        struct {
		Type        string          `json:"type"`
		Subtype     string          `json:"subtype"`
		BotID       string          `json:"bot_id"`
		User        string          `json:"user"`
		Text        string          `json:"text"`
		Channel     string          `json:"channel"`
		ChannelType string          `json:"channel_type"`
		TS          string          `json:"ts"`
		ThreadTS    string          `json:"thread_ts"`
		Tokens      json.RawMessage `json:"tokens"` // of tokens_revoked
	} `json:"event"`
	Authorizations []struct {
		UserID string `json:"user_id"`
	} `json:"authorizations"`
}

// Read implements integration.Listener.
func (p *Provider) Read(header func(string) string, body []byte, now time.Time) (integration.Incoming, error) {
	if err := p.verify(header, body, now); err != nil {
		return integration.Incoming{}, err
	}
	var c callback
	if err := json.Unmarshal(body, &c); err != nil {
		return integration.Incoming{}, fault.Invalidf("body", "is not an event of Slack")
	}
	switch c.Type {
	case "url_verification":
		if c.Challenge == "" {
			return integration.Incoming{}, fault.Invalidf("challenge", "is required")
		}
		return integration.Incoming{Challenge: c.Challenge}, nil
	case "event_callback":
	default:
		return integration.Incoming{}, nil
	}
	if c.EventID == "" {
		return integration.Incoming{}, fault.Invalidf("event_id", "is required")
	}
	in := integration.Incoming{ID: c.EventID}
	for _, a := range []string{c.TeamID, c.EnterpriseID} {
		if a != "" {
			in.Accounts = append(in.Accounts, a)
		}
	}
	e := c.Event
	switch {
	case e.Type == "app_uninstalled":
		in.Removed = true
	case e.Type == "tokens_revoked":
		var tokens struct {
			Bot []string `json:"bot"`
		}
		in.Removed = json.Unmarshal(e.Tokens, &tokens) == nil && len(tokens.Bot) > 0
	case e.Type != "app_mention" && !(e.Type == "message" && e.ChannelType == "im"),
		e.Subtype != "" && e.Subtype != "file_share" && e.Subtype != "thread_broadcast",
		e.BotID != "" || e.User == "" || e.Channel == "" || e.TS == "":
		// An edit, a deletion, a bot: nothing to answer.
	default:
		bot := ""
		if len(c.Authorizations) > 0 {
			bot = c.Authorizations[0].UserID
		}
		text := plain(e.Text, bot)
		if text == "" {
			break
		}
		thread := e.ThreadTS
		if thread == "" && e.Type == "app_mention" { // in a direct conversation people go on without threads
			thread = e.TS
		}
		in.Message = &integration.Message{
			Key: e.Channel + ":" + e.TS, Channel: e.Channel, Thread: thread, Author: e.User, Text: text, Addressed: true,
			At: timeOf(e.TS, c.EventTime, now),
		}
	}
	return in, nil
}

// plain drops the mention of the bot at the beginning of a text and undoes Slack's escapes.
func plain(text, bot string) string {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "<@"); ok {
		if who, after, ok := strings.Cut(rest, ">"); ok {
			name, _, _ := strings.Cut(who, "|")
			if bot == "" || name == bot {
				text = strings.TrimSpace(after)
			}
		}
	}
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
}

// timeOf returns when a message was written: its ts begins with the seconds since 1970.
func timeOf(ts string, eventTime int64, now time.Time) time.Time {
	whole, _, _ := strings.Cut(ts, ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil && n > 0 && n < 1<<40 {
		return time.Unix(n, 0).UTC()
	}
	if eventTime > 0 && eventTime < 1<<40 {
		return time.Unix(eventTime, 0).UTC()
	}
	return now
}
