package remote

import (
	"cmp"
	"context"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// NewCredential is a credential as a tenant gives it.
type NewCredential struct {
	Kind      CredentialKind
	Header    string // of an APIKey; "" is X-API-Key
	Secret    secret.Value
	AnyOrigin bool
}

// New asks for a remote agent.
type New struct {
	URL         string // of a card, or of an agent
	Name        string // "" is made of the card's
	Description string // "" is the card's
	Credential  *NewCredential
	// AllowInvalid registers an agent whose card is not valid, and calls it.
	AllowInvalid bool
}

// Register fetches and judges a card and keeps its agent, with a new agent of the tenant that stands for it. ErrInvalid, also for a card
// that cannot be fetched; ErrCard; ErrNameTaken; ErrTooMany; what Agents.Create returns.
func (s *Service) Register(ctx context.Context, sc account.Scope, n New) (Remote, error) {
	var f check.Faults
	n.check(&f)
	if err := f.Err(ErrInvalid); err != nil {
		return Remote{}, err
	}
	got, err := s.d.Fetcher.Fetch(ctx, n.URL, "")
	if err != nil {
		if ctx.Err() != nil {
			return Remote{}, ctx.Err()
		}
		f.Addf("url", "%s", messageOf(err))
		return Remote{}, f.Err(ErrInvalid.Wrap(err))
	}
	now := s.now()
	r := Remote{
		ID: id.New[id.RemoteAgentKind](s.d.IDs), Tenant: sc.Tenant, Description: n.Description, URL: n.URL, RequireValid: !n.AllowInvalid,
		CreatedAt: now, UpdatedAt: now, ChangedAt: now,
	}
	c, own := s.judged(got, now)
	if r.Card = c; r.RequireValid && !c.Verdict.Valid {
		return Remote{}, cardFault(c)
	}
	if r.Name = cmp.Or(n.Name, toolName(c.Name)); r.Name == "" {
		f.Addf("name", "is required, since the card's name makes none")
		return Remote{}, f.Err(ErrInvalid)
	}
	if r.Credential, err = s.seal(ctx, r, n.Credential); err != nil {
		return Remote{}, err
	}
	r.Pin = c.Verdict.Signature
	s.seen(&r, now)
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		a, err := s.d.Agents.Create(ctx, sc, agent.Config{
			Name:        cut(cmp.Or(strings.TrimSpace(n.Name), strings.TrimSpace(c.Name), r.Name), agent.MaxName),
			Description: cut(cmp.Or(n.Description, own), agent.MaxDescription),
		})
		if err != nil {
			return err
		}
		r.Agent = a.ID
		if err := s.d.Remotes.Insert(ctx, sc, r, MaxPerTenant); err != nil {
			return err
		}
		if err := s.d.History.Append(ctx, sc, r.ID, r.change(), KeepChanges); err != nil {
			return err
		}
		return s.note(ctx, sc, "remote_agent_registered", r, nil)
	})
	if err != nil {
		return Remote{}, err
	}
	return r, nil
}

func (n New) check(f *check.Faults) {
	if f.Given("url", n.URL, MaxURL); len(f.Fields) == 0 {
		u, err := url.Parse(n.URL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			f.Addf("url", "must be an address that begins with http:// or https://")
		case u.User != nil || u.Fragment != "":
			f.Addf("url", "must have neither a user nor a fragment")
		}
	}
	if n.Name != "" {
		checkName(f, n.Name)
	}
	f.Text("description", n.Description, MaxDescription)
	c := n.Credential
	if c == nil {
		return
	}
	checkSecret(f, c.Secret)
	switch c.Kind {
	case Bearer:
		if c.Header != "" {
			f.Addf("credential.header", "is for the type api_key")
		}
	case APIKey:
		checkHeader(f, c.Header)
	default:
		f.Addf("credential.type", "must be bearer or api_key")
	}
}

func checkName(f *check.Faults, name string) {
	if name == "" || len(name) > MaxName || unfit.MatchString(name) {
		f.Addf("name", "must be of 1 to %d letters, digits, '_' and '-': it is the name of a tool", MaxName)
	}
}

