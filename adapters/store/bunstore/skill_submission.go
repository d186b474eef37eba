package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// SubmissionRepo keeps skills that agents hand in, and lists what is on the market.
type SubmissionRepo struct{ s *Store }

var (
	_ skill.SubmissionRepository = (*SubmissionRepo)(nil)
	_ skill.ContentRepository    = (*SubmissionRepo)(nil)
)

// Submissions returns the repository of skills that agents hand in.
func (s *Store) Submissions() *SubmissionRepo { return &SubmissionRepo{s} }

const (
	submissionColumns = "s.id, s.agent_id, s.key, s.created_at, s.updated_at"
	submittedColumns  = `.id, %[1]s.skill_id, %[1]s.agent_id, %[1]s.number, %[1]s.label, %[1]s.digest, %[1]s.content, %[1]s.scan, %[1]s.status,
		%[1]s.reason, %[1]s.reviewed_by, %[1]s.reviewed_at, %[1]s.created_at`
	submissionTables = ` FROM skill_submissions AS s
		JOIN skill_submission_versions AS h ON h.tenant_id = s.tenant_id AND h.skill_id = s.id AND h.number = s.head
		LEFT JOIN skill_submission_versions AS a ON a.tenant_id = s.tenant_id AND a.skill_id = s.id AND a.number = s.approved`
)

// submitted is the columns of a version under an alias.
func submitted(alias string) string { return alias + fmt.Sprintf(submittedColumns, alias) }

// submittedRow is the columns of a version that may be missing.
type submittedRow struct {
	v                             skill.SubmissionVersion
	number                        sql.NullInt64
	label, digest, content, found sql.NullString
	status, reason                sql.NullString
	reviewed, created             stamp
}

func (r *submittedRow) fields() []any {
	return []any{
		&r.v.ID, &r.v.Skill, &r.v.Agent, &r.number, &r.label, &r.digest, &r.content, &r.found, &r.status, &r.reason, &r.v.ReviewedBy, &r.reviewed,
		&r.created,
	}
}

func (r *submittedRow) entity() (*skill.SubmissionVersion, error) {
	if !r.number.Valid {
		return nil, nil
	}
	v := &r.v
	v.Number, v.Label, v.Digest, v.Status, v.Reason = int(r.number.Int64), r.label.String, r.digest.String,
		skill.ReviewStatus(r.status.String), r.reason.String
	v.ReviewedAt, v.CreatedAt = timePtr(r.reviewed), r.created.Time()
	var err error
	if v.Content, err = skill.DecodeStructured([]byte(r.content.String)); err != nil {
		return nil, err
	}
	if r.found.Valid {
		report, err := scan.Parse([]byte(r.found.String))
		if err != nil {
			return nil, err
		}
		v.Scan = &report
	}
	return v, nil
}

func scanSubmitted(row scanner) (skill.SubmissionVersion, error) {
	var r submittedRow
	if err := row.Scan(r.fields()...); err != nil {
		return skill.SubmissionVersion{}, err
	}
	v, err := r.entity()
	if err != nil {
		return skill.SubmissionVersion{}, err
	}
	return *v, nil
}

func scanSubmission(tenant id.Tenant, row scanner) (skill.Submission, error) {
	s := skill.Submission{Tenant: tenant}
	var created, updated stamp
	var head, approved submittedRow
	fields := append([]any{&s.ID, &s.Agent, &s.Key, &created, &updated}, head.fields()...)
	if err := row.Scan(append(fields, approved.fields()...)...); err != nil {
		return s, err
	}
	s.CreatedAt, s.UpdatedAt = created.Time(), updated.Time()
	h, err := head.entity()
	if err != nil {
		return s, err
	}
	s.Head = *h
	s.Approved, err = approved.entity()
	return s, err
}

// Recent implements skill.SubmissionRepository.
func (r *SubmissionRepo) Recent(ctx context.Context, sc account.Scope, agent id.Agent, since time.Time) ([]time.Time, error) {
	if r.s.current(ctx) != nil {
		if err := r.s.lock(ctx, "skill:ingest:"+sc.Tenant.String()+":"+agent.String()); err != nil {
			return nil, err
		}
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (time.Time, error) {
		var at stamp
		err := row.Scan(&at)
		return at.Time(), err
	}, `SELECT created_at FROM skill_submission_versions WHERE tenant_id = ? AND agent_id = ? AND created_at > ? ORDER BY created_at`,
		sc.Tenant, agent, at(since))
}

