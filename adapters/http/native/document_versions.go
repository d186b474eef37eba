package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// DocumentVersionWire is a version of a document without its text. It is exported because others embed it.
type DocumentVersionWire struct {
	Path      string `json:"path" doc:"Where the document lies in the agent's work directory: SOUL.md, rules/refunds.md."`
	Type      string `json:"type" enum:"document_version"`
	Version   int    `json:"version" doc:"From 1."`
	Hash      string `json:"hash" doc:"SHA-256 of the text, in hexadecimal."`
	Size      int    `json:"size" doc:"Bytes."`
	CreatedAt stamp  `json:"created_at"`
	Deleted   bool   `json:"deleted" doc:"This version is the document's removal."`
}

type wholeDocumentVersionWire struct {
	DocumentVersionWire
	Content      string `json:"content"`
	NeedsRestart *bool  `json:"needs_restart,omitempty" doc:"There after a restore: whether the agent runs, and will use it once it was restarted."`
}

func showDocumentVersion(d agent.Document) DocumentVersionWire {
	return DocumentVersionWire{
		Path: string(d.Path), Type: "document_version", Version: d.Version, Hash: d.Hash, Size: d.Size, CreatedAt: stampOf(d.UpdatedAt), Deleted: d.Removed,
	}
}

// DocumentInput names one of the documents that every agent has. Its type is exported because others embed it.
type DocumentInput struct {
	AgentID  string `path:"agent_id" doc:"The agent's id."`
	Document string `path:"document" doc:"soul, identity or workflow."`
}

func (in *DocumentInput) read() (id.Agent, agent.DocumentPath, error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	path, known := map[string]agent.DocumentPath{"soul": agent.Soul, "identity": agent.IdentityCard, "workflow": agent.Workflow}[in.Document]
	if err == nil && !known {
		err = agent.ErrDocumentNotFound
	}
	return of, path, err
}

type listDocumentVersionsInput struct {
	DocumentInput
	httpx.PageQuery
}

type listRuleVersionsInput struct {
	RuleInput
	httpx.PageQuery
}

// VersionInput chooses a version. Its type is exported because others embed it.
type VersionInput struct {
	Version string `path:"version" doc:"The version's number."`
}

// DocumentVersionInput names a version of a document. It is exported because others embed it.
type DocumentVersionInput struct {
	DocumentInput
	VersionInput
}

// RuleVersionInput names a version of a rule. It is exported because others embed it.
type RuleVersionInput struct {
	RuleInput
	VersionInput
}

// restoreBody may be left out.
type restoreBody struct {
	ExpectedHash string `json:"expected_hash,omitempty" maxLength:"64" doc:"The hash of the newest version that you have seen: another is a conflict."`
}

type restoreDocumentInput struct {
	DocumentVersionInput
	Body *restoreBody
}

type restoreRuleInput struct {
	RuleVersionInput
	Body *restoreBody
}

func (b *restoreBody) expected() string {
	if b == nil {
		return ""
	}
	return b.ExpectedHash
}

