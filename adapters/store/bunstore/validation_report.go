package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// CardReportRepo keeps what validations of agent cards found.
type CardReportRepo struct{ s *Store }

var _ validation.Reports = (*CardReportRepo)(nil)

// CardReports returns the repository of what validations of agent cards found.
func (s *Store) CardReports() *CardReportRepo { return &CardReportRepo{s} }

// reportOwner is a tenant in card_reports, "" callers without a key.
func reportOwner(tenant id.Tenant) string {
	if tenant.IsZero() {
		return ""
	}
	return tenant.UUID().String()
}

// foundRow is the column card_reports.found.
type foundRow struct {
	Errors      []findingRow    `json:"errors,omitempty"`
	Warnings    []findingRow    `json:"warnings,omitempty"`
	Suggestions []suggestionRow `json:"suggestions,omitempty"`
	Marks       []markRow       `json:"marks,omitempty"`
	Signatures  []signatureRow  `json:"signatures,omitempty"`
}

type findingRow struct {
	Code    string `json:"code"`
	Path    string `json:"path,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Message string `json:"message"`
	Source  string `json:"source,omitempty"`
	Offset  int    `json:"offset,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

type suggestionRow struct {
	Type    string `json:"type"`
	Field   string `json:"field,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Text    string `json:"text"`
	Worth   int    `json:"worth,omitempty"`
}

type markRow struct {
	Criterion string `json:"criterion"`
	Points    int    `json:"points"`
	Weight    int    `json:"weight"`
	Reason    string `json:"reason,omitempty"`
}

type signatureRow struct {
	Index     int    `json:"index"`
	State     string `json:"state"`
	KeyID     string `json:"key_id,omitempty"`
	Algorithm string `json:"algorithm,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Form      string `json:"form,omitempty"`

	Uncovered []string `json:"uncovered,omitempty"`
}

// each makes a list of another one.
func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

func foundOf(r card.Result) foundRow {
	finding := func(f card.Finding) findingRow { return findingRow(f) }
	return foundRow{
		Errors: each(r.Errors, finding), Warnings: each(r.Warnings, finding),
		Suggestions: each(r.Suggestions, func(g card.Suggestion) suggestionRow { return suggestionRow(g) }),
		Marks:       each(r.Marks, func(m card.Mark) markRow { return markRow(m) }),
		Signatures: each(r.Signatures, func(v card.SignatureVerdict) signatureRow {
			return signatureRow{v.Index, string(v.State), v.KeyID, v.Algorithm, v.Reason, string(v.Form), v.Uncovered}
		}),
	}
}

func (f foundRow) into(r *card.Result) {
	finding := func(f findingRow) card.Finding { return card.Finding(f) }
	r.Errors, r.Warnings = each(f.Errors, finding), each(f.Warnings, finding)
	r.Suggestions = each(f.Suggestions, func(g suggestionRow) card.Suggestion { return card.Suggestion(g) })
	r.Marks = each(f.Marks, func(m markRow) card.Mark { return card.Mark(m) })
	r.Signatures = each(f.Signatures, func(v signatureRow) card.SignatureVerdict {
		return card.SignatureVerdict{
			Index: v.Index, State: card.SignatureState(v.State), KeyID: v.KeyID, Algorithm: v.Algorithm, Reason: v.Reason,
			Form: card.SignatureForm(v.Form), Uncovered: v.Uncovered,
		}
	})
}

// reportRow is how many bytes a row takes beside its texts, roughly.
const reportRow = 400

// Insert implements validation.Reports. What an owner's reports take is locked first, so that those of one owner come one after the other, and
// cards are locked in the order of their identities, as elsewhere here.
func (r *CardReportRepo) Insert(
	ctx context.Context, sc account.Scope, entries []validation.Entry, room validation.Room,
) (cards []id.AgentCard, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		cards = make([]id.AgentCard, len(entries))
		full := &reportRoom{repo: r, db: db, owner: reportOwner(sc.Tenant)}
		if err := full.lock(ctx); err != nil {
			return err
		}
		seen, err := r.seeCards(ctx, db, sc, entries)
		if err != nil {
			return err
		}
		for i, e := range entries {
			cards[i] = seen[e.Identity].id
		}
		bytes, err := insertReports(ctx, db, full.owner, entries, cards)
		if err != nil {
			return err
		}
		full.reports += len(entries)
		full.bytes += bytes
		for _, identity := range slices.Sorted(seenIdentities(seen)) {
			if c := seen[identity]; c.reports > room.PerCard {
				if err := full.trimCard(ctx, c, c.reports-room.PerCard); err != nil {
					return err
				}
			}
		}
		return full.trim(ctx, room)
	})
	return cards, err
}

