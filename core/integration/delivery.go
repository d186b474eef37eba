package integration

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// MaxText bounds what is taken of a message and what is said in one, in characters; providers have limits of their own.
const MaxText = 40_000

// Message is something that was said in a workspace.
type Message struct {
	Key       string    `json:"key"`     // names it within the installation, however often the provider tells of it
	Channel   string    `json:"channel"` // where: a channel, a repository
	Thread    string    `json:"thread"`  // where in there: the thread, the issue
	Author    string    `json:"author"`  // who, as the provider's ids say it
	Name      string    `json:"name"`    // who, as people say it; "" is not told
	Text      string    `json:"text"`    // without the mention of the bot
	Title     string    `json:"title"`   // of the issue; "" is none
	Addressed bool      `json:"addressed"`
	Mentions  []string  `json:"mentions"` // whom it addresses by login, lower-case, where Addressed cannot be told without the installation
	At        time.Time `json:"at"`
}

// Incoming is a webhook whose signature was checked.
type Incoming struct {
	// Challenge is to be answered as it is; nothing else is set then.
	Challenge string
	ID        string   // the provider's id of the event, the same when it is repeated
	Accounts  []string // whose event it is, the most specific first
	Removed   bool     // the workspace has removed the app, or revoked its token
	Message   *Message // nil: nothing that an agent could answer
}

// DeliveryState is how far an event came.
type DeliveryState string

// The states.
const (
	Received DeliveryState = "received" // stored
	Running  DeliveryState = "running"  // a turn works on it
	Answered DeliveryState = "answered" // the turn has ended; its reply is in the outbox
	Ignored  DeliveryState = "ignored"  // nobody is meant to answer
	Failed   DeliveryState = "failed"   // nobody can; Error says why
)

// Delivery is an event of a workspace on its way through a session.
type Delivery struct {
	ID           id.Delivery
	Tenant       id.Tenant
	Installation id.Installation
	Provider     string
	External     string // Incoming.ID
	Message      Message
	State        DeliveryState
	Publication  id.Publication // zero until Running
	Session      id.Session     // likewise
	Input        id.Event       // the message in the session's log
	Notice       int64          // the number of the idle event that was last told of; 0: none
	CheckAt      time.Time      // when Sweep looks at it again
	Error        string
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// PostState is how far something to be said came.
type PostState string

// The states.
const (
	Pending PostState = "pending" // not said
	Sending PostState = "sending" // perhaps said: somebody began to
	Posted  PostState = "posted"
	Dropped PostState = "dropped" // never to be said; Error says why
)

// Post is something to be said in a workspace.
type Post struct {
	ID        id.Post
	Tenant    id.Tenant
	Delivery  id.Delivery // what it answers
	Mark      int64       // which of the delivery's posts: 0 is the reply, others are Delivery.Notice
	Text      string
	State     PostState
	External  string // the provider's id of the message, once Posted
	Error     string
	CreatedAt time.Time
	UpdatedAt time.Time // of the last attempt; in the future when the provider does not want to be asked before
}
