package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// ProbeTimeout is how long a model may take to answer a probe.
const ProbeTimeout = 6 * time.Second

// HiddenHeader is what faces show instead of the value of a header. In a change it leaves the value as it is.
const HiddenHeader = "[redacted]"

// CardDeps is what Cards needs. All fields are required.
type CardDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Keeper     keeper.Keeper
	Repository CardRepository
	Factory    Factory
	Audit      Auditor
}

// Cards keeps the tenants' own accesses to models, and resolves handles to them. It is safe for concurrent use.
type Cards struct {
	d CardDeps

	mu   sync.Mutex
	open map[id.ModelCard]opened
}

// opened is the provider of one version of a card.
type opened struct {
	version  int
	provider llm.Provider
}

// maxOpen bounds how many providers are remembered.
const maxOpen = 1024

// NewCards returns Cards, or an error that names what is missing.
func NewCards(d CardDeps) (*Cards, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Repository", d.Repository == nil}, {"Factory", d.Factory == nil}, {"Audit", d.Audit == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("model: CardDeps.%s is required", f.name)
		}
	}
	return &Cards{d: d, open: map[id.ModelCard]opened{}}, nil
}

// CardDraft is a card with its secrets, as a caller gives it.
type CardDraft struct {
	ModelID  string
	Model    string
	Provider CardProvider
	BaseURL  string
	APIKey   string
	Headers  map[string]string
	Default  bool
}

// LogValue implements slog.LogValuer without secrets.
func (d CardDraft) LogValue() slog.Value { return slog.StringValue(d.ModelID) }

// CardPatch changes a card; nil fields leave as it is what they name.
type CardPatch struct {
	ModelID  *string
	Model    *string // "": the model is called as ModelID says
	Provider *CardProvider
	BaseURL  *string // "": the provider's own
	APIKey   *string
	// Headers replaces them; a value that is HiddenHeader stays what it was.
	Headers *map[string]string
	Default *bool
}

// Create adds a card, after the model has answered. Returns ErrCardInvalid, ErrProbe, ErrCardExists.
func (c *Cards) Create(ctx context.Context, sc account.Scope, d CardDraft) (Card, error) {
	if err := d.check(); err != nil {
		return Card{}, err
	}
	// Asking a model costs time and money: a handle that is taken is refused before. The store has the last word.
	if _, taken, err := c.d.Repository.Find(ctx, sc, d.ModelID); err != nil || taken {
		return Card{}, errors.Join(err, exists(taken))
	}
	if err := c.probe(ctx, d); err != nil {
		return Card{}, err
	}
	now := clock.Stored(c.d.Clock.Now())
	r := CardRecord{Card: Card{ID: id.New[id.ModelCardKind](c.d.IDs), Tenant: sc.Tenant, Version: 1, CreatedAt: now, UpdatedAt: now}}
	if err := c.fill(ctx, sc, &r, d); err != nil {
		return Card{}, err
	}
	err := c.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := c.d.Repository.Insert(ctx, sc, r); err != nil {
			return err
		}
		return c.note(ctx, sc, "model_card_created", r.Card)
	})
	if err != nil {
		return Card{}, err
	}
	return r.Card, nil
}

func exists(taken bool) error {
	if taken {
		return ErrCardExists
	}
	return nil
}

// Get returns a card.
func (c *Cards) Get(ctx context.Context, sc account.Scope, card id.ModelCard) (Card, error) {
	r, err := c.d.Repository.Get(ctx, sc, card)
	return r.Card, err
}

// Key refuses to show the key of a card: ErrKeyInternal, and id.NotFound for a card that is not there. In the server's own process nobody
// needs it; see Find.
func (c *Cards) Key(ctx context.Context, sc account.Scope, card id.ModelCard) error {
	if _, err := c.d.Repository.Get(ctx, sc, card); err != nil {
		return err
	}
	return ErrKeyInternal
}

// List returns cards, newest first.
func (c *Cards) List(ctx context.Context, sc account.Scope, req page.Request) (page.Page[Card], error) {
	return c.d.Repository.List(ctx, sc, req)
}