// seenCard is a card of which reports are stored.
type seenCard struct {
	id      id.AgentCard
	reports int // with those
}

func seenIdentities(seen map[string]seenCard) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for identity := range seen {
			if !yield(identity) {
				return
			}
		}
	}
}

// seeCards makes or brings up to date the cards that entries are of, by their identities. Without a tenant there are none.
func (r *CardReportRepo) seeCards(
	ctx context.Context, db bun.IDB, sc account.Scope, entries []validation.Entry,
) (map[string]seenCard, error) {
	seen := make(map[string]seenCard)
	if sc.Tenant.IsZero() {
		return seen, nil
	}
	last, count := make(map[string]validation.Entry), make(map[string]int)
	first := make(map[string]validation.Entry)
	for _, e := range entries {
		if count[e.Identity]++; count[e.Identity] == 1 {
			first[e.Identity] = e
		}
		last[e.Identity] = e
	}
	var args []any
	identities := make([]string, 0, len(last))
	for identity := range last {
		identities = append(identities, identity)
	}
	slices.Sort(identities)
	for _, identity := range identities {
		e := last[identity]
		args = append(args, first[identity].Card, sc.Tenant, identity, count[identity], at(first[identity].CreatedAt), e.ID, at(e.CreatedAt),
			e.Result.Name, e.Result.URL, string(e.Result.Version), e.Result.Valid, e.Result.Score, e.ErrorCount, e.WarningCount)
	}
	err := eachRow(ctx, unprepared(db), func(row scanner) error {
		var identity string
		var c seenCard
		err := row.Scan(&identity, &c.id, &c.reports)
		seen[identity] = c
		return err
	}, `INSERT INTO agent_cards (id, tenant_id, identity, reports, first_at, newest, newest_at, name, url, version, valid, score, errors, warnings)
		VALUES `+strings.Join(slices.Repeat([]string{"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"}, len(identities)), ", ")+`
		ON CONFLICT (tenant_id, identity) DO UPDATE SET reports = agent_cards.reports + excluded.reports, newest = excluded.newest,
			newest_at = excluded.newest_at, name = excluded.name, url = excluded.url, version = excluded.version, valid = excluded.valid,
			score = excluded.score, errors = excluded.errors, warnings = excluded.warnings
		RETURNING identity, id, reports`, args...)
	return seen, err
}

// insertReports writes the rows and returns how many bytes they take.
func insertReports(ctx context.Context, db bun.IDB, owner string, entries []validation.Entry, cards []id.AgentCard) (bytes int, err error) {
	const columns = `(id, owner, card_id, batch_id, label, name, url, version, basis, valid, score, errors, warnings, masked, found, card, size,
		digest, bytes, created_at)`
	var args []any
	for i, e := range entries {
		found, err := json.Marshal(foundOf(e.Result))
		if err != nil {
			return 0, err
		}
		size := reportRow + len(found) + len(e.Text) + len(e.Label) + len(e.Result.Name) + len(e.Result.URL)
		bytes += size
		args = append(args, e.ID, owner, cards[i], e.Batch, e.Label, e.Result.Name, e.Result.URL, string(e.Result.Version), string(e.Result.Basis),
			e.Result.Valid, e.Result.Score, e.ErrorCount, e.WarningCount, e.Masked, string(found), e.Text, e.Size, e.Digest, size, at(e.CreatedAt))
	}
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(args)/len(entries)), ", ") + ")"
	if len(entries) > 1 {
		db = unprepared(db)
	}
	_, err = db.ExecContext(ctx, "INSERT INTO card_reports "+columns+" VALUES "+
		strings.Join(slices.Repeat([]string{row}, len(entries)), ", "), args...)
	return bytes, mapErr(err)
}

const (
	reportHeads   = "id, owner, card_id, batch_id, label, name, url, version, basis, valid, score, errors, warnings, masked, size, digest, created_at"
	reportColumns = reportHeads + ", found, card"
)

func scanCardReportHead(row scanner) (validation.Report, error) { return scanCardReport(row, false) }

func scanWholeCardReport(row scanner) (validation.Report, error) { return scanCardReport(row, true) }

