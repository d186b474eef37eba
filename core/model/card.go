package model

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
)

// CardProvider is the protocol that a card's address speaks, and whose it is.
type CardProvider string

// The providers. Those that are only compatible have no known prices.
const (
	Ant           CardProvider = "ant"            // Anthropic
	AntCompatible CardProvider = "ant-compatible" // whoever speaks as Anthropic does
	OAI           CardProvider = "oai"            // OpenAI
	OAICompatible CardProvider = "oai-compatible" // whoever speaks as OpenAI does
)

// providerNames are the providers as prices and spans know them.
var providerNames = map[CardProvider]string{
	Ant: "anthropic", AntCompatible: "ant-compatible", OAI: "openai", OAICompatible: "oai-compatible",
}

// The limits of a card.
const (
	MaxHandle      = 256 // characters of ModelID and Model
	MaxBaseURL     = 2048
	MaxKey         = 8192 // bytes of a key, and of a header's value
	MaxHeaders     = 32
	MaxHeaderName  = 128
	minPreviewed   = 12 // characters of a key whose last four are shown
	previewedChars = 4
)

// Card is a tenant's own access to a model, without its secrets.
type Card struct {
	ID         id.ModelCard
	Tenant     id.Tenant
	ModelID    string // the handle by which agents call it; a tenant has one card of each
	Model      string // the provider's name of the model; "" is ModelID
	Provider   CardProvider
	BaseURL    string   // "" is the provider's own
	Headers    []string // the names of the headers that are sent besides, sorted
	KeyPreview string   // the last four characters of the key; "" of a short one
	Default    bool     // answers handles that name no model; at most one card of a tenant
	Version    int      // from 1, raised by every change
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Name returns the provider's name of the model.
func (c Card) Name() string {
	if c.Model != "" {
		return c.Model
	}
	return c.ModelID
}

// CardRecord is a card as stores keep it: with its key and the values of its headers, sealed.
type CardRecord struct {
	Card
	Sealed []byte
}

// CardRepository keeps cards. One that is missing or another tenant's is id.NotFound[id.ModelCardKind]. Methods join the transaction in
// ctx. Insert and Update take Default from the tenant's other cards when the record has it, and return ErrCardExists when another card
// has the ModelID.
type CardRepository interface {
	// Insert adds a card.
	Insert(ctx context.Context, sc account.Scope, r CardRecord) error
	// Get returns a card.
	Get(ctx context.Context, sc account.Scope, card id.ModelCard) (CardRecord, error)
	// Find returns the card of a handle; of the default when handle is "". False when there is none.
	Find(ctx context.Context, sc account.Scope, handle string) (CardRecord, bool, error)
	// Update replaces a card; ErrCardVersion unless the stored version is the one before r.Version.
	Update(ctx context.Context, sc account.Scope, r CardRecord) error
	// List returns cards, newest first.
	List(ctx context.Context, sc account.Scope, req page.Request) (page.Page[Card], error)
	// All returns every card of the tenant, oldest first.
	All(ctx context.Context, sc account.Scope) ([]CardRecord, error)
	// Delete removes a card.
	Delete(ctx context.Context, sc account.Scope, card id.ModelCard) error
}

// Endpoint is where a card's model is, with its key.
type Endpoint struct {
	Provider CardProvider
	Name     string // what the llm.Provider is to be called
	BaseURL  string // "" is the provider's own; with or without /v1 at its end
	Model    string
	APIKey   string
	Headers  map[string]string
}

// Factory makes the providers of cards. Their addresses are a tenant's choice: it reaches none that is private, unless the operator has
// opened it.
type Factory interface {
	// Open returns the provider of an endpoint. It makes no request; an address that cannot be one is a fault.Invalid.
	Open(e Endpoint) (llm.Provider, error)
}

// Auditor is told of every change, in the transaction that makes it.
type Auditor interface {
	// Record adds an entry to the trail of the scope's tenant. Ids in metadata are UUIDs.
	Record(ctx context.Context, sc account.Scope, action string, metadata map[string]any) error
}
