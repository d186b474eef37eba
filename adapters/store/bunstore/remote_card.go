package bunstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// RemoteHistory keeps what cards were. It implements remote.History.
type RemoteHistory struct{ s *Store }

var _ remote.History = (*RemoteHistory)(nil)

// RemoteHistory returns the repository of what the cards of remote agents were.
func (s *Store) RemoteHistory() *RemoteHistory { return &RemoteHistory{s} }

// cardDoc is how documents hold a remote.Card, without its text.
type cardDoc struct {
	URL       string        `json:"url"`
	Legacy    bool          `json:"legacy,omitempty"`
	Digest    string        `json:"digest"`
	ETag      string        `json:"etag,omitempty"`
	MaxAge    time.Duration `json:"max_age"`
	Name      string        `json:"name,omitempty"`
	Endpoint  string        `json:"endpoint,omitempty"`
	Version   card.Version  `json:"version,omitempty"`
	Valid     bool          `json:"valid,omitempty"`
	Score     int           `json:"score"`
	Errors    int           `json:"errors"`
	Warnings  int           `json:"warnings"`
	Findings  []findingDoc  `json:"findings,omitempty"`
	Signature signatureDoc  `json:"signature,omitzero"`
}

type findingDoc struct {
	Error   bool   `json:"error,omitempty"`
	Code    string `json:"code"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

type signatureDoc struct {
	State card.SignatureState `json:"state"`
	KeyID string              `json:"key_id,omitempty"`
}

func cardDocOf(c remote.Card) cardDoc {
	v := c.Verdict
	d := cardDoc{
		URL: c.URL, Legacy: c.Legacy, Digest: c.Digest, ETag: c.ETag, MaxAge: c.MaxAge, Name: c.Name, Endpoint: c.Endpoint,
		Version: v.Version, Valid: v.Valid, Score: v.Score, Errors: v.Errors, Warnings: v.Warnings, Signature: signatureDoc(v.Signature),
	}
	for _, f := range v.Findings {
		d.Findings = append(d.Findings, findingDoc(f))
	}
	return d
}

func (d cardDoc) card(text []byte) remote.Card {
	c := remote.Card{
		URL: d.URL, Legacy: d.Legacy, Text: text, Digest: d.Digest, ETag: d.ETag, MaxAge: d.MaxAge, Name: d.Name, Endpoint: d.Endpoint,
		Verdict: remote.Verdict{
			Version: d.Version, Valid: d.Valid, Score: d.Score, Errors: d.Errors, Warnings: d.Warnings, Signature: remote.Signature(d.Signature),
		},
	}
	for _, f := range d.Findings {
		c.Verdict.Findings = append(c.Verdict.Findings, remote.Finding(f))
	}
	return c
}

// changeDoc is how the column detail of remote_agent_changes holds a remote.Change.
type changeDoc struct {
	Digest    string       `json:"digest"`
	Version   card.Version `json:"version,omitempty"`
	Valid     bool         `json:"valid,omitempty"`
	Score     int          `json:"score"`
	Errors    int          `json:"errors"`
	Warnings  int          `json:"warnings"`
	Signature signatureDoc `json:"signature,omitzero"`
	Suspicion string       `json:"suspicion,omitempty"`
}

// Append implements remote.History.
func (h *RemoteHistory) Append(ctx context.Context, sc account.Scope, of id.RemoteAgent, c remote.Change, keep int) error {
	detail, err := json.Marshal(changeDoc{
		c.Digest, c.Version, c.Valid, c.Score, c.Errors, c.Warnings, signatureDoc(c.Signature), c.Suspicion,
	})
	if err != nil {
		return fmt.Errorf("bunstore: change of a card: %w", err)
	}
	return h.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := h.s.lock(ctx, "remote_agent_changes:"+of.String()); err != nil {
			return err
		}
		var seq int64
		err := db.QueryRowContext(ctx, `INSERT INTO remote_agent_changes (tenant_id, remote_id, seq, card, detail, at)
			SELECT ?, ?, coalesce(max(seq), 0) + 1, ?, ?, ? FROM remote_agent_changes WHERE tenant_id = ? AND remote_id = ? RETURNING seq`,
			sc.Tenant, of, notNil(c.Text), string(detail), at(c.At), sc.Tenant, of).Scan(&seq)
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM remote_agent_changes WHERE tenant_id = ? AND remote_id = ? AND seq <= ?",
			sc.Tenant, of, seq-int64(keep))
		return mapErr(err)
	})
}

// changeRow is a change with its place.
type changeRow struct {
	seq int64
	remote.Change
}

// List implements remote.History.
func (h *RemoteHistory) List(ctx context.Context, sc account.Scope, of id.RemoteAgent, req page.Request) (page.Page[remote.Change], error) {
	w := newWhere("tenant_id = ? AND remote_id = ?", sc.Tenant, of)
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[remote.Change]{}, err
		}
		before, err := strconv.ParseInt(place[0], 10, 64)
		if err != nil {
			return page.Page[remote.Change]{}, errCursor()
		}
		w.and("seq < ?", before)
	}
	rows, err := queryAll(ctx, h.s.read(ctx), func(row scanner) (changeRow, error) {
		var r changeRow
		var detail []byte
		var when stamp
		if err := row.Scan(&r.seq, &r.Text, &detail, &when); err != nil {
			return changeRow{}, err
		}
		var d changeDoc
		if err := json.Unmarshal(detail, &d); err != nil {
			return changeRow{}, fmt.Errorf("bunstore: change of a card: %w", err)
		}
		r.At, r.Digest, r.Version, r.Valid, r.Score, r.Errors, r.Warnings = when.Time(), d.Digest, d.Version, d.Valid, d.Score, d.Errors, d.Warnings
		r.Signature, r.Suspicion = remote.Signature(d.Signature), d.Suspicion
		return r, nil
	}, "SELECT seq, card, detail, at FROM remote_agent_changes WHERE "+w.sql()+" ORDER BY seq DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[remote.Change]{}, err
	}
	return pageOf(rows, req.Size(), func(r changeRow) (remote.Change, error) { return r.Change, nil },
		func(r changeRow) []string { return []string{strconv.FormatInt(r.seq, 10)} })
}