func scanCardReport(row scanner, whole bool) (validation.Report, error) {
	var v validation.Report
	var owner, found string
	var created stamp
	into := []any{
		&v.ID, &owner, &v.Card, &v.Batch, &v.Label, &v.Result.Name, &v.Result.URL, &v.Result.Version, &v.Result.Basis, &v.Result.Valid,
		&v.Result.Score, &v.ErrorCount, &v.WarningCount, &v.Masked, &v.Size, &v.Digest, &created,
	}
	if whole {
		into = append(into, &found, &v.Text)
	}
	if err := row.Scan(into...); err != nil {
		return v, err
	}
	v.CreatedAt = created.Time()
	if owner != "" {
		u, err := id.ParseUUID(owner)
		if err != nil {
			return v, err
		}
		v.Tenant = id.Of[id.TenantKind](u)
	}
	if whole {
		var f foundRow
		if err := json.Unmarshal([]byte(found), &f); err != nil {
			return v, err
		}
		f.into(&v.Result)
	}
	return v, nil
}

// Get implements validation.Reports.
func (r *CardReportRepo) Get(ctx context.Context, sc account.Scope, report id.CardReport) (validation.Report, error) {
	v, err := r.Find(ctx, report)
	if err == nil && (v.Tenant.IsZero() || v.Tenant != sc.Tenant) {
		return validation.Report{}, id.NotFound[id.CardReportKind]("")
	}
	return v, err
}

// Find implements validation.Reports.
func (r *CardReportRepo) Find(ctx context.Context, report id.CardReport) (validation.Report, error) {
	v, err := scanWholeCardReport(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+reportColumns+" FROM card_reports WHERE id = ?", report))
	if errors.Is(err, sql.ErrNoRows) {
		return validation.Report{}, id.NotFound[id.CardReportKind]("")
	}
	return v, mapErr(err)
}

// List implements validation.Reports.
func (r *CardReportRepo) List(ctx context.Context, sc account.Scope, req validation.ListReports) (page.Page[validation.Report], error) {
	if sc.Tenant.IsZero() {
		return page.Page[validation.Report]{}, nil
	}
	w := newWhere("owner = ?", reportOwner(sc.Tenant))
	if !req.Card.IsZero() {
		w.and("card_id = ?", req.Card)
	}
	if !req.Batch.IsZero() {
		w.and("batch_id = ?", req.Batch)
	}
	if req.Valid != nil {
		w.and("valid = ?", *req.Valid)
	}
	if req.Version != "" {
		w.and("version = ?", string(req.Version))
	}
	if !req.Since.IsZero() {
		w.and("created_at >= ?", at(req.Since))
	}
	if req.Cursor != "" {
		made, before, err := decodeTimeIDCursor[id.CardReportKind](req.Cursor)
		if err != nil {
			return page.Page[validation.Report]{}, err
		}
		w.and("(created_at, id) < (?, ?)", made, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanCardReportHead, "SELECT "+reportHeads+" FROM card_reports WHERE "+w.sql()+
		" ORDER BY created_at DESC, id DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[validation.Report]{}, err
	}
	return pageOf(found, req.Size(), func(v validation.Report) (validation.Report, error) { return v, nil },
		func(v validation.Report) []string { return []string{at(v.CreatedAt).String(), v.ID.String()} })
}

// Delete implements validation.Reports.
func (r *CardReportRepo) Delete(ctx context.Context, sc account.Scope, report id.CardReport) error {
	if sc.Tenant.IsZero() {
		return id.NotFound[id.CardReportKind]("")
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		full := &reportRoom{repo: r, db: db, owner: reportOwner(sc.Tenant)}
		if err := full.lock(ctx); err != nil {
			return err
		}
		n, err := full.remove(ctx, "owner = ? AND id = ?", full.owner, report)
		if err == nil && n == 0 {
			return id.NotFound[id.CardReportKind]("")
		}
		if err != nil {
			return err
		}
		return full.save(ctx)
	})
}

// Prune implements validation.Reports.
func (r *CardReportRepo) Prune(ctx context.Context, before, anonymous time.Time, limit int) (total int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		total = 0
		// Rooms are locked one after the other in one order, so that two who prune do not wait for each other.
		owners, err := queryAll(ctx, db, func(row scanner) (owner string, err error) { return owner, row.Scan(&owner) },
			`SELECT DISTINCT owner FROM (SELECT owner FROM card_reports WHERE created_at < ? AND owner <> '' ORDER BY created_at LIMIT ?) AS old
				ORDER BY owner`, at(before), limit)
		if err != nil {
			return err
		}
		owners = append([]string{""}, owners...)
		for _, owner := range owners {
			until := before
			if owner == "" {
				until = anonymous
			}
			full := &reportRoom{repo: r, db: db, owner: owner}
			if err := full.lock(ctx); err != nil {
				return err
			}
			n, err := full.remove(ctx, `id IN (SELECT id FROM card_reports WHERE owner = ? AND created_at < ? ORDER BY created_at, id LIMIT ?)`,
				owner, at(until), limit)
			if err != nil {
				return err
			}
			total += n
			if err := full.save(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return total, err
}
