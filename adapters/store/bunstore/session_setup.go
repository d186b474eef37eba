package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// overridesRow is the stored form of agent.Overrides; what is nil stays as the agent has it.
type overridesRow struct {
	Model      *agentModelRow    `json:"model,omitempty"`
	System     *string           `json:"system,omitempty"`
	Tools      *[]agentToolRow   `json:"tools,omitempty"`
	MCPServers *[]agentServerRow `json:"mcp_servers,omitempty"`
	Skills     *[]agentSkillRow  `json:"skills,omitempty"`
}

func encodeOverrides(o *agent.Overrides) (sql.NullString, error) {
	if o == nil {
		return sql.NullString{}, nil
	}
	r := overridesRow{
		System: o.System, Tools: rowOf(o.Tools, toolRowsOf), MCPServers: rowOf(o.MCPServers, serverRowsOf), Skills: rowOf(o.Skills, skillRowsOf),
		Model: rowOf(o.Model, modelRowOf),
	}
	b, err := json.Marshal(r)
	if err != nil {
		return sql.NullString{}, fmt.Errorf("bunstore: overrides: %w", err)
	}
	return sql.NullString{String: string(b), Valid: true}, nil
}

func decodeOverrides(b []byte) (*agent.Overrides, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // no overrides are nil in core
	}
	var r overridesRow
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	return &agent.Overrides{
		System: r.System, Tools: rowOf(r.Tools, toolsOf), MCPServers: rowOf(r.MCPServers, serversOf), Skills: rowOf(r.Skills, skillsOf),
		Model: rowOf(r.Model, agentModelRow.model),
	}, nil
}

// rowOf converts what is there.
func rowOf[A, B any](v *A, convert func(A) B) *B {
	if v == nil {
		return nil
	}
	out := convert(*v)
	return &out
}

func encodeVaults(vaults []id.Vault) (string, error) {
	out := make([]string, len(vaults))
	for i, v := range vaults {
		out[i] = v.UUID().String()
	}
	b, err := json.Marshal(out)
	if err != nil {
		return "", fmt.Errorf("bunstore: vaults: %w", err)
	}
	return string(b), nil
}

func decodeVaults(b []byte) ([]id.Vault, error) {
	var texts []string
	if err := json.Unmarshal(b, &texts); err != nil {
		return nil, err
	}
	var out []id.Vault
	for _, t := range texts {
		u, err := id.ParseUUID(t)
		if err != nil {
			return nil, err
		}
		out = append(out, id.Of[id.VaultKind](u))
	}
	return out, nil
}

// resources reads those of the given sessions, in the order in which they were added.
func (r *SessionRepo) resources(ctx context.Context, of []id.Session) (map[id.Session][]session.Resource, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, `SELECT session_id, id, type, mount, file_id, url, branch, commit_sha, token_sealed,
		memory_store_id, read_only, instructions, name, description, created_at, updated_at
		FROM session_resources WHERE session_id IN (?) ORDER BY session_id, number`, bun.List(of))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	out := map[id.Session][]session.Resource{}
	for rows.Next() {
		var owner id.Session
		var v session.Resource
		var typ, branch, commit string
		var created, updated stamp
		if err := rows.Scan(&owner, &v.ID, &typ, &v.Mount, &v.File, &v.URL, &branch, &commit, &v.SealedToken,
			&v.Store, &v.ReadOnly, &v.Instructions, &v.Name, &v.Description, &created, &updated); err != nil {
			return nil, mapErr(err)
		}
		v.Type, v.CreatedAt, v.UpdatedAt = session.ResourceType(typ), created.Time(), updated.Time()
		if branch != "" || commit != "" {
			v.Checkout = &session.Checkout{Branch: branch, Commit: commit}
		}
		out[owner] = append(out[owner], v)
	}
	return out, mapErr(rows.Err())
}

// saveResources makes a session's rows, which are those of before, those of after.
func saveResources(ctx context.Context, db bun.IDB, owner id.Session, before, after []session.Resource) error {
	find := func(list []session.Resource, v session.Resource) int {
		return slices.IndexFunc(list, func(o session.Resource) bool { return o.ID == v.ID })
	}
	for _, v := range before {
		if find(after, v) < 0 {
			if _, err := db.ExecContext(ctx, "DELETE FROM session_resources WHERE id = ? AND session_id = ?", v.ID, owner); err != nil {
				return mapErr(err)
			}
		}
	}
	for _, v := range after {
		if i := find(before, v); i >= 0 {
			if reflect.DeepEqual(before[i], v) {
				continue
			}
			// Only a repository's token changes, and when.
			if _, err := db.ExecContext(ctx, "UPDATE session_resources SET token_sealed = ?, updated_at = ? WHERE id = ? AND session_id = ?",
				v.SealedToken, at(v.UpdatedAt), v.ID, owner); err != nil {
				return mapErr(err)
			}
			continue
		}
		var c session.Checkout
		if v.Checkout != nil {
			c = *v.Checkout
		}
		_, err := db.ExecContext(ctx, `INSERT INTO session_resources (id, session_id, number, type, mount, file_id, url, branch, commit_sha,
			token_sealed, memory_store_id, read_only, instructions, name, description, created_at, updated_at)
			VALUES (?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM session_resources WHERE session_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, owner, owner, string(v.Type), v.Mount, v.File, v.URL, c.Branch, c.Commit,
			v.SealedToken, v.Store, v.ReadOnly, v.Instructions, v.Name, v.Description, at(v.CreatedAt), at(v.UpdatedAt))
		if err != nil {
			return mapErr(err)
		}
	}
	return nil
}