func checkSecret(f *check.Faults, s secret.Value) {
	switch value := s.Reveal(); {
	case value == "":
		f.Addf("credential.secret", "must not be empty")
	case len(value) > MaxSecret:
		f.Addf("credential.secret", "must have at most %d bytes", MaxSecret)
	case !headerValue(value):
		f.Addf("credential.secret", "must be of printable ASCII characters")
	}
}

// checkHeader checks the name of the header of an APIKey; "" is the default.
func checkHeader(f *check.Faults, name string) {
	if name != "" && (len(name) > 100 || !headerName.MatchString(name)) {
		f.Addf("credential.header", "must be the name of an HTTP header")
	} else if forbidden[strings.ToLower(name)] {
		f.Addf("credential.header", "cannot carry a credential")
	}
}

// defaultHeader carries an APIKey that names no other.
const defaultHeader = "X-API-Key"

var (
	unfit      = regexp.MustCompile(`[^A-Za-z0-9_-]`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)
	// forbidden are the headers that belong to the transport or to the protocol.
	forbidden = map[string]bool{
		"host": true, "connection": true, "content-length": true, "content-type": true, "transfer-encoding": true, "upgrade": true, "te": true,
		"trailer": true, "accept": true, "accept-encoding": true, "a2a-version": true, "a2a-extensions": true, "user-agent": true,
	}
)

func headerValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return strings.TrimSpace(s) == s
}

// toolName makes a name of a tool of the name of a card; "" when nothing of it is left.
func toolName(name string) string {
	name = strings.Trim(unfit.ReplaceAllString(strings.TrimSpace(name), "_"), "_-")
	return strings.TrimRight(name[:min(len(name), MaxName)], "_-")
}

// cut bounds a text, in characters.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most])
}

// cardFault tells what is wrong with a card.
func cardFault(c Card) error {
	f := check.Faults{}
	for _, e := range c.Verdict.Findings {
		if e.Error {
			path := "card"
			if e.Path != "" {
				path += "." + e.Path
			}
			f.Addf(path, "%s", e.Message)
		}
	}
	if len(f.Fields) == 0 {
		f.Addf("card", "is not valid")
	}
	return f.Err(ErrCard)
}

// seal seals a credential.
func (s *Service) seal(ctx context.Context, r Remote, n *NewCredential) (Credential, error) {
	if n == nil {
		return Credential{}, nil
	}
	c := Credential{Kind: n.Kind, AnyOrigin: n.AnyOrigin}
	if c.Kind == APIKey {
		c.Header = cmp.Or(n.Header, defaultHeader)
	}
	var err error
	c.Sealed, err = s.d.Keeper.Seal(ctx, r.place(), []byte(n.Secret.Reveal()))
	return c, err
}

// Secret opens the credential of a remote agent; zero when there is none.
func (s *Service) Secret(ctx context.Context, r Remote) (secret.Value, error) {
	if r.Credential.Kind == "" {
		return secret.Value{}, nil
	}
	plain, err := s.d.Keeper.Open(ctx, r.place(), r.Credential.Sealed)
	return secret.NewValue(string(plain)), err
}

// Known returns the credentials that an agent's turns are near to: of the remote agent that it stands for, and of those that are its tools.
func (s *Service) Known(ctx context.Context, sc account.Scope, a agent.Agent) ([]secret.Known, error) {
	var near []Remote
	r, ok, err := s.d.Remotes.ByAgent(ctx, sc, a.ID)
	if err != nil {
		return nil, err
	}
	if ok {
		near = append(near, r)
	}
	for _, t := range a.Config.Tools {
		if t.Type != agent.A2AAgent {
			continue
		}
		r, err := s.d.Remotes.Get(ctx, sc, t.Remote)
		if fault.KindOf(err) == fault.NotFound {
			continue // it was removed
		}
		if err != nil {
			return nil, err
		}
		near = append(near, r)
	}
	var out []secret.Known
	for _, r := range near {
		v, err := s.Secret(ctx, r)
		if err != nil {
			return nil, err
		}
		if !v.IsZero() {
			out = append(out, secret.Known{Name: r.Name, Value: v})
		}
	}
	return out, nil
}

// messageOf returns what a tenant may read of an error.
func messageOf(err error) string {
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal {
		return fe.Message
	}
	return "the agent's card cannot be fetched"
}

// bare returns an address without its query, which may hold a password.
func bare(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}
