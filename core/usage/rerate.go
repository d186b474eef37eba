package usage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/tx"
)

// RerateRequest asks what the use of a period costs by the prices in force now.
type RerateRequest struct {
	Agent    id.Agent // zero fields choose all
	Model    string
	Provider string
	Since    time.Time // inclusive; required
	Until    time.Time // exclusive; zero is now
	// At prices every row as if it were used then; zero prices each by the time of its use.
	At time.Time
	// Apply gives rows their new costs. Not together with At, which only asks.
	//
	// It changes only what clients reported. A row of a session, or of an act, stays as it is even when it had no price: the gate has
	// settled its cost, and the act, the session, the budgets that stopped or did not stop it, and the trail say the same number. Were the
	// row to say another, the books would differ for good (see core/reconciliation), and nothing that was decided could be decided anew.
	Apply bool
}

// RerateStatus is how far a re-rating is.
type RerateStatus string

// The statuses.
const (
	RerateRunning RerateStatus = "running"
	RerateDone    RerateStatus = "done"
)

// Rerate is a re-rating: what was asked, and what came of it.
type Rerate struct {
	ID        id.Rerate // zero unless Apply
	Request   RerateRequest
	Status    RerateStatus
	Key       id.APIKey // who asked
	Versions  Versions  // of the prices that count for it, from its beginning to its end
	After     Place     // of the last row that was looked at
	Total     RerateSums
	Models    []RerateModel // by provider and model; MaxRerateModels at most, and those beyond under the empty names
	CreatedAt time.Time
	EndedAt   time.Time // zero while running
}

// MaxRerateModels is how many pairs of provider and model a re-rating tells apart, so that it takes little memory whatever clients call
// their models.
const MaxRerateModels = 500

// RerateModel is what a re-rating found of one model.
type RerateModel struct {
	Provider string
	Model    string
	RerateSums
}

// RerateSums adds up rows of a re-rating.
type RerateSums struct {
	Rows           int64
	Old            Total // of the rows that had a cost
	New            Total // of the rows that have one now
	UnpricedBefore int64 // rows without a cost
	Unpriced       int64 // rows without a cost now
	Changed        int64 // rows whose cost differs, or that have one now and had none, or the other way round
	Settled        int64 // of Changed, those that Apply leaves as they are
}

// Difference returns New less Old as a decimal string of dollars: "-0.01656".
func (s RerateSums) Difference() string {
	micros, picos := s.New.Micros-s.Old.Micros, s.New.Picos-s.Old.Picos
	if picos < 0 {
		micros, picos = micros-1, picos+money.PicosPerMicro
	}
	if micros >= 0 {
		return Total{micros, picos}.Dollars()
	}
	micros = -micros
	if picos > 0 {
		micros, picos = micros-1, money.PicosPerMicro-picos
	}
	return "-" + Total{micros, picos}.Dollars()
}

func (s RerateSums) add(o RerateSums) RerateSums {
	return RerateSums{
		Rows: s.Rows + o.Rows, Old: s.Old.Add(o.Old), New: s.New.Add(o.New), UnpricedBefore: s.UnpricedBefore + o.UnpricedBefore,
		Unpriced: s.Unpriced + o.Unpriced, Changed: s.Changed + o.Changed, Settled: s.Settled + o.Settled,
	}
}

// Place is where a row stands in the order of the time of its use; zero is before all.
type Place struct {
	At time.Time
	ID id.Usage
}

// RerateRepository keeps re-ratings and reads what they are about. Every method joins the transaction in ctx and sees the scope's tenant
// only.
type RerateRepository interface {
	// Walk returns up to n rows that f chooses after a place, in the order of the time of their use, then of their ids.
	Walk(ctx context.Context, sc account.Scope, f Filter, after Place, n int) ([]Row, error)
	// InsertRerate stores a re-rating.
	InsertRerate(ctx context.Context, sc account.Scope, r Rerate) error
	// GetRerate returns a re-rating, locked until the transaction in ctx ends when lock says so; id.NotFound when the tenant has none
	// of that id.
	GetRerate(ctx context.Context, sc account.Scope, rerate id.Rerate, lock bool) (Rerate, error)
	// UpdateRerate stores how far a re-rating has come.
	UpdateRerate(ctx context.Context, sc account.Scope, r Rerate) error
}

// RerateDeps is what a Rerater needs; all fields are required.
type RerateDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Rows       Repository
	Repository RerateRepository
	Prices     *PriceBook
	Agents     Agents
	Jobs       jobs.Queue
	Trail      Trail
}

// Rerater prices again what was used. It is safe for concurrent use.
type Rerater struct{ d RerateDeps }

// NewRerater returns a Rerater, or an error that names what d lacks.
func NewRerater(d RerateDeps) (*Rerater, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Rows", d.Rows == nil},
		{"Repository", d.Repository == nil}, {"Prices", d.Prices == nil}, {"Agents", d.Agents == nil}, {"Jobs", d.Jobs == nil},
		{"Trail", d.Trail == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("usage: RerateDeps.%s is required", dep.name)
		}
	}
	return &Rerater{d}, nil
}

