package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// AgentCardRepo reads the agent cards that there are reports of.
type AgentCardRepo struct{ s *Store }

var _ validation.Cards = (*AgentCardRepo)(nil)

// AgentCards returns the repository of the agent cards that there are reports of.
func (s *Store) AgentCards() *AgentCardRepo { return &AgentCardRepo{s} }

const agentCardColumns = "id, tenant_id, name, url, version, valid, score, errors, warnings, newest, newest_at, first_at, reports"

func scanAgentCard(row scanner) (validation.Card, error) {
	var c validation.Card
	var newest, first stamp
	err := row.Scan(&c.ID, &c.Tenant, &c.Name, &c.URL, &c.Version, &c.Valid, &c.Score, &c.ErrorCount, &c.WarningCount, &c.Newest, &newest, &first,
		&c.Reports)
	c.NewestAt, c.FirstAt = newest.Time(), first.Time()
	return c, err
}

// Find implements validation.Cards.
func (r *AgentCardRepo) Find(ctx context.Context, of id.AgentCard) (validation.Card, error) {
	c, err := scanAgentCard(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+agentCardColumns+" FROM agent_cards WHERE id = ?", of))
	if errors.Is(err, sql.ErrNoRows) {
		return validation.Card{}, id.NotFound[id.AgentCardKind]("")
	}
	return c, mapErr(err)
}

// Get implements validation.Cards.
func (r *AgentCardRepo) Get(ctx context.Context, sc account.Scope, of id.AgentCard) (validation.Card, error) {
	c, err := r.Find(ctx, of)
	if err == nil && c.Tenant != sc.Tenant {
		err = id.NotFound[id.AgentCardKind]("")
	}
	if err != nil {
		return validation.Card{}, err
	}
	one := []validation.Card{c}
	err = r.trends(ctx, one)
	return one[0], err
}

// List implements validation.Cards.
func (r *AgentCardRepo) List(ctx context.Context, sc account.Scope, req validation.ListCards) (page.Page[validation.Card], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if req.Valid != nil {
		w.and("valid = ?", *req.Valid)
	}
	if req.Cursor != "" {
		made, before, err := decodeTimeIDCursor[id.AgentCardKind](req.Cursor)
		if err != nil {
			return page.Page[validation.Card]{}, err
		}
		w.and("(newest_at, id) < (?, ?)", made, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanAgentCard, "SELECT "+agentCardColumns+" FROM agent_cards WHERE "+w.sql()+
		" ORDER BY newest_at DESC, id DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[validation.Card]{}, err
	}
	p, err := pageOf(found, req.Size(), func(c validation.Card) (validation.Card, error) { return c, nil },
		func(c validation.Card) []string { return []string{at(c.NewestAt).String(), c.ID.String()} })
	if err != nil {
		return p, err
	}
	return p, r.trends(ctx, p.Items)
}

// trends fills in the trends of cards. Of each card it reads the newest reports alone, in their index.
func (r *AgentCardRepo) trends(ctx context.Context, cards []validation.Card) error {
	if len(cards) == 0 {
		return nil
	}
	ids, place := make([]id.AgentCard, len(cards)), make(map[id.AgentCard]*validation.Card, len(cards))
	for i := range cards {
		ids[i], place[cards[i].ID] = cards[i].ID, &cards[i]
	}
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var of id.AgentCard
		var p validation.Point
		var made stamp
		if err := row.Scan(&of, &p.Valid, &p.Score, &made); err != nil {
			return err
		}
		p.At = made.Time()
		place[of].Trend = append(place[of].Trend, p)
		return nil
	}, `SELECT card_id, valid, score, created_at FROM (SELECT card_id, valid, score, created_at, id,
			row_number() OVER (PARTITION BY card_id ORDER BY created_at DESC, id DESC) AS place FROM card_reports WHERE card_id IN (?)) AS latest
		WHERE place <= ? ORDER BY created_at DESC, id DESC`, bun.List(ids), validation.MaxTrend)
	for _, c := range place {
		slices.Reverse(c.Trend)
	}
	return err
}
