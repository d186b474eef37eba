// Package github is the integration with GitHub: an OAuth app that a person authorizes, usually an account made for the agents. It hears
// of issues, pull requests and comments that mention that account by webhooks, and answers with comments.
package github

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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/bureau-agents/bureau/adapters/oauth/internal/remote"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
)

// DefaultBaseURL is GitHub's own; its API has another host than that of a GitHub Enterprise Server, which is below /api/v3.
const (
	DefaultBaseURL = "https://github.com"
	defaultAPI     = "https://api.github.com"
)

// apiVersion is the version of the REST API that is asked for.
const apiVersion = "2022-11-28"

// Info describes the integration.
func Info() integration.Info {
	return integration.Info{
		ID: "github", Name: "GitHub", Description: "Agents answer in issues and pull requests in which the connected account is mentioned.",
		Scopes: []string{"repo", "read:org"}, Granularity: integration.PerIssue,
	}
}

// Config is an OAuth app of GitHub. ClientID, ClientSecret and HTTP are required.
type Config struct {
	ClientID      string
	ClientSecret  string
	WebhookSecret string // of the webhooks of repositories and organizations; "" believes none
	BaseURL       string // "" is DefaultBaseURL; another one is a GitHub Enterprise Server
	HTTP          *http.Client
}

// Provider is an OAuth app of GitHub. It is safe for concurrent use.
type Provider struct {
	cfg   Config
	api   string
	oauth oauth2.Config
}

var _ integration.Provider = (*Provider)(nil)

// New returns the provider of an app, or an error that names what is missing.
func New(cfg Config) (*Provider, error) {
	switch {
	case cfg.ClientID == "":
		return nil, errors.New("github: Config.ClientID is required")
	case cfg.ClientSecret == "":
		return nil, errors.New("github: Config.ClientSecret is required")
	case cfg.HTTP == nil:
		return nil, errors.New("github: Config.HTTP is required")
	}
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, DefaultBaseURL), "/")
	api := cfg.BaseURL + "/api/v3"
	if cfg.BaseURL == DefaultBaseURL {
		api = defaultAPI
	}
	return &Provider{cfg: cfg, api: api, oauth: oauth2.Config{
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, Scopes: Info().Scopes,
		Endpoint: oauth2.Endpoint{
			AuthURL: cfg.BaseURL + "/login/oauth/authorize", TokenURL: cfg.BaseURL + "/login/oauth/access_token",
			AuthStyle: oauth2.AuthStyleInParams,
		},
	}}, nil
}

// Info implements integration.Provider.
func (p *Provider) Info() integration.Info { return Info() }

// AuthURL implements integration.Authorizer.
func (p *Provider) AuthURL(state, verifier, redirectURI string) string {
	cfg := p.oauth
	cfg.RedirectURL = redirectURI
	return cfg.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

type owner struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (o owner) id() string {
	if o.ID == 0 {
		return ""
	}
	return strconv.FormatInt(o.ID, 10)
}

// Exchange implements integration.Authorizer. The installation hears what happens in the person's own repositories, and in those of the
// organizations that the person owns: whoever only works in an organization does not connect it.
func (p *Provider) Exchange(ctx context.Context, code, verifier, redirectURI string) (integration.Grant, error) {
	cfg := p.oauth
	cfg.RedirectURL = redirectURI
	t, err := remote.Exchange(ctx, p.cfg.HTTP, cfg, code, verifier)
	if err != nil {
		return integration.Grant{}, err
	}
	var user owner
	if err := p.get(ctx, t.AccessToken, "/user", &user); err != nil {
		return integration.Grant{}, err
	}
	if user.id() == "" || user.Login == "" {
		return integration.Grant{}, integration.ErrExchange.Withf("GitHub does not say whose account it is")
	}
	g := integration.Grant{
		Token: remote.TokenOf(t), WorkspaceID: user.id(), WorkspaceName: user.Login, Kind: "user", BotUserID: user.id(), BotLogin: user.Login,
		AuthorizedBy: user.id(), Accounts: []string{user.id()},
	}
	if scope, _ := t.Extra("scope").(string); scope != "" {
		g.Scopes = strings.Split(scope, ",")
	}
	var memberships []struct {
		Role         string `json:"role"`
		Organization owner  `json:"organization"`
	}
	err = p.get(ctx, t.AccessToken, "/user/memberships/orgs?state=active&per_page=100", &memberships)
	if err != nil && !errors.Is(err, integration.ErrRefused) { // a person may keep organizations out of what is granted
		return integration.Grant{}, err
	}
	for _, m := range memberships {
		if m.Role == "admin" && m.Organization.id() != "" {
			g.Accounts = append(g.Accounts, m.Organization.id())
		}
	}
	return g, nil
}

// Refresh implements integration.Authorizer.
func (p *Provider) Refresh(ctx context.Context, t integration.Token) (integration.Token, error) {
	return remote.Refresh(ctx, p.cfg.HTTP, p.oauth, t)
}

// Revoke implements integration.Authorizer: it deletes the app's authorization, which ends every token of that person for the app.
func (p *Provider) Revoke(ctx context.Context, t integration.Token) error {
	req, err := remote.NewJSON(ctx, http.MethodDelete, p.api+"/applications/"+url.PathEscape(p.cfg.ClientID)+"/grant",
		map[string]string{"access_token": t.Access})
	if err != nil {
		return err
	}
	req.SetBasicAuth(p.cfg.ClientID, p.cfg.ClientSecret)
	a, err := p.do(req)
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusNoContent, a.Status == http.StatusNotFound, a.Status == http.StatusUnprocessableEntity:
		return nil // the last two: the token is not good any more
	case a.Status == http.StatusUnauthorized:
		return integration.ErrRefused.Withf("GitHub does not know the app's credentials")
	}
	return refusal(a)
}

