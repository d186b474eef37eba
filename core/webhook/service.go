package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/internal/lanes"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Trail is where the service notes what was done to webhooks; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Deps is what a Service needs; all fields are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Keeper     keeper.Keeper
	Webhooks   Webhooks
	Notices    Notices
	Deliveries Deliveries
	Sender     Sender
	Trail      Trail
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// Timeout bounds one attempt; 0 is 10 s. Its lease is twice as long, which is how long a delivery waits after its process has died.
	Timeout time.Duration
	// PollEvery is how often the store is asked for what is to be tried again, or was queued by other processes; 0 is 1 s.
	PollEvery time.Duration
	// DisableAfter is how many deliveries in a row are given up before their webhook is disabled; 0 is 10.
	DisableAfter int
	// Concurrency is how many requests this process makes at once, 0 is 64; PerTenant how many of them are one tenant's, 0 is 8.
	Concurrency, PerTenant int
}

// Service keeps webhooks and tells them what happens. It is safe for concurrent use.
type Service struct {
	d     Deps
	c     Config
	lanes *lanes.Runner[Lane]
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, c Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Webhooks", d.Webhooks == nil}, {"Notices", d.Notices == nil}, {"Deliveries", d.Deliveries == nil}, {"Sender", d.Sender == nil},
		{"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("webhook: Deps.%s is required", f.name)
		}
	}
	if c.Timeout < 0 || c.PollEvery < 0 || c.DisableAfter < 0 || c.Concurrency < 0 || c.PerTenant < 0 {
		return nil, errors.New("webhook: nothing in Config may be negative")
	}
	for _, f := range []struct {
		to        *time.Duration
		otherwise time.Duration
	}{{&c.Timeout, 10 * time.Second}, {&c.PollEvery, time.Second}} {
		if *f.to == 0 {
			*f.to = f.otherwise
		}
	}
	for _, f := range []struct {
		to        *int
		otherwise int
	}{{&c.DisableAfter, 10}, {&c.Concurrency, 64}, {&c.PerTenant, 8}} {
		if *f.to == 0 {
			*f.to = f.otherwise
		}
	}
	s := &Service{d: d, c: c}
	s.lanes = lanes.New(s.work())
	return s, nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// NewWebhook asks for a webhook.
type NewWebhook struct {
	URL         string
	Events      []string
	Description string
	Disabled    bool
	Secret      string // "" makes one
}

// Create adds a webhook and returns it with its secret, which no other call returns. ErrInvalid, ErrTooMany; account.ErrForbidden for a kind
// that the caller may not read.
func (s *Service) Create(ctx context.Context, sc account.Scope, n NewWebhook) (Webhook, secret.Value, error) {
	now := s.now()
	w := Webhook{
		ID: id.New[id.WebhookKind](s.d.IDs), Tenant: sc.Tenant, URL: n.URL, Events: tidy(n.Events), Description: n.Description,
		Enabled: !n.Disabled, CreatedAt: now, UpdatedAt: now,
	}
	var f check.Faults
	s.check(&f, w)
	key, err := s.secret(&f, n.Secret)
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	if err := maySend(sc, w.Events); err != nil {
		return Webhook{}, secret.Value{}, err
	}
	if w.SealedSecret, err = s.d.Keeper.Seal(ctx, w.place(), []byte(key.Reveal())); err != nil {
		return Webhook{}, secret.Value{}, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Webhooks.Insert(ctx, sc, w, MaxPerTenant); err != nil {
			return err
		}
		return s.note(ctx, sc, "webhook_created", w)
	})
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	return w, key, nil
}

// secret returns the secret that a tenant has chosen, or a new one; with f it returns all faults that were found.
func (s *Service) secret(f *check.Faults, chosen string) (secret.Value, error) {
	key := newSecret()
	if chosen != "" {
		checkSecret(f, chosen)
		key = secret.NewValue(chosen)
	}
	return key, f.Err(ErrInvalid)
}

func tidy(events []string) []string {
	out := slices.Clone(events)
	slices.Sort(out)
	return slices.Compact(out)
}

// check adds what is wrong with a webhook.
func (s *Service) check(f *check.Faults, w Webhook) {
	CheckURL(f, s.d.Sender, w.URL)
	f.Text("description", w.Description, MaxDescription)
	switch {
	case len(w.Events) == 0:
		f.Addf("events", "must not be empty; \"*\" stands for every kind")
	case len(w.Events) > MaxEvents:
		f.Addf("events", "has %d entries; at most %d are allowed", len(w.Events), MaxEvents)
	}
	for _, e := range w.Events {
		if !wanted(e) {
			f.Addf("events", "%.100q is no kind of notice; the kinds are %s, and \"wallet.*\" or \"*\" stand for several", e, kindNames())
		}
	}
}