// RerateJob is the kind of the jobs that Rerater.Work does.
const RerateJob = "usage_rerate"

const (
	rerateRead  = 1000 // rows of one read
	rerateChunk = 200  // rows of one transaction of Apply: others wait for their days meanwhile
)

// Rerate prices a period again. Without Apply it reads the rows, some at a time, and returns what came of it; nothing is stored. With
// Apply it returns at once, and a durable job works: Get tells how far it is. Each of its transactions changes some rows and what they add
// up to, and notes how far it came, so that it goes on where it was after a crash and changes no row twice.
//
// Rows that are stored while it runs, of a time that it has passed, are not looked at.
func (r *Rerater) Rerate(ctx context.Context, sc account.Scope, q RerateRequest) (Rerate, error) {
	now := clock.Stored(r.d.Clock.Now())
	if q.Until.IsZero() {
		q.Until = now
	}
	q.Since, q.Until, q.At = clock.Stored(q.Since), clock.Stored(q.Until), clock.Stored(q.At)
	var f check.Faults
	if q.Since.IsZero() {
		f.Addf("since", "is required")
	} else if !q.Since.Before(q.Until) {
		f.Addf("until", "must be later than since")
	}
	if q.Apply && !q.At.IsZero() {
		f.Addf("at", "only asks; it cannot be applied")
	}
	if err := f.Err(ErrInvalid); err != nil {
		return Rerate{}, err
	}
	if !q.Agent.IsZero() {
		if err := r.d.Agents.Exists(ctx, sc, q.Agent); err != nil {
			return Rerate{}, err
		}
	}
	versions, err := r.d.Prices.d.Repository.Versions(ctx, sc)
	if err != nil {
		return Rerate{}, err
	}
	out := Rerate{Request: q, Status: RerateRunning, Key: sc.Key, Versions: versions, CreatedAt: now}
	if !q.Apply {
		return r.ask(ctx, sc, out)
	}
	out.ID = id.New[id.RerateKind](r.d.IDs)
	args, err := json.Marshal(rerateArgs{sc.Tenant.String(), out.ID.String()})
	if err != nil {
		return Rerate{}, err
	}
	return out, r.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := r.d.Repository.InsertRerate(ctx, sc, out); err != nil {
			return err
		}
		if err := r.d.Trail.Note(ctx, sc, "usage_rerate_started", q.Agent, out.metadata()); err != nil {
			return err
		}
		return r.d.Jobs.Enqueue(ctx, jobs.Job{Kind: RerateJob, Args: args, UniqueKey: out.ID.String()})
	})
}

type rerateArgs struct {
	Tenant string `json:"tenant"`
	Rerate string `json:"rerate"`
}

// Get returns a re-rating that was asked for with Apply; id.NotFound when the tenant has none of that id.
func (r *Rerater) Get(ctx context.Context, sc account.Scope, rerate id.Rerate) (Rerate, error) {
	return r.d.Repository.GetRerate(ctx, sc, rerate, false)
}

// ask reads the rows of a period and changes nothing.
func (r *Rerater) ask(ctx context.Context, sc account.Scope, out Rerate) (Rerate, error) {
	l, err := r.d.Prices.at(ctx, sc, out.Versions)
	if err != nil {
		return Rerate{}, err
	}
	t := tallyOf(out)
	for {
		rows, err := r.d.Repository.Walk(ctx, sc, out.filter(), out.After, rerateRead)
		if err != nil {
			return Rerate{}, err
		}
		for _, row := range rows {
			t.add(row, l.again(row, out.Request.At))
		}
		if len(rows) < rerateRead {
			t.into(&out)
			out.Status, out.EndedAt = RerateDone, clock.Stored(r.d.Clock.Now())
			return out, nil
		}
		out.After = placeOf(rows[len(rows)-1])
	}
}

// Work does a job of the kind RerateJob.
func (r *Rerater) Work(ctx context.Context, args json.RawMessage) error {
	var a rerateArgs
	if err := json.Unmarshal(args, &a); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	tenant, terr := id.Parse[id.TenantKind](a.Tenant)
	rerate, err := id.Parse[id.RerateKind](a.Rerate)
	if err := errors.Join(terr, err); err != nil {
		return err
	}
	sc := account.System(tenant)
	first, err := r.d.Repository.GetRerate(ctx, sc, rerate, false)
	if err != nil {
		return err
	}
	l, err := r.d.Prices.at(ctx, sc, first.Versions)
	if err != nil {
		return err
	}
	for done := first.Status != RerateRunning; !done; {
		if done, err = r.step(ctx, sc, l, rerate); err != nil {
			return err
		}
	}
	return nil
}