func (p *Provider) do(req *http.Request) (remote.Answer, error) {
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", apiVersion)
	a, err := remote.Do(p.cfg.HTTP, req)
	if err != nil {
		return a, err
	}
	// Both of GitHub's limits may come as 403: the header, or the quota, tells them from a missing permission.
	if a.Status == http.StatusForbidden && (a.Header.Get("Retry-After") != "" || a.Header.Get("X-Ratelimit-Remaining") == "0") {
		return a, integration.ErrRateLimited.WithRetry(patience(a.Header, time.Now()))
	}
	return a, nil
}

// patience is how long GitHub wants to be left alone.
func patience(h http.Header, now time.Time) time.Duration {
	if h.Get("Retry-After") == "" {
		if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			return min(max(time.Unix(reset, 0).Sub(now), time.Second), time.Hour)
		}
	}
	return remote.RetryAfter(h, now)
}

func refusal(a remote.Answer) error {
	if a.Status == http.StatusUnauthorized {
		return integration.ErrRevoked
	}
	return integration.ErrRefused.Withf("GitHub refused with status %d", a.Status)
}

func (p *Provider) get(ctx context.Context, token, path string, into any) error {
	req, err := remote.NewJSON(ctx, http.MethodGet, p.api+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	a, err := p.do(req)
	switch {
	case err != nil:
		return err
	case a.Status != http.StatusOK:
		return refusal(a)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return integration.ErrUnreachable.Withf("GitHub answered without JSON").Wrap(err)
	}
	return nil
}

// marker ends every comment of ours, invisibly, so that it is found again and never answered.
func marker(key string) string { return "<!-- bureau:" + key + " -->" }

const anyMarker = "<!-- bureau:"

// comments is the address of an issue's comments.
func (p *Provider) comments(s integration.Speech) (string, error) {
	name, repo, ok := strings.Cut(s.Channel, "/")
	number, err := strconv.ParseUint(s.Thread, 10, 63)
	if !ok || err != nil {
		return "", integration.ErrRefused.Withf("%q and %q are no issue", s.Channel, s.Thread)
	}
	return fmt.Sprintf("/repos/%s/%s/issues/%d/comments", url.PathEscape(name), url.PathEscape(repo), number), nil
}

// maxComment is the longest text of a comment, in characters.
const maxComment = 65_000

// Post implements integration.Speaker. GitHub shows comments under the account's own name and picture, whatever the persona.
func (p *Provider) Post(ctx context.Context, t integration.Token, s integration.Speech) (string, error) {
	path, err := p.comments(s)
	if err != nil {
		return "", err
	}
	text := []rune(s.Text)
	text = text[:min(len(text), maxComment)]
	req, err := remote.NewJSON(ctx, http.MethodPost, p.api+path, map[string]string{"body": string(text) + "\n\n" + marker(s.Key)})
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+t.Access)
	a, err := p.do(req)
	switch {
	case err != nil:
		return "", err
	case a.Status != http.StatusCreated:
		return "", refusal(a)
	}
	var made struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(a.Body, &made); err != nil {
		return "", integration.ErrUnreachable.Wrap(err)
	}
	return strconv.FormatInt(made.ID, 10), nil
}

// Posted implements integration.Speaker.
func (p *Provider) Posted(ctx context.Context, t integration.Token, s integration.Speech) (string, bool, error) {
	path, err := p.comments(s)
	if err != nil {
		return "", false, err
	}
	since := url.QueryEscape(s.Since.Add(-time.Minute).UTC().Format(time.RFC3339))
	const perPage = 100
	for page := 1; page <= 20; page++ {
		var found []struct {
			ID   int64  `json:"id"`
			Body string `json:"body"`
		}
		if err := p.get(ctx, t.Access, fmt.Sprintf("%s?since=%s&per_page=%d&page=%d", path, since, perPage, page), &found); err != nil {
			return "", false, err
		}
		for _, c := range found {
			if strings.Contains(c.Body, marker(s.Key)) {
				return strconv.FormatInt(c.ID, 10), true, nil
			}
		}
		if len(found) < perPage {
			break
		}
	}
	return "", false, nil
}

