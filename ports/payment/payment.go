package payment

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

var (
	// ErrDeclined says that no money has moved under the key and none ever will. Its message is fit for the agent. Every other error
	// of Charge leaves open whether money has moved.
	ErrDeclined = fault.New(fault.PaymentRequired, "payment_declined", "the payment was declined")
	// ErrNoRefunds is returned by Refund of a rail over which nothing comes back.
	ErrNoRefunds = fault.New(fault.Unsupported, "refund_unsupported", "payments over this rail cannot be refunded")
	// ErrSignature is returned by Reader.Read for a message that the rail's provider has not signed, or signed too long ago.
	ErrSignature = fault.New(fault.Unauthenticated, "payment_signature", "the message is not signed by the payment provider")
)

// Rail moves money to the outside world. It is safe for concurrent use.
type Rail interface {
	// Name is how payments name the rail: "stripe". It is lower-case, has at most 32 bytes and never changes.
	Name() string
	// Check reports, without asking anybody, whether c could be paid at all: a fault.Invalid with the path amount, payee or
	// destination says why not. It looks at Amount, Payee and Target only.
	Check(c Charge) error
	// Charge pays c. Called again with the same Key and the same charge it pays nothing more and reports what the first call did.
	//
	// A receipt is Succeeded, or Pending when the rail has taken the order and not yet carried it out. The error is ErrDeclined when
	// nothing was and nothing will be paid; every other error, an answer that did not come included, leaves that open.
	Charge(ctx context.Context, c Charge) (Receipt, error)
	// Lookup tells what became of an earlier Charge that left it open. The receipt's Status says how sure that is; an error is that
	// the rail could not be asked. It never pays.
	Lookup(ctx context.Context, c Charge) (Receipt, error)
	// Refund gives money back. Called again with the same Key and amount it gives back nothing more. ErrNoRefunds; ErrDeclined when
	// nothing came back and nothing will; every other error leaves that open, and Lookup tells it by Receipt.Refunded.
	Refund(ctx context.Context, r Refund) error
}

// Reader is what a Rail may be beside, when its provider reports by signed HTTP messages.
type Reader interface {
	// Read checks a message and says which charge it is about. ErrSignature; a message about something else has no Labels.
	Read(header func(name string) string, body []byte) (Message, error)
}

// Fetcher is what a Rail may be beside, when it pays for HTTP requests.
type Fetcher interface {
	// Fetch sends a request without paying for it. The error is a *fault.Error fit for the agent when the request cannot be sent, or
	// asks for a payment that this rail cannot make.
	Fetch(ctx context.Context, r Request) (Answer, error)
}

// Request is an HTTP request that may have to be paid for.
type Request struct {
	Method string            `json:"method"`
	URL    string            `json:"url"`
	Header map[string]string `json:"headers,omitempty"`
	Body   string            `json:"body,omitempty"`
}

// Answer is what came back for a Request.
type Answer struct {
	Result json.RawMessage // the answer, when nothing has to be paid; like Receipt.Result
	Quote  *Quote          // what has to be paid for it otherwise
}

// Quote is what somebody wants to be paid. A Charge made of it sends the request again, paid for.
type Quote struct {
	Amount      money.Amount
	Payee       string
	Description string
	Target      json.RawMessage // an object that holds the Request as "request"
}

// Charge is an order to pay.
type Charge struct {
	Key         string       // makes it unique, at most 255 bytes; the same after a crash
	Amount      money.Amount // above zero
	Payee       string       // whom, as policies have judged it
	Description string       // for statements and people
	// Target is what the rail needs beside, in its own terms: a JSON object that policies have seen, or nil.
	Target json.RawMessage
	// Labels are kept with the charge where the rail can, and come back in messages.
	Labels map[string]string
	// First is when the charge was first tried, Last when it was tried last. Rails tell by them how sure an absence is.
	First, Last time.Time
	// Reference is what an earlier receipt named; "" when there was none.
	Reference string
}

// Status says what is known of a charge.
type Status string

// The statuses of a charge.
const (
	Succeeded Status = "succeeded" // the money has moved
	Pending   Status = "pending"   // it may still move: ask again later
	Absent    Status = "absent"    // it has not moved, and charging again under the same key is safe
	Declined  Status = "declined"  // it has not moved and never will
)

// Receipt is what a rail says of a charge.
type Receipt struct {
	Status    Status
	Reference string       // the rail's own id; "" when it has none yet
	Amount    money.Amount // Succeeded: what was paid, at most what was ordered; zero is all of it
	Refunded  money.Amount // what has come back so far, in the charge's currency; zero is nothing
	Reason    string       // Declined: why, for the agent
	// Result is what the payee gave in return, a JSON value; nil when the rail carries nothing back.
	Result json.RawMessage
}

// Refund is an order to give back.
type Refund struct {
	Key    string // makes it unique, at most 255 bytes
	Charge Charge // with its Reference
	Amount money.Amount
}

// Message is what a rail's provider had to say.
type Message struct {
	ID     string            // the provider's own, the same when it is sent again
	Labels map[string]string // of the charge it is about; nil when it is about none of ours
}
