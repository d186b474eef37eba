package webhook

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// Status is how far a delivery came.
type Status string

// The states of a delivery.
const (
	Pending   Status = "pending" // waits for its turn, is being sent, or is tried again later
	Delivered Status = "delivered"
	Failed    Status = "failed" // given up; Error says why
)

// Delivery is a notice on its way to one webhook.
type Delivery struct {
	ID       id.Attempt
	Tenant   id.Tenant
	Webhook  id.Webhook
	Notice   id.Notice
	Kind     string // the notice's
	Manual   bool   // a test, or asked for again: it comes out of turn
	Status   Status
	Error    string    // why it was given up; "" unless Failed
	Attempts []Attempt // those that are over, the first one first
	NextAt   time.Time // when it is tried next, and not before; the zero time unless Pending
	// CreatedAt is when it was queued, UpdatedAt when it was last tried.
	CreatedAt, UpdatedAt time.Time
}

// Attempt is one try to deliver.
type Attempt struct {
	At       time.Time
	Duration time.Duration // until the answer or its absence, in whole milliseconds
	Code     int           // the answer's status; 0 when there was no answer
	Error    string        // what was wrong; "" for a status from 200 to 299
}

// Retries are the waits after failed attempts of a delivery. After the last one it is given up.
func Retries() []time.Duration {
	return []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}
}

// Lane is what is delivered one at a time: the deliveries of one webhook that are in turn, or those that are Manual.
type Lane struct {
	Tenant  id.Tenant
	Webhook id.Webhook
	Manual  bool
}