// Update changes a card. When that changes how the model is reached, the model must answer before; otherwise the card stays as it was.
// It reports whether the model was asked. Sessions use the change from their next model call on. Errors are those of Create, and
// ErrCardVersion when somebody else changed the card meanwhile.
func (c *Cards) Update(ctx context.Context, sc account.Scope, card id.ModelCard, p CardPatch) (_ Card, probed bool, err error) {
	r, err := c.d.Repository.Get(ctx, sc, card)
	if err != nil {
		return Card{}, false, err
	}
	was, err := c.draft(ctx, sc, r)
	if err != nil {
		return Card{}, false, err
	}
	d := p.apply(was)
	if err := d.check(); err != nil {
		return Card{}, false, err
	}
	if d.ModelID != was.ModelID {
		if _, taken, err := c.d.Repository.Find(ctx, sc, d.ModelID); err != nil || taken {
			return Card{}, false, errors.Join(err, exists(taken))
		}
	}
	if !d.reachesAs(was) {
		if err := c.probe(ctx, d); err != nil {
			return Card{}, false, err
		}
		probed = true
	}
	r.Version++
	r.UpdatedAt = clock.Stored(c.d.Clock.Now())
	if err := c.fill(ctx, sc, &r, d); err != nil {
		return Card{}, probed, err
	}
	err = c.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := c.d.Repository.Update(ctx, sc, r); err != nil {
			return err
		}
		return c.note(ctx, sc, "model_card_updated", r.Card)
	})
	if err != nil {
		return Card{}, probed, err
	}
	return r.Card, probed, nil
}

// Delete removes a card. Agents that name it run on what their handle means then; see Registry.Resolve.
func (c *Cards) Delete(ctx context.Context, sc account.Scope, card id.ModelCard) error {
	err := c.d.TX.Do(ctx, func(ctx context.Context) error {
		r, err := c.d.Repository.Get(ctx, sc, card)
		if err != nil {
			return err
		}
		if err := c.d.Repository.Delete(ctx, sc, card); err != nil {
			return err
		}
		return c.note(ctx, sc, "model_card_deleted", r.Card)
	})
	if err == nil {
		c.mu.Lock()
		delete(c.open, card)
		c.mu.Unlock()
	}
	return err
}

// Find resolves a handle to a card: the default one for "". False when the tenant has none of it. The card is read each time, so that a
// rotated key is in use from the next call on, on every server.
func (c *Cards) Find(ctx context.Context, sc account.Scope, handle string) (Resolved, bool, error) {
	r, ok, err := c.d.Repository.Find(ctx, sc, handle)
	if err != nil || !ok {
		return Resolved{}, false, err
	}
	c.mu.Lock()
	o := c.open[r.ID]
	c.mu.Unlock()
	if o.provider == nil || o.version != r.Version {
		d, err := c.draft(ctx, sc, r)
		if err != nil {
			return Resolved{}, false, err
		}
		if o.provider, err = c.d.Factory.Open(d.endpoint()); err != nil {
			return Resolved{}, false, err
		}
		o.version = r.Version
		c.mu.Lock()
		if len(c.open) >= maxOpen {
			clear(c.open)
		}
		c.open[r.ID] = o
		c.mu.Unlock()
	}
	return Resolved{Provider: o.provider, ProviderName: providerNames[r.Provider], Model: r.Name()}, true, nil
}

// Any reports whether the tenant has cards.
func (c *Cards) Any(ctx context.Context, sc account.Scope) (bool, error) {
	p, err := c.d.Repository.List(ctx, sc, page.Request{Limit: 1})
	return len(p.Items) > 0, err
}

// Secrets returns what must not be told of the tenant's cards: keys and the values of headers, each under the name of its card.
func (c *Cards) Secrets(ctx context.Context, sc account.Scope) (map[string][]string, error) {
	all, err := c.d.Repository.All(ctx, sc)
	if err != nil {
		return nil, err
	}
	var out map[string][]string
	for _, r := range all {
		d, err := c.draft(ctx, sc, r)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[r.ModelID] = d.secrets()
	}
	return out, nil
}

