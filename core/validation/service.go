package validation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Judge finds out what is wrong with a card; card.Validate is one. It is safe for concurrent use.
type Judge func(text []byte, o card.Options) card.Result

// Deps is what a Service needs; all fields are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Judge      Judge
	Allowances Allowances
	Reports    Reports
	Cards      Cards
}

// Service judges cards for callers and keeps what it finds. It is safe for concurrent use.
type Service struct {
	d Deps
	c Config
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, c Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Judge", d.Judge == nil},
		{"Allowances", d.Allowances == nil}, {"Reports", d.Reports == nil}, {"Cards", d.Cards == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("validation: Deps.%s is required", f.name)
		}
	}
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Service{d: d, c: c}, nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// Mode says what becomes of a validation.
type Mode string

// The modes. The verdict is the same in both.
const (
	Standard Mode = "standard" // stores a report
	CLI      Mode = "cli"      // stores nothing
)

// MaxBatch is how many cards a batch has at most.
const MaxBatch = 100

// MaxLabel is how many characters a card's name within its batch has at most.
const MaxLabel = 200

// Item is a card to be judged.
type Item struct {
	Label   string       // names it within a batch; "" outside of one
	Text    []byte       // the card, as it was sent
	Version card.Version // what it is held to; "" chooses by the card
}

// Judged is a card that was judged.
type Judged struct {
	Label  string
	Result card.Result
	Report id.CardReport // zero when no report was stored
	Card   id.AgentCard  // zero when no report was stored, and for callers without a key
	At     time.Time     // that of the report
}

// Outcome is what came of a request.
type Outcome struct {
	Allowance Allowance // with this request; beside ErrExhausted, without it
	Batch     id.CardBatch
	Judged    []Judged // in the order of the items
	At        time.Time
}

// Validate judges one card. ErrExhausted when the caller has used up the day, beside an Outcome that has the Allowance; ErrValidator.
func (s *Service) Validate(ctx context.Context, c Caller, mode Mode, item Item) (Outcome, error) {
	if err := checkMode(mode); err != nil {
		return Outcome{}, err
	}
	return s.validate(ctx, c, mode, id.CardBatch{}, []Item{item})
}

// ValidateBatch judges up to MaxBatch cards, with labels that are each there once. Beside the errors of Validate: ErrBatchNotAllowed when the plan
// has no batches, which is found out first, and ErrInvalid.
func (s *Service) ValidateBatch(ctx context.Context, sc account.Scope, mode Mode, items []Item) (Outcome, error) {
	if err := MayBatch(sc); err != nil {
		return Outcome{}, err
	}
	if err := checkMode(mode); err != nil {
		return Outcome{}, err
	}
	if err := checkItems(items); err != nil {
		return Outcome{}, err
	}
	return s.validate(ctx, Caller{Scope: sc}, mode, secretID[id.CardBatchKind](s.d.IDs), items)
}

// MayBatch returns ErrBatchNotAllowed unless the caller's plan has batches.
func MayBatch(sc account.Scope) error {
	if !sc.Plan.Limits().Batch {
		return ErrBatchNotAllowed
	}
	return nil
}

func checkMode(m Mode) error {
	if m != Standard && m != CLI {
		var f check.Faults
		f.Addf("validation_mode", "must be %s or %s", Standard, CLI)
		return f.Err(ErrInvalid)
	}
	return nil
}

func checkItems(items []Item) error {
	var f check.Faults
	if n := len(items); n == 0 || n > MaxBatch {
		f.Addf("cards", "has %d cards; a batch has 1 to %d", n, MaxBatch)
		return f.Err(ErrInvalid)
	}
	seen := make(map[string]int, len(items))
	for i, item := range items {
		path := "cards[" + strconv.Itoa(i) + "].id"
		f.Given(path, item.Label, MaxLabel)
		if first, twice := seen[item.Label]; twice {
			f.Addf(path, "is that of cards[%d] too; each card needs an id of its own", first)
		}
		seen[item.Label] = i
	}
	return f.Err(ErrInvalid)
}

