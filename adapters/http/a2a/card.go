package a2a

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/ports/id"
)

// Where cards stand below an agent's address: today's name, and that of A2A 0.2.
const (
	cardPath   = "/.well-known/agent-card.json"
	legacyPath = "/.well-known/agent.json"
)

// public is every route that needs no key.
var public = []string{"GET /{agent}" + cardPath, "GET /{agent}" + legacyPath, "GET " + keysPath}

// version030 is how cards of 0.3 spell their version.
const version030 = "0.3.0"

// cardRate is how many cards one address may read in a minute.
const cardRate = 600

// cardAge is for how long a card may be taken out of a cache, in seconds, before its ETag is asked for again.
const cardAge = "300"

func (f *face) registerCards() {
	for _, r := range []struct {
		id, path, summary string
		shape             tasks.Shape
	}{
		{"getCard", cardPath, "Read an agent's card", tasks.ShapeBoth},
		{"getLegacyCard", legacyPath, "Read an agent's card as A2A 0.3 has it", tasks.ShapeLegacy},
	} {
		httpx.RegisterStream(f.Face, httpx.Op{
			ID: r.id, Method: http.MethodGet, Path: "/{agent}" + r.path, Summary: r.summary, PublicRate: cardRate, Produces: contentJSON, Hidden: true,
		}, func(ctx context.Context, in *struct{ AgentInput }) (httpx.Stream, error) {
			of, err := id.Parse[id.AgentKind](in.Agent)
			if err != nil {
				return nil, err
			}
			c, err := f.deps.Cards.Public(ctx, tasks.CardRequest{Agent: of, Shape: r.shape, Address: f.deps.address(httpx.Request(ctx))})
			if err != nil {
				return nil, err
			}
			return func(w http.ResponseWriter, r *http.Request) { serveCard(w, r, c) }, nil
		})
	}
}

// address is that by which the server was asked.
func (d Deps) address(r *http.Request) string {
	if d.PublicURL != "" || r == nil {
		return d.PublicURL
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// serveCard answers with a card, or that the caller has it already. Pages of other sites may read it: it is public.
func serveCard(w http.ResponseWriter, r *http.Request, c tasks.Card) {
	tag := `"` + c.Tag + `"`
	if c.Signed { // signatures differ from one time to the next
		tag = "W/" + tag
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag")
	h.Set("Cache-Control", "public, max-age="+cardAge)
	h.Set("ETag", tag)
	h.Set("Last-Modified", c.ModifiedAt.UTC().Format(http.TimeFormat))
	if matches(r.Header.Values("If-None-Match"), c.Tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentJSON)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(c.Text) // the caller went away; there is nobody to tell
	}
}

// matches compares weakly (RFC 9110, 13.1.2). If-Modified-Since is not looked at: taking a skill away changes a card and no time.
func matches(headers []string, tag string) bool {
	for _, h := range headers {
		for t := range strings.SplitSeq(h, ",") {
			if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == `"`+tag+`"` {
				return true
			}
		}
	}
	return false
}

// GetExtendedAgentCard implements a2asrv.RequestHandler.
func (h *handler) GetExtendedAgentCard(ctx context.Context, _ *a2a.GetExtendedAgentCardRequest) (*a2a.AgentCard, error) {
	c, err := h.deps.Cards.Extended(ctx, httpx.Scope(ctx), tasks.CardRequest{
		Agent: callOf(ctx).agent, Address: h.deps.address(httpx.Request(ctx)),
	})
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	out, err := extendedOf(c.Text)
	if err != nil {
		return nil, h.failure(ctx, err)
	}
	if callOf(ctx).legacy { // the SDK takes the first interface for what the card is of
		kept := out.SupportedInterfaces[:0]
		for _, i := range out.SupportedInterfaces {
			if i.ProtocolVersion == version03 {
				i.ProtocolVersion = version030
				kept = append(kept, i)
			}
		}
		out.SupportedInterfaces = kept
	}
	return out, nil
}

// extendedOf reads a card for the SDK, which writes it itself, for either version. It spells scopes as lists where A2A 1.0 has an object with
// a list, so that it cannot read requirements, and others could not read its: whoever reads an extended card has met them. Signatures are not
// over what it writes.
func extendedOf(text []byte) (*a2a.AgentCard, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	delete(members, "securityRequirements")
	delete(members, "signatures")
	rest, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	var out a2a.AgentCard
	return &out, json.Unmarshal(rest, &out)
}