// Match implements skill.SubmissionRepository.
func (r *SubmissionRepo) Match(
	ctx context.Context, sc account.Scope, agent id.Agent, key, label, digest string,
) (*skill.Submission, []skill.SubmissionVersion, error) {
	s, err := r.one(ctx, sc, "s.agent_id = ? AND s.key = ?", agent, key)
	if errors.Is(err, skill.ErrSkillNotFound) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	w := newWhere("v.tenant_id = ? AND v.skill_id = ?", sc.Tenant, s.ID)
	if label == "" {
		w.and("v.digest = ?", digest)
	} else {
		w.and("(v.digest = ? OR v.label = ?)", digest, label)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanSubmitted,
		"SELECT "+submitted("v")+" FROM skill_submission_versions AS v WHERE "+w.sql()+" ORDER BY v.number DESC", w.args...)
	return &s, found, err
}

// one returns the submission that meets a condition, locked inside of a transaction.
func (r *SubmissionRepo) one(ctx context.Context, sc account.Scope, cond string, args ...any) (skill.Submission, error) {
	if r.s.postgres() && r.s.current(ctx) != nil {
		// Locked on its own first: the joined versions must be those that are in force once the lock is there.
		if _, err := r.s.read(ctx).ExecContext(ctx, "SELECT s.id FROM skill_submissions AS s WHERE s.tenant_id = ? AND "+cond+" FOR UPDATE",
			append([]any{sc.Tenant}, args...)...); err != nil {
			return skill.Submission{}, mapErr(err)
		}
	}
	s, err := scanSubmission(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, "SELECT "+submissionColumns+", "+submitted("h")+", "+submitted("a")+
		submissionTables+" WHERE s.tenant_id = ? AND "+cond, append([]any{sc.Tenant}, args...)...))
	if errors.Is(err, sql.ErrNoRows) {
		return skill.Submission{}, skill.ErrSkillNotFound
	}
	return s, mapErr(err)
}

