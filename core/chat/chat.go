package chat

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits, in characters.
const (
	MaxPeer    = 256
	MaxName    = 100 // of a session
	MaxMessage = 100_000
	MaxContext = 2000 // as the agent sees it
	MaxKey     = 255  // of Message.Key, in bytes

	MaxSessions = 100 // on a page
	MaxHistory  = 200 // messages on a page
)

// Channel is where people talk to an agent.
type Channel string

// The channels.
const (
	API      Channel = "api"
	Telegram Channel = "telegram"
	Slack    Channel = "slack"
)

// ParseChannel reads the name of a channel; another one is a fault at "channel".
func ParseChannel(name string) (Channel, error) {
	switch c := Channel(name); c {
	case API, Telegram, Slack:
		return c, nil
	}
	return "", invalid("channel", "must be api, telegram or slack")
}

// Kind says what names somebody.
type Kind string

// The kinds.
const (
	KindPeer Kind = "peer" // the client, or the channel
	KindKey  Kind = "key"  // the API key, because the client names nobody
)

// Who is somebody whom an agent talks to. Peers of different channels are never the same.
type Who struct {
	Agent   id.Agent
	Channel Channel
	Kind    Kind
	Name    string // the peer as the client spells it, or the UUID of the API key
}

// whoOf returns who speaks with sc's key for a peer; "" is the key itself.
func whoOf(sc account.Scope, of id.Agent, peer string) Who {
	if peer == "" {
		return Who{of, API, KindKey, sc.Key.UUID().String()}
	}
	return Who{of, API, KindPeer, peer}
}

// Peer is somebody whom an agent has talked to.
type Peer struct {
	Who
	Store     id.MemoryStore // what the agent remembers of them
	Session   id.Session     // where they go on; zero: nowhere yet
	CreatedAt time.Time
}

// Session is a conversation.
type Session struct {
	ID        id.Session
	Who       Who
	Name      string // "": none
	StartedAt time.Time
}

// Role says who said something.
type Role string

// The roles.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Said is a message of a conversation.
type Said struct {
	Session id.Session
	Event   id.Event // in the session's log
	Role    Role
	Text    string
	At      time.Time
}

func invalid(path, message string) error {
	var f check.Faults
	f.Addf(path, "%s", message)
	return f.Err(ErrInvalid)
}

// checkPeer checks the name of a peer; "" is none.
func checkPeer(f *check.Faults, path, peer string) {
	switch {
	case peer == "":
	case peer == "." || peer == "..": // which paths are cleaned of, so that they could not be forgotten
		f.Addf(path, "must not be . or ..")
	case strings.TrimSpace(peer) != peer:
		f.Addf(path, "must not begin or end with blanks")
	case strings.ContainsFunc(peer, unicode.IsControl):
		f.Addf(path, "must not have control characters")
	default:
		f.Text(path, peer, MaxPeer)
	}
}

// cut returns the first at most n characters of a text.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
