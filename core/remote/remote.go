package remote

import (
	"net/url"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The bounds of remote agents.
const (
	MaxPerTenant   = 1000
	MaxURL         = 2048 // characters
	MaxName        = 64   // characters; a remote agent's name is that of its tool
	MaxDescription = 2048 // characters
	MaxSecret      = 8192 // bytes of a credential
	MaxFindings    = 50   // of a card that are kept; how many there are is told beside them
	KeepChanges    = 50   // of a card's history
)

// Remote is an agent elsewhere.
type Remote struct {
	ID     id.RemoteAgent
	Tenant id.Tenant
	// Agent stands for it: what is said to that agent in a session is said to the remote one.
	Agent       id.Agent
	Name        string // unique in the tenant, [A-Za-z0-9_-]{1,64}: that of its tool
	Description string // of the tool; "" is the card's
	URL         string // as it was registered: that of a card, or of an agent below which one is found
	// RequireValid says that it is called only while its card is valid.
	RequireValid bool
	Credential   Credential // zero: it is called without one
	Card         Card
	Pin          Signature // as the card was signed when somebody looked at it last; see Suspicion
	// Suspicion says how the card's signature differs from Pin; "": it does not.
	Suspicion string

	CheckedAt   time.Time // when the card was fetched last, or found to be the same
	ChangedAt   time.Time // when it was found to be another one
	StaleAt     time.Time // from when on it is fetched again before it is used
	NextCheckAt time.Time // when the job fetches it again
	// UnreachableSince is since when it cannot be fetched, and Trouble why; zero and "" while it can.
	UnreachableSince time.Time
	Trouble          string

	CreatedAt time.Time
	UpdatedAt time.Time
}

// CredentialKind is how a credential is shown to the remote agent.
type CredentialKind string

// The kinds.
const (
	Bearer CredentialKind = "bearer"  // Authorization: Bearer
	APIKey CredentialKind = "api_key" // in Header
)

// Credential is what a remote agent is called with.
type Credential struct {
	Kind   CredentialKind // "" is none
	Header string         // of an APIKey: "X-API-Key"
	// AnyOrigin sends it to whatever address the card names. Otherwise it goes to the origin that the card came from and to no other, so
	// that a card which somebody changed cannot send it elsewhere.
	AnyOrigin bool
	Sealed    []byte
}

// Card is the card of a remote agent as it was fetched and judged.
type Card struct {
	URL      string // where it is
	Legacy   bool   // at the name that it had before A2A 0.3
	Text     []byte
	Digest   string        // "sha256:..." of Text
	ETag     string        // "": the server named none
	MaxAge   time.Duration // how long the server said that it may be believed; -1: it did not
	Name     string        // by itself
	Endpoint string        // where it says that its agent is reached first; "" when it does not
	Verdict  Verdict
}

// Verdict is what core/card found.
type Verdict struct {
	Version          card.Version
	Valid            bool
	Score            int
	Errors, Warnings int
	Findings         []Finding // the errors, then the warnings; at most MaxFindings
	Signature        Signature
}

// Finding is one error or warning.
type Finding struct {
	Error   bool
	Code    string
	Path    string // dotted: "skills[0].tags"
	Message string
}

// Signature is how a card is signed.
type Signature struct {
	State card.SignatureState // "": not at all
	KeyID string
}

// Elsewhere reports whether the card names an endpoint of another origin than its own.
func (c Card) Elsewhere() bool { return c.Endpoint != "" && Origin(c.Endpoint) != Origin(c.URL) }

// Origin returns scheme, host and port of an address; "" for what is none.
func Origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + host + ":" + port
}

// Standing returns what policies may demand something of.
func (r Remote) Standing() *rule.Card {
	return &rule.Card{
		Remote: r.ID, Digest: r.Card.Digest, Score: r.Card.Verdict.Score, Valid: r.Card.Verdict.Valid,
		Signed: r.Card.Verdict.Signature.State == card.SignatureTrusted, Suspicious: r.Suspicion != "",
	}
}

// Usable returns ErrUnusable for a remote agent that must not be called.
func (r Remote) Usable() error {
	if r.RequireValid && !r.Card.Verdict.Valid {
		return ErrUnusable.Withf("the card of the remote agent %s is not valid since %s", r.Name, r.ChangedAt.Format(time.RFC3339))
	}
	return nil
}

// place is what the credential is bound to by its seal.
func (r Remote) place() string {
	return r.Tenant.String() + "/remote_agents/" + r.ID.String() + "/credential"
}

// Change is one entry of the history of a card.
type Change struct {
	At        time.Time
	Text      []byte
	Digest    string
	Version   card.Version
	Valid     bool
	Score     int
	Errors    int
	Warnings  int
	Signature Signature
	Suspicion string
}

func (r Remote) change() Change {
	v := r.Card.Verdict
	return Change{
		At: r.ChangedAt, Text: r.Card.Text, Digest: r.Card.Digest, Version: v.Version, Valid: v.Valid, Score: v.Score, Errors: v.Errors,
		Warnings: v.Warnings, Signature: v.Signature, Suspicion: r.Suspicion,
	}
}

// Conversation is what is kept of talking to a remote agent: the context that it knows the conversation by, and the task that goes on.
type Conversation struct {
	Context string
	Task    string // the one that is under way, or waits for more to be said; "": none
	Waiting bool   // Task waits for more to be said, so that what is said next belongs to it
	UsedAt  time.Time
}