func (s *Service) note(ctx context.Context, sc account.Scope, action string, w Webhook) error {
	return s.d.Trail.Note(ctx, sc, action, id.Agent{}, map[string]any{
		"webhook_id": w.ID.UUID().String(), "url": bare(w.URL), "events": slices.Clone(w.Events), "enabled": w.Enabled,
	})
}

// bare returns an address without its query, which may hold a password.
func bare(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}

// Get returns a webhook.
func (s *Service) Get(ctx context.Context, sc account.Scope, webhook id.Webhook) (Webhook, error) {
	return s.d.Webhooks.Get(ctx, sc, webhook)
}

// List lists webhooks, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, r page.Request) (page.Page[Webhook], error) {
	return s.d.Webhooks.List(ctx, sc, r)
}

// Patch changes a webhook; nil fields stay.
type Patch struct {
	URL         *string
	Events      *[]string
	Description *string
	// Enabled false gives up what waits for the webhook; true forgives its failures.
	Enabled *bool
}

// Update changes a webhook. What waits for it goes to its new address. ErrInvalid; account.ErrForbidden when another address or other
// events would send the caller what it may not read.
func (s *Service) Update(ctx context.Context, sc account.Scope, webhook id.Webhook, p Patch) (Webhook, error) {
	var out Webhook
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		out, err = s.d.Webhooks.Update(ctx, sc, webhook, func(w *Webhook) error {
			set(&w.URL, p.URL)
			set(&w.Description, p.Description)
			if p.Events != nil {
				w.Events = tidy(*p.Events)
			}
			if p.Enabled != nil && *p.Enabled != w.Enabled {
				w.Enabled, w.Reason, w.Failures = *p.Enabled, "", 0
			}
			w.UpdatedAt = s.now()
			var f check.Faults
			s.check(&f, *w)
			if err := f.Err(ErrInvalid); err != nil || p.URL == nil && p.Events == nil {
				return err
			}
			return maySend(sc, w.Events)
		})
		if err != nil {
			return err
		}
		if !out.Enabled {
			if err := s.d.Deliveries.GiveUp(ctx, sc, webhook, "the webhook was disabled", out.UpdatedAt); err != nil {
				return err
			}
		}
		return s.note(ctx, sc, "webhook_updated", out)
	})
	if err != nil {
		return Webhook{}, err
	}
	return out, nil
}

func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

// Rotate replaces the secret of a webhook by chosen, "" makes one, and returns it. The old one stays good for overlap, which is from 0 to
// MaxOverlap; one that was replaced before is forgotten at once. ErrInvalid.
func (s *Service) Rotate(
	ctx context.Context, sc account.Scope, webhook id.Webhook, chosen string, overlap time.Duration,
) (Webhook, secret.Value, error) {
	was, err := s.d.Webhooks.Get(ctx, sc, webhook)
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	var f check.Faults
	if overlap < 0 || overlap > MaxOverlap {
		f.Addf("overlap_seconds", "must be from 0 to %d", int(MaxOverlap.Seconds()))
	}
	key, err := s.secret(&f, chosen)
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	sealed, err := s.d.Keeper.Seal(ctx, was.place(), []byte(key.Reveal()))
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	var out Webhook
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		out, err = s.d.Webhooks.Update(ctx, sc, webhook, func(w *Webhook) error {
			now := s.now()
			w.SealedPrevious, w.PreviousUntil = nil, time.Time{}
			if overlap > 0 {
				w.SealedPrevious, w.PreviousUntil = w.SealedSecret, now.Add(overlap)
			}
			w.SealedSecret, w.UpdatedAt = sealed, now
			return nil
		})
		if err != nil {
			return err
		}
		return s.note(ctx, sc, "webhook_secret_rotated", out)
	})
	if err != nil {
		return Webhook{}, secret.Value{}, err
	}
	return out, key, nil
}

// Delete removes a webhook with its deliveries.
func (s *Service) Delete(ctx context.Context, sc account.Scope, webhook id.Webhook) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		w, err := s.d.Webhooks.Get(ctx, sc, webhook)
		if err != nil {
			return err
		}
		if err := s.d.Webhooks.Delete(ctx, sc, webhook); err != nil {
			return err
		}
		return s.note(ctx, sc, "webhook_deleted", w)
	})
}
