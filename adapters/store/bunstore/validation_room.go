package bunstore

import (
	"context"
	"slices"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/id"
)

// reportRoom is what the reports of an owner take, locked by a transaction.
type reportRoom struct {
	repo           *CardReportRepo
	db             bun.IDB
	owner          string
	reports, bytes int
}

// lock makes the row, if it is not there, and keeps others from it.
func (f *reportRoom) lock(ctx context.Context) error {
	if _, err := f.db.ExecContext(ctx, "INSERT INTO card_report_rooms (owner, reports, bytes) VALUES (?, 0, 0) ON CONFLICT DO NOTHING",
		f.owner); err != nil {
		return mapErr(err)
	}
	return mapErr(f.db.QueryRowContext(ctx, "SELECT reports, bytes FROM card_report_rooms WHERE owner = ?"+f.repo.s.forUpdate(), f.owner).
		Scan(&f.reports, &f.bytes))
}

func (f *reportRoom) save(ctx context.Context) error {
	_, err := f.db.ExecContext(ctx, "UPDATE card_report_rooms SET reports = ?, bytes = ? WHERE owner = ?", f.reports, f.bytes, f.owner)
	return mapErr(err)
}

// trimCard removes the n oldest reports of a card that has more.
func (f *reportRoom) trimCard(ctx context.Context, c seenCard, n int) error {
	_, err := f.remove(ctx, "id IN (SELECT id FROM card_reports WHERE card_id = ? ORDER BY created_at, id LIMIT ?)", c.id, n)
	return err
}

// trim removes the owner's oldest reports until the others fit into the room; one stays in any case. It saves what they take then.
func (f *reportRoom) trim(ctx context.Context, room validation.Room) error {
	const atOnce = 64
	type old struct {
		id    id.CardReport
		bytes int
	}
	for f.reports > 1 && (f.reports > room.Reports || f.bytes > room.Bytes) {
		oldest, err := queryAll(ctx, f.db, func(row scanner) (o old, err error) { return o, row.Scan(&o.id, &o.bytes) },
			"SELECT id, bytes FROM card_reports WHERE owner = ? ORDER BY created_at, id LIMIT ?", f.owner, min(atOnce, f.reports-1))
		if err != nil {
			return err
		}
		var gone []id.CardReport
		reports, bytes := f.reports, f.bytes
		for _, o := range oldest {
			if reports <= room.Reports && bytes <= room.Bytes {
				break
			}
			gone = append(gone, o.id)
			reports--
			bytes -= o.bytes
		}
		if len(gone) == 0 {
			break // there is less than was counted
		}
		if _, err := f.remove(ctx, "id IN (?)", bun.List(gone)); err != nil {
			return err
		}
	}
	return f.save(ctx)
}

// remove deletes the owner's reports that cond chooses and brings their cards up to date. It returns how many there were. What the owner's reports
// take is only counted here, see save.
func (f *reportRoom) remove(ctx context.Context, cond string, args ...any) (n int, err error) {
	var cards []id.AgentCard
	err = eachRow(ctx, f.db, func(row scanner) error {
		var of id.AgentCard
		var bytes int
		if err := row.Scan(&of, &bytes); err != nil {
			return err
		}
		n++
		f.reports--
		f.bytes -= bytes
		if !of.IsZero() && !slices.Contains(cards, of) {
			cards = append(cards, of)
		}
		return nil
	}, "DELETE FROM card_reports WHERE "+cond+" RETURNING card_id, bytes", args...)
	if err != nil {
		return 0, err
	}
	for _, of := range cards {
		if err := refreshCard(ctx, f.db, of); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// refreshCard makes a card say what its newest report does, and removes one that has no report any more.
func refreshCard(ctx context.Context, db bun.IDB, of id.AgentCard) error {
	n, err := affected(db.ExecContext(ctx, `UPDATE agent_cards SET (reports, newest, newest_at, name, url, version, valid, score, errors, warnings) =
		(SELECT (SELECT count(*) FROM card_reports WHERE card_id = agent_cards.id), id, created_at, name, url, version, valid, score, errors, warnings
			FROM card_reports WHERE card_id = agent_cards.id ORDER BY created_at DESC, id DESC LIMIT 1)
		WHERE id = ? AND EXISTS (SELECT 1 FROM card_reports WHERE card_id = agent_cards.id)`, of))
	if err != nil || n > 0 {
		return err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM agent_cards WHERE id = ?", of)
	return mapErr(err)
}