func (s *Service) validate(ctx context.Context, c Caller, mode Mode, batch id.CardBatch, items []Item) (Outcome, error) {
	out := Outcome{Batch: batch, At: s.now(), Judged: make([]Judged, len(items))}
	// Judging costs more than asking: callers who have used up their day are told before. What counts is what the transaction finds below.
	a, err := s.Allowance(ctx, c)
	switch {
	case err != nil:
		return Outcome{}, err
	case a.Limit >= 0 && a.Remaining < len(items):
		return Outcome{Allowance: a}, s.exhausted(a, len(items), out.At)
	}
	for i, item := range items {
		if err := ctx.Err(); err != nil {
			return Outcome{}, err
		}
		found, err := s.judge(ctx, item, out.At)
		if err != nil {
			return Outcome{}, err
		}
		out.Judged[i] = Judged{Label: item.Label, Result: found}
	}
	var entries []Entry
	if mode != CLI {
		entries = make([]Entry, len(items))
		for i, item := range items {
			// A microsecond apart, so that the last one of a batch is the newest one of its card.
			at := out.At.Add(time.Duration(i) * time.Microsecond)
			entries[i] = s.entry(c, batch, item, out.Judged[i].Result, at)
		}
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if out.Allowance, err = s.take(ctx, c, len(items), out.At); err != nil || entries == nil {
			return err
		}
		room := s.c.Room
		if c.Anonymous() {
			room = s.c.RoomAnonymous
		}
		cards, err := s.d.Reports.Insert(ctx, c.Scope, entries, room)
		if err != nil {
			return err
		}
		for i, of := range cards {
			out.Judged[i].Card = of
		}
		return nil
	})
	if err != nil {
		return Outcome{Allowance: out.Allowance}, err
	}
	for i := range entries {
		out.Judged[i].Report, out.Judged[i].At = entries[i].ID, entries[i].CreatedAt
	}
	return out, nil
}

// judge asks the validator. One that panics fails the request, and not the process; it is told in the log without the card.
func (s *Service) judge(ctx context.Context, item Item, now time.Time) (r card.Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.d.Logger.ErrorContext(ctx, "the validator of cards panicked", slog.Any("panic", v), slog.Int("bytes", len(item.Text)),
				slog.String("stack", string(debug.Stack())))
			err = ErrValidator
		}
	}()
	return s.d.Judge(item.Text, card.Options{Version: item.Version, Keys: s.c.Keys, Now: now}), nil
}

// Report returns one of the tenant's reports, or id.NotFound[id.CardReportKind].
func (s *Service) Report(ctx context.Context, sc account.Scope, report id.CardReport) (Report, error) {
	return s.d.Reports.Get(ctx, sc, report)
}

// Shared returns a report to whoever knows its id, with the trend of its card, which is empty for a report without a tenant. The other reports of
// the card are not named: to know one is not to know the others.
func (s *Service) Shared(ctx context.Context, report id.CardReport) (Report, Card, error) {
	r, err := s.d.Reports.Find(ctx, report)
	if err != nil || r.Tenant.IsZero() {
		return r, Card{}, err
	}
	c, err := s.d.Cards.Get(ctx, account.System(r.Tenant), r.Card)
	return r, c, err
}

// SharedCard returns a card to whoever knows its id, without its trend; id.NotFound[id.AgentCardKind].
func (s *Service) SharedCard(ctx context.Context, of id.AgentCard) (Card, error) {
	return s.d.Cards.Find(ctx, of)
}

// Reports lists the tenant's reports, newest first; see Reports.List for what they lack. A card that is not the tenant's is
// id.NotFound[id.AgentCardKind].
func (s *Service) Reports(ctx context.Context, sc account.Scope, r ListReports) (page.Page[Report], error) {
	if !r.Card.IsZero() {
		if _, err := s.d.Cards.Get(ctx, sc, r.Card); err != nil {
			return page.Page[Report]{}, err
		}
	}
	return s.d.Reports.List(ctx, sc, r)
}

// DeleteReport removes one of the tenant's reports; its page is gone. The card goes with the last of its reports.
func (s *Service) DeleteReport(ctx context.Context, sc account.Scope, report id.CardReport) error {
	return s.d.Reports.Delete(ctx, sc, report)
}

// Card returns one of the tenant's cards with its trend, or id.NotFound[id.AgentCardKind].
func (s *Service) Card(ctx context.Context, sc account.Scope, of id.AgentCard) (Card, error) {
	return s.d.Cards.Get(ctx, sc, of)
}

// Cards lists the tenant's cards with their trends, the one that was judged last first.
func (s *Service) Cards(ctx context.Context, sc account.Scope, r ListCards) (page.Page[Card], error) {
	return s.d.Cards.List(ctx, sc, r)
}

// pruneAtOnce is how many rows one transaction of Prune removes.
const pruneAtOnce = 500

// Prune removes reports that are kept no longer and counters of days that are over, and returns how many reports there were. It may run at several
// servers at once.
func (s *Service) Prune(ctx context.Context) (int, error) {
	now, total := s.now(), 0
	for {
		n, err := s.d.Reports.Prune(ctx, now.Add(-s.c.KeepFor), now.Add(-s.c.KeepAnonymous), pruneAtOnce)
		if total += n; err != nil {
			return total, err
		}
		if n == 0 {
			break
		}
	}
	for {
		// Yesterday's counters may still be asked for by requests that began before midnight.
		n, err := s.d.Allowances.Prune(ctx, dayOf(now).AddDate(0, 0, -1), pruneAtOnce)
		if err != nil || n == 0 {
			return total, err
		}
	}
}
