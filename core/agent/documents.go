package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Hosting is what documents need to know of the instances that run agents. app wires core/hosting.
type Hosting interface {
	// Changed is told, in the transaction of ctx, that a running agent works with what is no longer the newest. It reports whether the
	// agent has to be restarted to use that: false when it is not running.
	Changed(ctx context.Context, sc account.Scope, agent id.Agent) (needsRestart bool, err error)
	// StartedAt returns when the instance that runs the agent was started; false when none does.
	StartedAt(ctx context.Context, sc account.Scope, agent id.Agent) (at time.Time, hosted bool, err error)
}

// RuleReader reads the rules that a running agent has in its work directory. app wires the worker of its instance.
type RuleReader interface {
	// ReadRule returns the text of a rule; ErrDocumentNotFound when there is no such file, and false when the agent has no instance that
	// can be asked.
	ReadRule(ctx context.Context, sc account.Scope, agent id.Agent, name string) (content string, asked bool, err error)
}

// DocumentsDeps is what Documents need; all are required.
type DocumentsDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	Repository DocumentRepository
	Agents     Repository
	Standings  Standings
	Trail      Trail
}

// Documents keep the texts that tell agents who they are and what to do. They are safe for concurrent use once Connect was called.
type Documents struct {
	d       DocumentsDeps
	hosting Hosting
	reader  RuleReader
}

// NewDocuments returns Documents, or an error that names the missing dependency.
func NewDocuments(d DocumentsDeps) (*Documents, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("agent: DocumentsDeps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("agent: DocumentsDeps.Clock is required")
	case d.Repository == nil:
		return nil, errors.New("agent: DocumentsDeps.Repository is required")
	case d.Agents == nil:
		return nil, errors.New("agent: DocumentsDeps.Agents is required")
	case d.Standings == nil:
		return nil, errors.New("agent: DocumentsDeps.Standings is required")
	case d.Trail == nil:
		return nil, errors.New("agent: DocumentsDeps.Trail is required")
	}
	return &Documents{d: d}, nil
}

// Connect names who runs agents and who reads their work directories; both may be nil: no agent is hosted then, and rules are read from
// the store. They live above this package, which is why NewDocuments does not take them. It must be called before the first use.
func (s *Documents) Connect(h Hosting, r RuleReader) { s.hosting, s.reader = h, r }

// Get returns the newest version of a document. One of the three that every agent has is the default when it was never written; a rule
// that is not there is ErrDocumentNotFound.
func (s *Documents) Get(ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath) (Document, error) {
	a, err := s.d.Agents.Get(ctx, sc, agent)
	if err != nil {
		return Document{}, err
	}
	return s.newest(ctx, sc, a, path)
}

func (s *Documents) newest(ctx context.Context, sc account.Scope, a Agent, path DocumentPath) (Document, error) {
	if err := checkDocument(path, ""); err != nil {
		return Document{}, err
	}
	d, ok, err := s.d.Repository.Document(ctx, sc, a.ID, path)
	if err != nil || ok && !d.Removed {
		return d, err
	}
	if d, ok = defaultDocument(a, path); ok {
		return d, nil
	}
	return Document{}, notThere(path)
}

func notThere(path DocumentPath) error {
	if name, ok := path.Rule(); ok {
		return ErrDocumentNotFound.Withf("the agent has no rule %q", name)
	}
	return ErrDocumentNotFound
}

// DocumentChange is a text that is to be written. Expected is the Hash of the version that the writer has seen; "" takes any.
type DocumentChange struct {
	Path     DocumentPath
	Content  string
	Expected string
}

// Put writes a document. With expected, the Hash of the version that the writer has seen, it is ErrDocumentConflict when another is the
// newest, and nothing changes; of writers that come at once with one hash, one succeeds. needsRestart says that the agent runs and will
// use the document once it was restarted. A text that is there already makes no version. Errors besides are ErrDocumentInvalid,
// ErrTooManyRules and ErrArchived.
func (s *Documents) Put(
	ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, content, expected string,
) (d Document, needsRestart bool, err error) {
	all, needsRestart, err := s.PutAll(ctx, sc, agent, []DocumentChange{{path, content, expected}})
	if err != nil {
		return Document{}, false, err
	}
	return all[0], needsRestart, nil
}