// probe asks the model for one token.
func (c *Cards) probe(ctx context.Context, d CardDraft) error {
	p, err := c.d.Factory.Open(d.endpoint())
	if err != nil {
		if f, ok := fault.As(err); ok && f.Kind == fault.Invalid {
			return f
		}
		return ErrProbe.Withf("base_url: %s", "is not an address that can be used").Wrap(err)
	}
	ctx, cancel := context.WithTimeout(ctx, ProbeTimeout)
	defer cancel()
	req := llm.Request{
		Model: d.endpoint().Model, MaxOutputTokens: 1, Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Hi"}}}},
	}
	for ev, err := range p.Generate(ctx, req) {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return ErrProbe.Withf("the model did not answer within %s", ProbeTimeout)
		case errors.Is(err, context.Canceled):
			return err
		case err != nil:
			return ErrProbe.Withf("%s", d.hide(told(err))).Wrap(errors.New(d.hide(err.Error())))
		case ev.Response != nil:
			return nil
		}
	}
	return ErrProbe
}

// egressBlocked is the code of egress.ErrBlocked, which this package does not import: it would bring net/http along.
const egressBlocked = "egress_blocked"

// told is what a provider said, for the one who has given the key.
func told(err error) string {
	message := ErrProbe.Message
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		message = f.Message
		if f.Code == egressBlocked {
			message += "; the server's operator opens others with BUREAU_EGRESS_ALLOW"
		}
	}
	if r, ok := errors.AsType[*llm.Refusal](err); ok && r.Message != "" {
		message += ": " + r.Message
	}
	return message
}

// hide takes the draft's secrets out of a text.
func (d CardDraft) hide(text string) string {
	for _, s := range d.secrets() {
		if len(s) >= previewedChars {
			text = strings.ReplaceAll(text, s, HiddenHeader)
		}
	}
	return text
}

func (d CardDraft) secrets() []string {
	return append([]string{d.APIKey}, slices.Sorted(maps.Values(d.Headers))...)
}

func (d CardDraft) endpoint() Endpoint {
	e := Endpoint{
		Provider: d.Provider, Name: providerNames[d.Provider], BaseURL: d.BaseURL, Model: d.Model, APIKey: d.APIKey, Headers: d.Headers,
	}
	if e.Model == "" {
		e.Model = d.ModelID
	}
	return e
}

// reachesAs reports whether the draft reaches its model as was does.
func (d CardDraft) reachesAs(was CardDraft) bool {
	a, b := d.endpoint(), was.endpoint()
	return a.Provider == b.Provider && a.BaseURL == b.BaseURL && a.Model == b.Model && a.APIKey == b.APIKey && maps.Equal(a.Headers, b.Headers)
}

// apply returns a draft with a patch applied.
func (p CardPatch) apply(d CardDraft) CardDraft {
	set(&d.ModelID, p.ModelID)
	set(&d.Model, p.Model)
	set(&d.Provider, p.Provider)
	set(&d.BaseURL, p.BaseURL)
	set(&d.APIKey, p.APIKey)
	set(&d.Default, p.Default)
	if p.Headers != nil {
		was := map[string]string{}
		for name, value := range d.Headers {
			was[strings.ToLower(name)] = value
		}
		d.Headers = maps.Clone(*p.Headers)
		for name, value := range d.Headers {
			if old, ok := was[strings.ToLower(name)]; ok && value == HiddenHeader {
				d.Headers[name] = old
			}
		}
	}
	return d
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// forbiddenHeaders are set by the connection or by the protocol; the first are those that RFC 9110, 7.6.1, keeps to one connection.
var forbiddenHeaders = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-authenticate": true, "proxy-authorization": true, "proxy-connection": true, "te": true,
	"trailer": true, "transfer-encoding": true, "upgrade": true,
	"host": true, "content-length": true, "content-type": true, "content-encoding": true, "accept": true, "accept-encoding": true, "expect": true,
}