func (f *face) registerDocumentVersions() {
	const document, rule = "/v1/agents/{agent_id}/documents/{document}/versions", "/v1/agents/{agent_id}/rules/{rule_name}/versions"
	list := httpx.Op{
		Method: http.MethodGet, Tag: "documents", Permission: account.AgentsRead,
		Description: "The last 100 are kept, the newest included. A document that was never written has none; a rule that was never written is not found.",
	}
	listDocument, listRule := list, list
	listDocument.ID, listDocument.Path, listDocument.Summary = "listDocumentVersions", document, "List the versions of a document, newest first"
	listRule.ID, listRule.Path, listRule.Summary = "listRuleVersions", rule, "List the versions of a rule, newest first"
	httpx.Register(f.Face, listDocument, func(ctx context.Context, in *listDocumentVersionsInput) (*output[httpx.List[DocumentVersionWire]], error) {
		of, path, err := in.read()
		return f.documentVersions(ctx, of, path, in.Request(), err)
	})
	httpx.Register(f.Face, listRule, func(ctx context.Context, in *listRuleVersionsInput) (*output[httpx.List[DocumentVersionWire]], error) {
		of, path, err := in.read()
		return f.documentVersions(ctx, of, path, in.Request(), err)
	})

	get := httpx.Op{Method: http.MethodGet, Tag: "documents", Permission: account.AgentsRead}
	getDocument, getRule := get, get
	getDocument.ID, getDocument.Path, getDocument.Summary = "getDocumentVersion", document+"/{version}", "Read a version of a document"
	getRule.ID, getRule.Path, getRule.Summary = "getRuleVersion", rule+"/{version}", "Read a version of a rule"
	httpx.Register(f.Face, getDocument, func(ctx context.Context, in *DocumentVersionInput) (*output[wholeDocumentVersionWire], error) {
		of, path, err := in.DocumentInput.read()
		return f.documentVersion(ctx, of, path, versionNumber(in.Version), err)
	})
	httpx.Register(f.Face, getRule, func(ctx context.Context, in *RuleVersionInput) (*output[wholeDocumentVersionWire], error) {
		of, path, err := in.RuleInput.read()
		return f.documentVersion(ctx, of, path, versionNumber(in.Version), err)
	})

	restore := httpx.Op{
		Method: http.MethodPost, Tag: "documents", Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict}, Example: `{}`,
		Description: "Writes the version's text as the newest version, that of a deleted rule too.",
	}
	restoreDocument, restoreRule := restore, restore
	restoreDocument.ID, restoreDocument.Path = "restoreDocumentVersion", document+"/{version}/restore"
	restoreDocument.Summary = "Restore a version of a document"
	restoreRule.ID, restoreRule.Path, restoreRule.Summary = "restoreRuleVersion", rule+"/{version}/restore", "Restore a version of a rule"
	httpx.Register(f.Face, restoreDocument, func(ctx context.Context, in *restoreDocumentInput) (*output[wholeDocumentVersionWire], error) {
		of, path, err := in.DocumentInput.read()
		return f.restoreDocument(ctx, of, path, versionNumber(in.Version), in.Body.expected(), err)
	})
	httpx.Register(f.Face, restoreRule, func(ctx context.Context, in *restoreRuleInput) (*output[wholeDocumentVersionWire], error) {
		of, path, err := in.RuleInput.read()
		return f.restoreDocument(ctx, of, path, versionNumber(in.Version), in.Body.expected(), err)
	})
}

// documentVersions, documentVersion and restoreDocument take what reading the path has brought, its error too.
func (f *face) documentVersions(
	ctx context.Context, of id.Agent, path agent.DocumentPath, req page.Request, err error,
) (*output[httpx.List[DocumentVersionWire]], error) {
	if err != nil {
		return nil, err
	}
	found, err := f.deps.Documents.Versions(ctx, httpx.Scope(ctx), of, path, req)
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(found, showDocumentVersion)), nil
}

func (f *face) documentVersion(
	ctx context.Context, of id.Agent, path agent.DocumentPath, version int, err error,
) (*output[wholeDocumentVersionWire], error) {
	if err != nil {
		return nil, err
	}
	d, err := f.deps.Documents.Version(ctx, httpx.Scope(ctx), of, path, version)
	if err != nil {
		return nil, err
	}
	return ok(wholeDocumentVersionWire{DocumentVersionWire: showDocumentVersion(d), Content: d.Content}), nil
}

func (f *face) restoreDocument(
	ctx context.Context, of id.Agent, path agent.DocumentPath, version int, expected string, err error,
) (*output[wholeDocumentVersionWire], error) {
	if err != nil {
		return nil, err
	}
	d, restart, err := f.deps.Documents.Restore(ctx, httpx.Scope(ctx), of, path, version, expected)
	if err != nil {
		return nil, err
	}
	return ok(wholeDocumentVersionWire{showDocumentVersion(d), d.Content, &restart}), nil
}
