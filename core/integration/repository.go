package integration

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Installations stores installations and which events are theirs. Methods are safe for concurrent use and join the transaction in ctx; an
// installation that is missing or another tenant's is id.NotFound[id.InstallationKind].
type Installations interface {
	// Save stores i. When sc's tenant has an installation of its Provider and WorkspaceID, everything but ID, CreatedAt and, when i has
	// none, Environment replaces what that one has. The events of i.Accounts are the installation's from then on. ErrWorkspaceTaken: those of
	// WorkspaceID are another tenant's; further accounts that are another's stay so.
	Save(ctx context.Context, sc account.Scope, i Installation) (Installation, error)
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, installation id.Installation) (Installation, error)
	// List returns those of an integration, the oldest first; "" is every integration.
	List(ctx context.Context, sc account.Scope, provider string) ([]Installation, error)
	// Update locks one, lets the closure change its Status, SealedToken, TokenExpiry, UpdatedAt and RemovedAt, and stores those. An error of
	// change is returned and nothing is stored. One that becomes Uninstalled gives its events away.
	Update(ctx context.Context, sc account.Scope, installation id.Installation, change func(*Installation) error) (Installation, error)
	// Route returns whose event it is: the first of accounts that belongs to an installation. false: nobody's.
	Route(ctx context.Context, provider string, accounts []string) (id.Tenant, id.Installation, bool, error)
}

// Publications stores publications. Methods are safe for concurrent use and join the transaction in ctx; a publication that is missing or
// another tenant's is id.NotFound[id.PublicationKind].
type Publications interface {
	// Insert stores a new one; ErrPublished when its agent has a live one in its installation.
	Insert(ctx context.Context, sc account.Scope, p Publication) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, publication id.Publication) (Publication, error)
	// List lists those that req chooses, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Publication], error)
	// Update locks one, lets the closure change it, and stores all but ID, Tenant, Provider, Installation, Agent and CreatedAt. An error of change
	// is returned and nothing is stored.
	Update(ctx context.Context, sc account.Scope, publication id.Publication, change func(*Publication) error) (Publication, error)
	// Live returns the live ones of an installation, oldest first.
	Live(ctx context.Context, sc account.Scope, installation id.Installation) ([]Publication, error)
}

// ListRequest chooses publications. Zero fields are any.
type ListRequest struct {
	page.Request
	Provider     string
	Installation id.Installation
	Agent        id.Agent
	Status       Status // Live or Unpublished
}

// Conversations stores which session a conversation is held in.
type Conversations interface {
	// Session returns the session of a conversation, and holds the publication's conversations against others until the transaction
	// ends; false: there is none. It must be called inside a transaction.
	Session(ctx context.Context, sc account.Scope, publication id.Publication, conversation string) (id.Session, bool, error)
	// SetSession stores the session of a conversation, in place of another.
	SetSession(ctx context.Context, sc account.Scope, publication id.Publication, conversation string, session id.Session, at time.Time) error
}

// Deliveries stores events and what is to be said about them. Methods are safe for concurrent use and join the transaction in ctx.
type Deliveries interface {
	// Insert stores a new one; false: the provider's event is stored already, or its message in its installation is.
	Insert(ctx context.Context, sc account.Scope, d Delivery) (bool, error)
	// Get returns one, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, delivery id.Delivery) (Delivery, error)
	// Update locks one, lets the closure change State, Publication, Session, Input, Notice, CheckAt, Error and UpdatedAt, and stores those; or
	// id.NotFound. An error of change is returned and nothing is stored.
	Update(ctx context.Context, sc account.Scope, delivery id.Delivery, change func(*Delivery) error) (Delivery, error)
	// Due returns at most limit Running ones of every tenant with CheckAt up to now, the longest overdue first.
	Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// Stale returns at most limit Received ones of every tenant with UpdatedAt before the given time, the oldest first.
	Stale(ctx context.Context, before time.Time, limit int) ([]Delivery, error)
	// Prune removes what was created before and is not Running, with its posts, and returns how many deliveries there were.
	Prune(ctx context.Context, before time.Time) (int, error)
}

// Outbox stores what is to be said.
type Outbox interface {
	// InsertPost stores a new one; false: the delivery has one of that Mark.
	InsertPost(ctx context.Context, sc account.Scope, p Post) (bool, error)
	// StalePosts returns at most limit Sending ones of every tenant with UpdatedAt before the given time, the oldest first.
	StalePosts(ctx context.Context, before time.Time, limit int) ([]Post, error)
	// UpdatePost locks one, lets the closure change State, External, Error and UpdatedAt, and stores those; or id.NotFound. An error of change is
	// returned and nothing is stored.
	UpdatePost(ctx context.Context, sc account.Scope, post id.Post, change func(*Post) error) (Post, error)
}