// check returns every fault of a draft.
func (d CardDraft) check() error {
	var fields []fault.Field
	add := func(path, format string, args ...any) {
		fields = append(fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	switch handle := d.ModelID; {
	case strings.TrimSpace(handle) == "":
		add("model_id", "must not be empty")
	case handle == Offline || handle == Default:
		add("model_id", "must not be %q: that is the server's own", handle)
	case handle != strings.TrimSpace(handle):
		add("model_id", "must not begin or end with a blank")
	default:
		checkText(add, "model_id", handle)
	}
	checkText(add, "model", d.Model)
	if d.Model != "" && strings.TrimSpace(d.Model) == "" {
		add("model", "must not be blank")
	}
	if providerNames[d.Provider] == "" {
		add("provider", "must be ant, ant-compatible, oai or oai-compatible")
	}
	checkSecret(add, "api_key", d.APIKey, true)
	if d.BaseURL != "" {
		checkBase(add, d.BaseURL)
	}
	if len(d.Headers) > MaxHeaders {
		add("custom_headers", "has %d headers; at most %d are allowed", len(d.Headers), MaxHeaders)
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(d.Headers)) {
		lower := strings.ToLower(name)
		switch {
		case name == "" || len(name) > MaxHeaderName || strings.ContainsFunc(name, notToken):
			add("custom_headers", "the names of headers must be 1 to %d letters, digits and some of !#$%%&'*+-.^_`|~", MaxHeaderName)
			continue
		case forbiddenHeaders[lower]:
			add("custom_headers."+name, "this header cannot be set")
		case seen[lower]:
			add("custom_headers."+name, "is there twice")
		}
		seen[lower] = true
		checkSecret(add, "custom_headers."+name, d.Headers[name], false)
	}
	if len(fields) == 0 {
		return nil
	}
	return ErrCardInvalid.Withf("%s: %s", fields[0].Path, fields[0].Message).WithFields(fields...)
}

// notToken reports whether a rune cannot be in the name of a header (RFC 9110, 5.6.2).
func notToken(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

func checkText(add func(path, format string, args ...any), path, s string) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		add(path, "must be a text without control characters")
	case n > MaxHandle:
		add(path, "has %d characters; at most %d are allowed", n, MaxHandle)
	}
}

func checkSecret(add func(path, format string, args ...any), path, s string, required bool) {
	switch {
	case strings.TrimSpace(s) == "" && (required || s != ""):
		add(path, "must not be empty")
	case len(s) > MaxKey:
		add(path, "has %d bytes; at most %d are allowed", len(s), MaxKey)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		add(path, "must not contain control characters")
	}
}

func checkBase(add func(path, format string, args ...any), s string) {
	u, err := url.Parse(s)
	switch {
	case len(s) > MaxBaseURL:
		add("base_url", "has %d characters; at most %d are allowed", len(s), MaxBaseURL)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		add("base_url", "must be an http:// or https:// address")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		add("base_url", "must not hold a user, a query or a fragment")
	}
}

// sealedCard is what is sealed.
type sealedCard struct {
	APIKey  string            `json:"api_key"`
	Headers map[string]string `json:"headers,omitempty"`
}

func cardPlace(sc account.Scope, card id.ModelCard) string {
	return sc.Tenant.UUID().String() + "/model_cards/" + card.UUID().String() + "/sealed"
}

// fill writes a draft into a record.
func (c *Cards) fill(ctx context.Context, sc account.Scope, r *CardRecord, d CardDraft) error {
	r.ModelID, r.Model, r.Provider, r.BaseURL, r.Default = d.ModelID, d.Model, d.Provider, d.BaseURL, d.Default
	r.Headers, r.KeyPreview = slices.Sorted(maps.Keys(d.Headers)), ""
	if runes := []rune(d.APIKey); len(runes) >= minPreviewed {
		r.KeyPreview = string(runes[len(runes)-previewedChars:])
	}
	plain, err := json.Marshal(sealedCard{d.APIKey, d.Headers}) //nolint:gosec // it is sealed at once
	if err != nil {
		return fmt.Errorf("model: %w", err)
	}
	r.Sealed, err = c.d.Keeper.Seal(ctx, cardPlace(sc, r.ID), plain)
	return err
}

// draft opens a record.
func (c *Cards) draft(ctx context.Context, sc account.Scope, r CardRecord) (CardDraft, error) {
	plain, err := c.d.Keeper.Open(ctx, cardPlace(sc, r.ID), r.Sealed)
	if err != nil {
		return CardDraft{}, err
	}
	var s sealedCard
	if json.Unmarshal(plain, &s) != nil {
		return CardDraft{}, fmt.Errorf("model: card %s: what was sealed cannot be read", r.ID) // the cause would quote it
	}
	return CardDraft{
		ModelID: r.ModelID, Model: r.Model, Provider: r.Provider, BaseURL: r.BaseURL, APIKey: s.APIKey, Headers: s.Headers, Default: r.Default,
	}, nil
}

func (c *Cards) note(ctx context.Context, sc account.Scope, action string, card Card) error {
	return c.d.Audit.Record(ctx, sc, action, map[string]any{
		"model_card_id": card.ID.UUID().String(), "model_id": card.ModelID, "provider": string(card.Provider), "version": card.Version,
	})
}
