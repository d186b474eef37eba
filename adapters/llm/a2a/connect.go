package a2a

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2aclient"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// cardPaths are where agents have their cards, since A2A 0.3 and before it.
var cardPaths = []string{"/.well-known/agent-card.json", "/.well-known/agent.json"}

// How large a card may be that is read for a message, and an answer, in bytes. A card is read as a whole, and so is an answer that is not
// streamed.
const (
	maxCard   = 1 << 20
	maxAnswer = 32 << 20
)

// atMost cuts bodies off that are larger than limit.
type atMost struct {
	base  http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (a atMost) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.base.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, a.limit)
	}
	return resp, err
}

// credentials are shown to one origin only.
type credentials struct {
	base   http.RoundTripper
	header http.Header
	origin string
}

// RoundTrip implements http.RoundTripper.
func (c *credentials) RoundTrip(req *http.Request) (*http.Response, error) {
	base := c.base
	if base == nil {
		base = http.DefaultTransport
	}
	shown, ok := req.Context().Value(showingKey{}).(*showing)
	if !ok {
		shown = new(showing)
	}
	switch {
	case len(c.header) == 0:
		return base.RoundTrip(req)
	case c.origin != "" && originOf(req.URL) != c.origin:
		*shown = credentialWithheld
		return base.RoundTrip(req)
	}
	*shown = credentialShown
	out := req.Clone(req.Context())
	for name, values := range c.header {
		out.Header[name] = values
	}
	return base.RoundTrip(out)
}

// showing is whether the last request of an exchange had the credential.
type showing int

// The ways that it may have gone.
const (
	noCredential showing = iota
	credentialShown
	credentialWithheld // the request went to another origin than the credential's
)

type showingKey struct{}

// told says what the agent has refused.
func (s showing) told() string {
	switch s {
	case credentialShown:
		return "the agent refused the credential that it was called with"
	case credentialWithheld:
		return "the agent wants a credential, and was sent none: its own goes to the origin of its card only"
	}
	return "the agent wants a credential, and has none to be called with"
}

func originOf(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// card returns what the agent says of itself.
func (p *Provider) card(ctx context.Context) (*vendor.AgentCard, error) {
	if p.config.Card != nil {
		return parse(p.config.Card)
	}
	var first error
	for _, path := range cardPaths {
		text, status, err := p.read(ctx, strings.TrimSuffix(p.config.BaseURL, "/")+path)
		switch {
		case err != nil:
			return nil, err
		case status == http.StatusOK:
			return parse(text)
		}
		first = cmp.Or(first, wire.Status(status, "its card cannot be read", http.Header{}))
		if status != http.StatusNotFound {
			break
		}
	}
	return nil, first
}

func (p *Provider) read(ctx context.Context, address string) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, 0, fmt.Errorf("a2a: card: %w", err)
	}
	resp, err := p.cards.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return text, resp.StatusCode, err
}

// parse reads a card of any version that is spoken.
func parse(text []byte) (*vendor.AgentCard, error) {
	card, err := a2av0.NewAgentCardParser()(callable(text))
	if err != nil {
		return nil, llm.ErrRefusedRequest.Withf("the agent's card cannot be read").Wrap(err)
	}
	var old struct {
		URL       string `json:"url"`
		Version   string `json:"protocolVersion"`
		Transport string `json:"preferredTransport"`
	}
	if json.Unmarshal(text, &old) == nil && old.URL != "" && old.Transport == "" && !slices.ContainsFunc(card.SupportedInterfaces, at(old.URL)) {
		// Before 0.3 nobody named a transport, and since then JSON-RPC is the one that need not be named.
		card.SupportedInterfaces = slices.Insert(card.SupportedInterfaces, 0, &vendor.AgentInterface{
			URL: old.URL, ProtocolBinding: vendor.TransportProtocolJSONRPC, ProtocolVersion: vendor.ProtocolVersion(cmp.Or(old.Version, string(a2av0.Version))),
		})
	}
	named := addresses(text)
	card.SupportedInterfaces = slices.DeleteFunc(card.SupportedInterfaces, func(i *vendor.AgentInterface) bool { return !named[i.URL] })
	for _, i := range card.SupportedInterfaces {
		if i.ProtocolVersion == "" {
			i.ProtocolVersion = vendor.Version
		}
	}
	return card, nil
}

// callable leaves out of a card what is of no use for calling its agent: who may call it, and by whom it was signed, which others have looked at.
// The SDK expects scopes in another form than A2A 1.0 has them, and could not read the rest of the card.
func callable(text []byte) []byte {
	var card map[string]json.RawMessage
	if json.Unmarshal(text, &card) != nil {
		return text
	}
	var skills []map[string]json.RawMessage
	if json.Unmarshal(card["skills"], &skills) == nil {
		for _, s := range skills {
			delete(s, "securityRequirements")
			delete(s, "security")
		}
		if plain, err := json.Marshal(skills); err == nil {
			card["skills"] = plain
		}
	}
	for _, name := range []string{"securityRequirements", "security", "securitySchemes", "signatures"} {
		delete(card, name)
	}
	out, err := json.Marshal(card)
	if err != nil {
		return text
	}
	return out
}

// addresses returns the addresses that a card names by members of exactly the names that they have in A2A. The SDK reads names in any case, which
// those who judge cards do not: whom they have not seen is not called.
func addresses(text []byte) map[string]bool {
	var card map[string]json.RawMessage
	out := map[string]bool{}
	if json.Unmarshal(text, &card) != nil {
		return out
	}
	add := func(of map[string]json.RawMessage) {
		var address string
		if json.Unmarshal(of["url"], &address) == nil {
			out[address] = true
		}
	}
	add(card)
	for _, list := range []string{"supportedInterfaces", "additionalInterfaces"} {
		var interfaces []map[string]json.RawMessage
		if json.Unmarshal(card[list], &interfaces) == nil {
			for _, i := range interfaces {
				add(i)
			}
		}
	}
	return out
}

func at(address string) func(*vendor.AgentInterface) bool {
	return func(i *vendor.AgentInterface) bool { return i.URL == address }
}

// connect chooses the card's interface of the newest version, the first of those that it names, among those that are spoken.
func (p *Provider) connect(ctx context.Context, card *vendor.AgentCard) (*a2aclient.Client, error) {
	usable := *card
	usable.SupportedInterfaces = slices.DeleteFunc(slices.Clone(card.SupportedInterfaces), func(i *vendor.AgentInterface) bool {
		u, err := url.Parse(i.URL)
		return err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"
	})
	client, err := a2aclient.NewFromCard(ctx, &usable, a2aclient.WithDefaultsDisabled(), a2aclient.WithJSONRPCTransport(p.client),
		a2aclient.WithRESTTransport(p.client), a2av0.WithJSONRPCTransport(a2av0.JSONRPCTransportConfig{Client: p.client}),
		a2av0.WithRESTTransport(a2av0.RESTTransportConfig{Client: p.client}))
	if err != nil {
		return nil, llm.ErrRefusedRequest.Withf("the agent's card names no interface of A2A 1.0 or 0.3 over JSON-RPC or HTTP and JSON").Wrap(err)
	}
	return client, nil
}
