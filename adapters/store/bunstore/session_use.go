package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// ToolUseRepo keeps open tool uses. It implements session.ToolUses.
type ToolUseRepo struct{ s *Store }

const toolUseColumns = "id, session_id, turn_id, seq, type, name, input, state, approval_id"

func scanToolUse(row scanner) (session.ToolUse, error) {
	var u session.ToolUse
	var typ, state string
	var input []byte
	if err := row.Scan(&u.ID, &u.Session, &u.Turn, &u.Seq, &typ, &u.Name, &input, &state, &u.Approval); err != nil {
		return session.ToolUse{}, err
	}
	u.Type, u.State, u.Input = session.EventType(typ), session.UseState(state), input
	return u, nil
}

// Open implements session.ToolUses.
func (r *ToolUseRepo) Open(ctx context.Context, sc account.Scope, sessionID id.Session) ([]session.ToolUse, error) {
	return queryAll(ctx, r.s.read(ctx), scanToolUse, "SELECT "+toolUseColumns+
		" FROM session_tool_uses WHERE session_id = ? AND tenant_id = ? ORDER BY seq", sessionID, sc.Tenant)
}

// Close implements session.ToolUses.
func (r *ToolUseRepo) Close(ctx context.Context, sc account.Scope, sessionID id.Session, use id.Event) (session.ToolUse, bool, error) {
	var out session.ToolUse
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		u, err := scanToolUse(db.QueryRowContext(ctx, "DELETE FROM session_tool_uses WHERE id = ? AND session_id = ? AND tenant_id = ? RETURNING "+
			toolUseColumns, use, sessionID, sc.Tenant))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		out, found = u, err == nil
		return mapErr(err)
	})
	return out, found, err
}

// SetState implements session.ToolUses.
func (r *ToolUseRepo) SetState(ctx context.Context, sc account.Scope, use id.Event, from, to session.UseState, approval id.Approval) (bool, error) {
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		guard := ""
		if to == session.UseParked {
			guard = " AND approval_id IS NULL"
		}
		n, err := affected(db.ExecContext(ctx, "UPDATE session_tool_uses SET state = ?, approval_id = COALESCE(?, approval_id)"+
			" WHERE id = ? AND tenant_id = ? AND state = ?"+guard, string(to), approval, use, sc.Tenant, string(from)))
		found = n > 0
		return err
	})
	return found, err
}
