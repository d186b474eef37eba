package a2a

import (
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// State is where a task stands, in the words of the protocol.
type State string

// The states.
const (
	Submitted     State = "submitted" // its turn is queued
	Working       State = "working"
	InputRequired State = "input-required" // it waits for the peer, or for a person, to answer or to approve something
	Completed     State = "completed"
	Failed        State = "failed"
	Canceled      State = "canceled"
	Rejected      State = "rejected" // the agent does not do it: it is frozen, or its model refuses
)

// States lists the states in the order of a task's life.
func States() []State {
	return []State{Submitted, Working, InputRequired, Completed, Failed, Canceled, Rejected}
}

// Terminal reports whether nothing follows the state.
func (s State) Terminal() bool {
	switch s {
	case Completed, Failed, Canceled, Rejected:
		return true
	}
	return false
}

// Rests reports whether the task goes on only when somebody does something, if at all: what a caller who waits for it waits for.
func (s State) Rests() bool { return s.Terminal() || s == InputRequired }

// Who is a peer of an agent.
type Who struct {
	Agent id.Agent
	Key   id.APIKey
}

// Peer is a Who that an agent has talked to.
type Peer struct {
	Who
	Store     id.MemoryStore // what the agent remembers of it
	CreatedAt time.Time
}

// Task is a piece of work that a peer gave to an agent.
type Task struct {
	ID id.Turn
	Who
	Context string     // the contextId
	Session id.Session // zero: it was rejected before there was one
	Event   id.Event   // what the message became in the session's log; zero: nothing
	State   State
	Reason  string // why it is in that state, for people; "": nothing to say
	Rule    string // the policy field or rule that made it fail; "": none did
	// FirstSeq is the number of Event in the log, LastSeq that of what ended the task; 0 before.
	FirstSeq, LastSeq int64
	Metadata          json.RawMessage // of the request that began it, a JSON object; nil: none
	CreatedAt         time.Time
	UpdatedAt         time.Time // when State changed last
}

// Content is what is in a task beside its state, which is read out of the session's log.
type Content struct {
	History []Said // messages, oldest first
	Answer  *Answer
	Outputs []Output // what it made, the first before the others
	Asks    []Ask    // what an InputRequired task waits for
}

// Said is a message of a task's history.
type Said struct {
	ID    string // the peer's messageId, or the id of the event
	Agent bool   // said by the agent
	Parts []Part
	At    time.Time
	// Metadata and Extensions came with the peer's message.
	Metadata   json.RawMessage
	Extensions []string
	References []string
}

// Answer is what the agent said last, which is the answer once the task is completed.
type Answer struct {
	Event id.Event
	Text  string
}

// Ask is something that a task waits for.
type Ask struct {
	Use   id.Event
	Kind  AskKind
	Name  string          // of the tool; "" for AskApproval
	Input json.RawMessage // what the tool is to be called with; nil for AskApproval

	typ session.EventType
}

// AskKind says what an Ask wants.
type AskKind string

// The kinds.
const (
	AskResult       AskKind = "tool_result"       // the peer's own tool is to be called
	AskConfirmation AskKind = "tool_confirmation" // whether the agent may use a tool
	AskApproval     AskKind = "approval"          // a person on the agent's side has to approve something; what it is, is not for the peer
)

func kindOf(s session.UseState) AskKind {
	switch s {
	case session.UseClient:
		return AskResult
	case session.UseAsk:
		return AskConfirmation
	}
	return AskApproval
}

// Part is a piece of a message. One of Text, Data, Raw and URL is set.
type Part struct {
	Text      *string
	Data      json.RawMessage
	Raw       []byte
	URL       string
	Filename  string
	MediaType string
	Metadata  json.RawMessage
	// Size is how long Raw was, in a message whose bytes are not kept.
	Size int64
}

// TextPart makes a part of a text.
func TextPart(s string) Part { return Part{Text: &s} }