// step works on some rows. done: there are no more.
func (r *Rerater) step(ctx context.Context, sc account.Scope, l *List, rerate id.Rerate) (done bool, err error) {
	err = r.d.TX.Do(ctx, func(ctx context.Context) error {
		s, err := r.d.Repository.GetRerate(ctx, sc, rerate, true)
		if done = err == nil && s.Status != RerateRunning; err != nil || done {
			return err
		}
		rows, err := r.d.Repository.Walk(ctx, sc, s.filter(), s.After, rerateChunk)
		if err != nil {
			return err
		}
		t := tallyOf(s)
		var changes []Repriced
		for _, row := range rows {
			q := l.again(row, time.Time{})
			if t.add(row, q) && !row.settled() {
				changes = append(changes, Repriced{
					ID: row.ID, Cost: q.Cost, Price: q.Price, PriceID: q.PriceID, Flags: row.Flags&FlagClamped | q.Flags, Rerate: rerate,
				})
			}
		}
		t.into(&s)
		if done = len(rows) < rerateChunk; done {
			s.Status, s.EndedAt = RerateDone, clock.Stored(r.d.Clock.Now())
			asked := sc
			asked.Key = s.Key
			if err := r.d.Trail.Note(ctx, asked, "usage_rerated", s.Request.Agent, s.metadata()); err != nil {
				return err
			}
		} else {
			s.After = placeOf(rows[len(rows)-1])
		}
		if err := r.d.Repository.UpdateRerate(ctx, sc, s); err != nil || len(changes) == 0 {
			return err
		}
		_, err = r.d.Rows.Reprice(ctx, sc, changes...)
		return err
	})
	return done, err
}

func (r Rerate) filter() Filter {
	q := r.Request
	return Filter{Agent: q.Agent, Model: q.Model, Provider: q.Provider, Since: q.Since, Until: q.Until}
}

func (r Rerate) metadata() map[string]any {
	m := map[string]any{
		"rerate_id": r.ID.UUID().String(), "since": r.Request.Since.Format(time.RFC3339), "until": r.Request.Until.Format(time.RFC3339),
		"status": string(r.Status),
	}
	if r.Request.Model != "" {
		m["model"] = r.Request.Model
	}
	if r.Request.Provider != "" {
		m["provider"] = r.Request.Provider
	}
	if r.Status == RerateDone {
		m["rows"], m["changed"], m["settled"], m["difference"] = r.Total.Rows, r.Total.Changed, r.Total.Settled, r.Total.Difference()
	}
	return m
}

func placeOf(r Row) Place { return Place{r.CreatedAt, r.ID} }

// settled reports whether others count with the row's cost; see RerateRequest.Apply.
func (r Row) settled() bool { return !r.Act.IsZero() || !r.Session.IsZero() }

// again returns what a row costs by l, at the time of its use or at another. A cost that cannot be represented is none.
func (l *List) again(r Row, at time.Time) Quote {
	if at.IsZero() {
		at = r.CreatedAt
	}
	q := Query{Provider: r.Provider, Model: r.Model, Usage: r.Usage, At: at, Service: r.Service, Modifiers: r.Modifiers}
	out, err := l.Quote(q)
	if err != nil {
		return Quote{}
	}
	if out.Cost != nil || r.Price == "" {
		return out
	}
	// A model may answer by a name that has no price; then it was priced by the name that was asked for.
	name, _, _ := strings.Cut(string(r.Price), "#")
	name, _, _ = strings.Cut(name, "!")
	name, _, _ = strings.Cut(name, "@")
	q.Provider, q.Model, _ = strings.Cut(name, "/")
	if out, err = l.Quote(q); err != nil {
		return Quote{}
	}
	return out
}

// Sum adds up what was found of the models, which is all that a store has to keep.
func (r Rerate) Sum() (total RerateSums) {
	for _, m := range r.Models {
		total = total.add(m.RerateSums)
	}
	return total
}

// tally adds up by provider and model.
type tally struct {
	models map[[2]string]RerateSums
}

func tallyOf(r Rerate) *tally {
	t := &tally{make(map[[2]string]RerateSums, len(r.Models))}
	for _, m := range r.Models {
		t.models[[2]string{m.Provider, m.Model}] = m.RerateSums
	}
	return t
}

// add counts a row with its new cost, and reports whether that differs.
func (t *tally) add(r Row, q Quote) (changed bool) {
	one := RerateSums{Rows: 1}
	if r.Cost == nil {
		one.UnpricedBefore = 1
	} else {
		one.Old = totalOf(*r.Cost)
	}
	if q.Cost == nil {
		one.Unpriced = 1
	} else {
		one.New = totalOf(*q.Cost)
	}
	if changed = one.Old != one.New || one.UnpricedBefore != one.Unpriced; changed {
		one.Changed = 1
		if r.settled() {
			one.Settled = 1
		}
	}
	key := [2]string{r.Provider, r.Model}
	if _, known := t.models[key]; !known && len(t.models) >= MaxRerateModels {
		key = [2]string{}
	}
	t.models[key] = t.models[key].add(one)
	return changed
}

func (t *tally) into(r *Rerate) {
	r.Models = make([]RerateModel, 0, len(t.models))
	for _, key := range slices.SortedFunc(maps.Keys(t.models), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	}) {
		r.Models = append(r.Models, RerateModel{key[0], key[1], t.models[key]})
	}
	r.Total = r.Sum()
}

func totalOf(p money.Pico) Total {
	return Total{int64(p) / money.PicosPerMicro, int64(p) % money.PicosPerMicro}
}