// verify checks the signature of a webhook: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
func (p *Provider) verify(header func(string) string, body []byte) error {
	if p.cfg.WebhookSecret == "" {
		return integration.ErrNotConfigured.Withf("webhooks of GitHub cannot be checked: set BUREAU_OAUTH_GITHUB_WEBHOOK_SECRET")
	}
	mac := hmac.New(sha256.New, []byte(p.cfg.WebhookSecret))
	mac.Write(body)
	text, ok := strings.CutPrefix(header("X-Hub-Signature-256"), "sha256=")
	given, err := hex.DecodeString(text)
	if !ok || err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return integration.ErrSignature
	}
	return nil
}

type comment struct {
	ID        int64     `json:"id"`
	Body      string    `json:"body"`
	User      owner     `json:"user"`
	CreatedAt time.Time `json:"created_at"`
}

type issue struct {
	comment

	Number int64  `json:"number"`
	Title  string `json:"title"`
}

// payload is what the events have in common that are read.
type payload struct {
	Action       string `json:"action"`
	Sender       owner  `json:"sender"`
	Organization owner  `json:"organization"`
	Repository   struct {
		FullName string `json:"full_name"`
		Owner    owner  `json:"owner"`
	} `json:"repository"`
	Issue       *issue   `json:"issue"`
	PullRequest *issue   `json:"pull_request"`
	Comment     *comment `json:"comment"`
}

// UnmarshalJSON keeps the embedded struct from hiding Number and Title.
func (i *issue) UnmarshalJSON(b []byte) error {
	var own struct {
		Number int64  `json:"number"`
		Title  string `json:"title"`
	}
	if err := json.Unmarshal(b, &own); err != nil {
		return err
	}
	i.Number, i.Title = own.Number, own.Title
	return json.Unmarshal(b, &i.comment)
}

// Read implements integration.Listener.
func (p *Provider) Read(header func(string) string, body []byte, now time.Time) (integration.Incoming, error) {
	if err := p.verify(header, body); err != nil {
		return integration.Incoming{}, err
	}
	event, delivery := header("X-GitHub-Event"), header("X-GitHub-Delivery")
	switch {
	case event == "":
		return integration.Incoming{}, fault.Invalidf("X-GitHub-Event", "is required")
	case delivery == "" || len(delivery) > 200:
		return integration.Incoming{}, fault.Invalidf("X-GitHub-Delivery", "is required")
	}
	if strings.HasPrefix(header("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return integration.Incoming{}, fault.Invalidf("body", "is not a form")
		}
		body = []byte(form.Get("payload"))
	}
	var e payload
	if err := json.Unmarshal(body, &e); err != nil {
		return integration.Incoming{}, fault.Invalidf("body", "is not an event of GitHub")
	}
	in := integration.Incoming{ID: delivery}
	if event == "github_app_authorization" && e.Action == "revoked" {
		in.Removed = true
		in.Accounts = accounts(e.Sender)
		return in, nil
	}
	in.Accounts = accounts(e.Repository.Owner, e.Organization)
	in.Message = e.message(event, now)
	return in, nil
}

func accounts(owners ...owner) []string {
	var out []string
	for _, o := range owners {
		if a := o.id(); a != "" && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// message returns what an event says, and nil when it says nothing to anybody.
func (e payload) message(event string, now time.Time) *integration.Message {
	var said *comment
	about := e.Issue
	var key string
	switch {
	case event == "issue_comment" && e.Action == "created" && e.Issue != nil && e.Comment != nil:
		said, key = e.Comment, "comment:"
	case event == "pull_request_review_comment" && e.Action == "created" && e.PullRequest != nil && e.Comment != nil:
		said, about, key = e.Comment, e.PullRequest, "review_comment:"
	case event == "issues" && e.Action == "opened" && e.Issue != nil:
		said, key = &e.Issue.comment, "issue:"
	case event == "pull_request" && e.Action == "opened" && e.PullRequest != nil:
		said, about, key = &e.PullRequest.comment, e.PullRequest, "pull_request:"
	default:
		return nil
	}
	author := said.User
	if author.ID == 0 {
		author = e.Sender
	}
	if author.Type == "Bot" || strings.Contains(said.Body, anyMarker) || said.ID == 0 || about.Number == 0 || e.Repository.FullName == "" {
		return nil
	}
	who := mentions(said.Body)
	if len(who) == 0 {
		return nil
	}
	m := &integration.Message{
		Key: key + strconv.FormatInt(said.ID, 10), Channel: e.Repository.FullName, Thread: strconv.FormatInt(about.Number, 10),
		Author: author.id(), Name: author.Login, Text: said.Body, Title: about.Title, Mentions: who, At: said.CreatedAt,
	}
	if m.At.IsZero() {
		m.At = now
	}
	return m
}

// mentionPattern finds logins: letters, digits and single hyphens, at most 39 of them, not within a word, a path or code.
var mentionPattern = regexp.MustCompile("(?:^|[^A-Za-z0-9_`/@.-])@([A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?)")

// mentions lists whom a text mentions, lower-case, each once.
func mentions(text string) []string {
	var out []string
	for _, m := range mentionPattern.FindAllStringSubmatch(text, 100) {
		if login := strings.ToLower(m[1]); !slices.Contains(out, login) {
			out = append(out, login)
		}
	}
	return out
}