// Add implements skill.SubmissionRepository.
func (r *SubmissionRepo) Add(
	ctx context.Context, sc account.Scope, s skill.Submission, v skill.SubmissionVersion,
) (skill.SubmissionVersion, error) {
	content, err := v.Content.Encode()
	if err != nil {
		return v, err
	}
	tags, err := json.Marshal(append([]string{}, v.Content.Tags...))
	if err != nil {
		return v, fmt.Errorf("bunstore: %w", err)
	}
	var found sql.NullString
	if v.Scan != nil {
		text, err := v.Scan.Encode()
		if err != nil {
			return v, err
		}
		found = sql.NullString{String: string(text), Valid: true}
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		err := db.QueryRowContext(ctx, `INSERT INTO skill_submissions AS s
			(tenant_id, id, agent_id, key, last_number, head, head_status, head_at, created_at, updated_at) VALUES (?, ?, ?, ?, 1, 1, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, id) DO UPDATE SET last_number = s.last_number + 1, head = s.last_number + 1,
			head_status = excluded.head_status, head_at = excluded.head_at, updated_at = excluded.updated_at RETURNING last_number`,
			sc.Tenant, s.ID, s.Agent, s.Key, string(v.Status), at(v.CreatedAt), at(s.CreatedAt), at(v.CreatedAt)).Scan(&v.Number)
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, `INSERT INTO skill_submission_versions (tenant_id, skill_id, number, id, agent_id, key, label, digest, content,
			name, summary, category, tags, scan, status, reason, reviewed_by, reviewed_at, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, s.ID, v.Number, v.ID, s.Agent, s.Key, sql.NullString{String: v.Label, Valid: v.Label != ""}, v.Digest, string(content),
			v.Content.Name, v.Content.Summary, v.Content.Category, string(tags), found, string(v.Status), v.Reason, v.ReviewedBy,
			stampPtr(v.ReviewedAt), at(v.CreatedAt))
		return mapErr(err)
	})
	return v, err
}

// SetHead implements skill.SubmissionRepository.
func (r *SubmissionRepo) SetHead(ctx context.Context, sc account.Scope, of id.Skill, version id.SkillVersion, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		v, err := r.version(ctx, sc, of, version)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx,
			"UPDATE skill_submissions SET head = ?, head_status = ?, head_at = ?, updated_at = ? WHERE tenant_id = ? AND id = ?",
			v.Number, string(v.Status), at(v.CreatedAt), at(when), sc.Tenant, of)
		return mapErr(err)
	})
}

func (r *SubmissionRepo) version(
	ctx context.Context, sc account.Scope, of id.Skill, version id.SkillVersion,
) (skill.SubmissionVersion, error) {
	v, err := scanSubmitted(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+submitted("v")+
		" FROM skill_submission_versions AS v WHERE v.tenant_id = ? AND v.skill_id = ? AND v.id = ?", sc.Tenant, of, version))
	if errors.Is(err, sql.ErrNoRows) {
		return v, skill.ErrVersionNotFound
	}
	return v, mapErr(err)
}

// Submission implements skill.SubmissionRepository.
func (r *SubmissionRepo) Submission(ctx context.Context, sc account.Scope, of id.Skill) (skill.Submission, error) {
	s, err := r.one(ctx, sc, "s.id = ?", of)
	if errors.Is(err, skill.ErrSkillNotFound) {
		return r.one(ctx, sc, "s.id = (SELECT v.skill_id FROM skill_submission_versions AS v WHERE v.tenant_id = ? AND v.id = ?)", sc.Tenant, of)
	}
	return s, err
}

// Decide implements skill.SubmissionRepository.
func (r *SubmissionRepo) Decide(ctx context.Context, sc account.Scope, d skill.Decision) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		s, err := r.one(ctx, sc, "s.id = ?", d.Skill)
		if err != nil {
			return err
		}
		res, err := db.ExecContext(ctx, `UPDATE skill_submission_versions SET status = ?, reason = ?, reviewed_by = ?, reviewed_at = ?
			WHERE tenant_id = ? AND skill_id = ? AND id = ? AND status = ?`,
			string(d.To), d.Reason, d.By, at(d.At), sc.Tenant, d.Skill, d.Version, string(d.From))
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrReviewed
		}
		v, err := r.version(ctx, sc, d.Skill, d.Version)
		if err != nil {
			return err
		}
		if s.Head.ID == d.Version {
			if _, err := db.ExecContext(ctx, "UPDATE skill_submissions SET head_status = ?, updated_at = ? WHERE tenant_id = ? AND id = ?",
				string(d.To), at(d.At), sc.Tenant, d.Skill); err != nil {
				return mapErr(err)
			}
		}
		switch {
		case d.To == skill.ReviewApproved:
			return r.publish(ctx, db, sc, v, d.At)
		case s.Approved != nil && s.Approved.ID == d.Version:
			return r.withdraw(ctx, db, sc, d.Skill, d.At)
		}
		return nil
	})
}

// publish puts a version on the market.
func (r *SubmissionRepo) publish(ctx context.Context, db bun.IDB, sc account.Scope, v skill.SubmissionVersion, when time.Time) error {
	c := v.Content
	_, err := db.ExecContext(ctx, `UPDATE skill_submissions SET approved = ?, approved_at = ?, category_key = ?, search_key = ?, updated_at = ?
		WHERE tenant_id = ? AND id = ?`, v.Number, at(when), nameKey(c.Category),
		nameKey(strings.Join([]string{c.Name, c.Key, c.Summary, c.Description}, "\n")), at(when), sc.Tenant, v.Skill)
	if err != nil {
		return mapErr(err)
	}
	if err := r.dropTags(ctx, db, sc, v.Skill); err != nil {
		return err
	}
	for _, tag := range c.Tags {
		if _, err := db.ExecContext(ctx, "INSERT INTO skill_tags (tenant_id, tag_key, skill_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			sc.Tenant, nameKey(tag), v.Skill); err != nil {
			return mapErr(err)
		}
	}
	return nil
}

// withdraw takes a skill off the market.
func (r *SubmissionRepo) withdraw(ctx context.Context, db bun.IDB, sc account.Scope, of id.Skill, when time.Time) error {
	if err := r.dropTags(ctx, db, sc, of); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, `UPDATE skill_submissions SET approved = NULL, approved_at = NULL, category_key = NULL, search_key = NULL,
		updated_at = ? WHERE tenant_id = ? AND id = ?`, at(when), sc.Tenant, of)
	return mapErr(err)
}

func (r *SubmissionRepo) dropTags(ctx context.Context, db bun.IDB, sc account.Scope, of id.Skill) error {
	_, err := db.ExecContext(ctx, "DELETE FROM skill_tags WHERE tenant_id = ? AND skill_id = ?", sc.Tenant, of)
	return mapErr(err)
}

// Queue implements skill.SubmissionRepository.
func (r *SubmissionRepo) Queue(ctx context.Context, sc account.Scope, req skill.QueueRequest) (page.Page[skill.Submission], error) {
	when := "s.head_at"
	w := newWhere("s.tenant_id = ?", sc.Tenant)
	if req.Status == skill.ReviewApproved {
		when = "s.approved_at"
		w.and("s.approved IS NOT NULL")
	} else {
		w.and("s.head_status = ?", string(req.Status))
	}
	if !req.All {
		if len(req.Agents) == 0 {
			return page.Page[skill.Submission]{}, nil
		}
		w.and("s.agent_id IN (?)", bun.List(req.Agents))
	}
	total, err := r.s.total(ctx, req.Page, "skill_submissions AS s", w.sql(), w.args...)
	if err != nil {
		return page.Page[skill.Submission]{}, err
	}
	if req.Page.Cursor != "" {
		before, last, err := decodeTimeIDCursor[id.SkillKind](req.Page.Cursor)
		if err != nil {
			return page.Page[skill.Submission]{}, err
		}
		w.and("("+when+", s.id) < (?, ?)", before, last)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Submission, error) { return scanSubmission(sc.Tenant, row) },
		"SELECT "+submissionColumns+", "+submitted("h")+", "+submitted("a")+submissionTables+" WHERE "+w.sql()+
			" ORDER BY "+when+" DESC, s.id DESC LIMIT ? OFFSET ?", append(w.args, req.Page.Size()+1, max(req.Page.Offset, 0))...)
	if err != nil {
		return page.Page[skill.Submission]{}, err
	}
	out, err := pageOf(found, req.Page.Size(), func(s skill.Submission) (skill.Submission, error) { return s, nil },
		func(s skill.Submission) []string { return []string{queuedAt(req.Status, s).String(), s.ID.String()} })
	out.Total = total
	return out, err
}

// queuedAt is what a queue is ordered by.
func queuedAt(status skill.ReviewStatus, s skill.Submission) stamp {
	if status == skill.ReviewApproved {
		return at(*s.Approved.ReviewedAt)
	}
	return at(s.Head.CreatedAt)
}

// Contents implements skill.ContentRepository.
func (r *SubmissionRepo) Contents(ctx context.Context, sc account.Scope, versions []id.SkillVersion) ([]skill.SubmissionVersion, error) {
	if len(versions) == 0 {
		return nil, nil
	}
	return queryAll(ctx, r.s.read(ctx), scanSubmitted, "SELECT "+submitted("v")+
		" FROM skill_submission_versions AS v WHERE v.tenant_id = ? AND v.id IN (?)", sc.Tenant, bun.List(versions))
}

// orphaned is what a version is that belongs to nothing and is installed nowhere.
const orphaned = ` NOT EXISTS (SELECT 1 FROM skill_submissions AS s WHERE s.tenant_id = v.tenant_id AND s.id = v.skill_id)
	AND NOT EXISTS (SELECT 1 FROM installed_skills AS i WHERE i.tenant_id = v.tenant_id AND i.version_id = v.id)`

// ForgetSubmissions implements skill.ContentRepository.
func (r *SubmissionRepo) ForgetSubmissions(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, q := range []string{
			`DELETE FROM skill_tags WHERE tenant_id = ? AND skill_id IN
				(SELECT s.id FROM skill_submissions AS s WHERE s.tenant_id = skill_tags.tenant_id AND s.agent_id = ?)`,
			"DELETE FROM skill_submissions WHERE tenant_id = ? AND agent_id = ?",
			"DELETE FROM skill_submission_versions AS v WHERE v.tenant_id = ? AND v.agent_id = ? AND" + orphaned,
		} {
			if _, err := db.ExecContext(ctx, q, sc.Tenant, agent); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Prune implements skill.ContentRepository.
func (r *SubmissionRepo) Prune(ctx context.Context, sc account.Scope, version id.SkillVersion) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM skill_submission_versions AS v WHERE v.tenant_id = ? AND v.id = ? AND"+orphaned,
			sc.Tenant, version)
		return mapErr(err)
	})
}