// PutAll writes documents, all or none. ErrDocumentInvalid when there are none; see Put.
func (s *Documents) PutAll(
	ctx context.Context, sc account.Scope, agent id.Agent, changes []DocumentChange,
) (written []Document, needsRestart bool, err error) {
	if len(changes) == 0 {
		return nil, false, ErrDocumentInvalid.Withf("there is nothing to write")
	}
	for _, c := range changes {
		if err := checkDocument(c.Path, c.Content); err != nil {
			return nil, false, err
		}
	}
	err = s.change(ctx, sc, agent, func(ctx context.Context, a Agent) error {
		written = make([]Document, 0, len(changes))
		for _, c := range changes {
			d, err := s.put(ctx, sc, a, c)
			if err != nil {
				return err
			}
			written = append(written, d)
		}
		needsRestart, err = s.changed(ctx, sc, agent)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return written, needsRestart, nil
}

func (s *Documents) put(ctx context.Context, sc account.Scope, a Agent, c DocumentChange) (Document, error) {
	was, there, err := s.current(ctx, sc, a, c.Path, c.Expected)
	if err != nil {
		return Document{}, err
	}
	d := documentOf(c.Path, c.Content)
	if there && d.Hash == was.Hash {
		return was, nil
	}
	if _, rule := c.Path.Rule(); rule && !there {
		if err := s.room(ctx, sc, a.ID); err != nil {
			return Document{}, err
		}
	}
	return s.add(ctx, sc, a.ID, was, d)
}

// change runs fn in a transaction that holds the agent, which is there and not archived, and its documents.
func (s *Documents) change(ctx context.Context, sc account.Scope, agent id.Agent, fn func(ctx context.Context, a Agent) error) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		info, err := s.d.Standings.LockStanding(ctx, sc, agent)
		if err != nil {
			return err
		}
		if info.Standing == Archived {
			return ErrArchived
		}
		if err := s.d.Repository.LockDocuments(ctx, sc, agent); err != nil {
			return err
		}
		a, err := s.d.Agents.Get(ctx, sc, agent)
		if err != nil {
			return err
		}
		return fn(ctx, a)
	})
}

// current returns the version that a writer replaces, which may be Removed or a default, and whether it was written and is there.
func (s *Documents) current(ctx context.Context, sc account.Scope, a Agent, path DocumentPath, expected string) (was Document, there bool, err error) {
	was, written, err := s.d.Repository.Document(ctx, sc, a.ID, path)
	if err != nil {
		return Document{}, false, err
	}
	if !written {
		was, _ = defaultDocument(a, path)
	}
	if expected != "" && (was.Removed || !strings.EqualFold(expected, was.Hash)) {
		return Document{}, false, ErrDocumentConflict.Withf("%s has been changed meanwhile", path)
	}
	return was, written && !was.Removed, nil
}

// room returns ErrTooManyRules when the agent has as many as it may have.
func (s *Documents) room(ctx context.Context, sc account.Scope, agent id.Agent) error {
	rules, err := s.rules(ctx, sc, agent, time.Time{})
	if err == nil && len(rules) >= MaxRules {
		return ErrTooManyRules
	}
	return err
}

// add stores d after was and notes it.
func (s *Documents) add(ctx context.Context, sc account.Scope, agent id.Agent, was, d Document) (Document, error) {
	d.Version, d.UpdatedAt = was.Version+1, clock.Stored(s.d.Clock.Now())
	if was.Version > 0 && d.UpdatedAt.Before(was.UpdatedAt) {
		d.UpdatedAt = was.UpdatedAt // servers' clocks differ, and what was newest at a time must be one version
	}
	if err := s.d.Repository.AddDocument(ctx, sc, agent, d); err != nil {
		return Document{}, err
	}
	action, metadata := "agent_document_written", map[string]any{"path": string(d.Path), "version": d.Version, "sha256": d.Hash, "size": d.Size}
	if d.Removed {
		action, metadata = "agent_document_removed", map[string]any{"path": string(d.Path), "version": d.Version}
	}
	return d, s.d.Trail.Note(ctx, sc, action, agent, metadata)
}

func (s *Documents) changed(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error) {
	if s.hosting == nil {
		return false, nil
	}
	return s.hosting.Changed(ctx, sc, agent)
}

// Remove deletes a rule; its versions are kept. ErrDocumentNotFound when there is none, and the errors of Put.
func (s *Documents) Remove(ctx context.Context, sc account.Scope, agent id.Agent, rule string) (needsRestart bool, err error) {
	path, err := RulePath(rule)
	if err != nil {
		return false, err
	}
	err = s.change(ctx, sc, agent, func(ctx context.Context, a Agent) error {
		was, there, err := s.current(ctx, sc, a, path, "")
		if err != nil {
			return err
		}
		if !there {
			return notThere(path)
		}
		gone := documentOf(path, "")
		gone.Removed = true
		if _, err := s.add(ctx, sc, agent, was, gone); err != nil {
			return err
		}
		needsRestart, err = s.changed(ctx, sc, agent)
		return err
	})
	return needsRestart, err
}

