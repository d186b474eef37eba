package webhook

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// The bounds of webhooks.
const (
	MaxPerTenant   = 20
	MaxURL         = 2048 // characters
	MaxDescription = 500
	MaxEvents      = 50
	MaxOverlap     = 7 * 24 * time.Hour // for which an old secret may stay good
	DefaultOverlap = 24 * time.Hour
)

// Webhook is an address that is told what happens.
type Webhook struct {
	ID          id.Webhook
	Tenant      id.Tenant
	URL         string
	Events      []string // kinds of notices, or patterns of them: "wallet.*", "*"; sorted, at least one
	Description string
	Enabled     bool   // a disabled one hears nothing, also later
	Reason      string // why the server has disabled it; "" when it did not
	Failures    int    // deliveries that were given up in a row

	// SealedSecret is what deliveries are signed with; SealedPrevious is another one that they are signed with until PreviousUntil.
	SealedSecret   []byte
	SealedPrevious []byte // nil is none
	PreviousUntil  time.Time

	CreatedAt time.Time
	UpdatedAt time.Time
}

// place is what the secrets of a webhook are bound to by their seals.
func (w Webhook) place() string { return w.Tenant.String() + "/webhooks/" + w.ID.String() + "/secret" }