// Rules returns an agent's rules in order of their names, without their Content.
func (s *Documents) Rules(ctx context.Context, sc account.Scope, agent id.Agent) ([]Document, error) {
	if _, err := s.d.Agents.Get(ctx, sc, agent); err != nil {
		return nil, err
	}
	return s.rules(ctx, sc, agent, time.Time{})
}

func (s *Documents) rules(ctx context.Context, sc account.Scope, agent id.Agent, at time.Time) ([]Document, error) {
	all, err := s.d.Repository.Documents(ctx, sc, agent, at, false)
	var rules []Document
	for _, d := range all {
		if _, ok := d.Path.Rule(); ok {
			rules = append(rules, d)
		}
	}
	return rules, err
}

// Versions lists the versions of a document that are kept, newest first, without their Content. A document that was never written has none;
// of a rule that was never written it is ErrDocumentNotFound.
func (s *Documents) Versions(
	ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, req page.Request,
) (page.Page[Document], error) {
	if err := checkDocument(path, ""); err != nil {
		return page.Page[Document]{}, err
	}
	if _, err := s.d.Agents.Get(ctx, sc, agent); err != nil {
		return page.Page[Document]{}, err
	}
	found, err := s.d.Repository.DocumentVersions(ctx, sc, agent, path, req)
	if name, rule := path.Rule(); err == nil && rule && len(found.Items) == 0 && req.Cursor == "" {
		return found, ErrDocumentNotFound.Withf("the agent has no rule %q", name)
	}
	return found, err
}

// Version returns one version of a document; ErrDocumentNotFound when it is not kept.
func (s *Documents) Version(ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, version int) (Document, error) {
	if err := checkDocument(path, ""); err != nil {
		return Document{}, err
	}
	if _, err := s.d.Agents.Get(ctx, sc, agent); err != nil {
		return Document{}, err
	}
	return s.d.Repository.DocumentVersion(ctx, sc, agent, path, version)
}

// Restore writes the text of a former version as the newest one, also that of a rule that was removed. A version that says that the
// document is gone has no text to restore: ErrDocumentNotFound. Other errors are those of Put.
func (s *Documents) Restore(
	ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, version int, expected string,
) (d Document, needsRestart bool, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		former, err := s.Version(ctx, sc, agent, path, version)
		if err != nil {
			return err
		}
		if former.Removed {
			return ErrDocumentNotFound.Withf("version %d of %s is its removal", version, path)
		}
		d, needsRestart, err = s.Put(ctx, sc, agent, path, former.Content, expected)
		return err
	})
	if err != nil {
		return Document{}, false, err
	}
	return d, needsRestart, nil
}

// AsOf returns the documents of an agent as they were at a time, now for the zero time, in order of their paths: the three that every
// agent has, as defaults where they were not written, and the rules with their Content. Of a document with more than
// MaxDocumentVersions versions the oldest that is kept stands for those before it.
func (s *Documents) AsOf(ctx context.Context, sc account.Scope, agent id.Agent, at time.Time) ([]Document, error) {
	a, err := s.d.Agents.Get(ctx, sc, agent)
	if err != nil {
		return nil, err
	}
	found, err := s.d.Repository.Documents(ctx, sc, agent, at, true)
	if err != nil {
		return nil, err
	}
	return withDefaults(a, found), nil
}

// withDefaults returns found, which is in order of paths, with the defaults of the documents that are not in it.
func withDefaults(a Agent, found []Document) []Document {
	var out []Document
	for _, path := range []DocumentPath{IdentityCard, Soul, Workflow} { // in order of their names, before "rules/"
		if len(found) > 0 && found[0].Path == path {
			out, found = append(out, found[0]), found[1:]
			continue
		}
		d, _ := defaultDocument(a, path)
		out = append(out, d)
	}
	return append(out, found...)
}

// Files returns the newest documents of an agent by their paths, as they are written into its work directory.
func (s *Documents) Files(ctx context.Context, sc account.Scope, agent id.Agent) (map[string][]byte, error) {
	all, err := s.AsOf(ctx, sc, agent, time.Time{})
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(all))
	for _, d := range all {
		files[string(d.Path)] = []byte(d.Content)
	}
	return files, nil
}

// Forget removes every document of an agent with its versions, in the transaction of ctx.
func (s *Documents) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Repository.DeleteDocuments(ctx, sc, agent)
}
