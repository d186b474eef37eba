package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// DocumentPath is where a document lies in the agent's work directory: Soul, IdentityCard, Workflow, or what RulePath returns.
type DocumentPath string

// The documents that every agent has, though they may be empty.
const (
	Soul         DocumentPath = "SOUL.md"     // who the agent is: its tone, its values
	IdentityCard DocumentPath = "IDENTITY.md" // how it is called; made from the agent's name until somebody writes it
	Workflow     DocumentPath = "WORKFLOW.md" // what it does, and in which order
)

const (
	ruleFolder = "rules/"
	markdown   = ".md"
)

// Limits of documents.
const (
	MaxDocument         = 64 << 10 // bytes of one
	MaxRules            = 200      // rules of an agent
	MaxRuleName         = 100      // characters
	MaxDocumentVersions = 100      // versions of a document that are kept, the newest included
	MaxRemovedRules     = 200      // removed rules of an agent whose versions are kept; those that were removed last
)

var ruleName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// RulePath returns the path of the rule called name, or ErrDocumentInvalid for a name that is not 1 to MaxRuleName letters, digits, - and _.
func RulePath(name string) (DocumentPath, error) {
	if !ruleName.MatchString(name) {
		const what = "must be 1 to 100 letters, digits, - and _"
		return "", ErrDocumentInvalid.Withf("name: %s", what).WithFields(fault.Field{Path: "name", Message: what})
	}
	return DocumentPath(ruleFolder + name + markdown), nil
}

// Rule returns the name of the rule that lies at p; false when p is no rule's.
func (p DocumentPath) Rule() (name string, ok bool) {
	name, ok = strings.CutPrefix(string(p), ruleFolder)
	name, md := strings.CutSuffix(name, markdown)
	if !ok || !md || !ruleName.MatchString(name) {
		return "", false
	}
	return name, true
}

// known reports whether p is the path of a document.
func (p DocumentPath) known() bool {
	_, rule := p.Rule()
	return rule || p == Soul || p == IdentityCard || p == Workflow
}

// Document is one version of a text that tells an agent who it is or what to do. Documents are no part of an agent's Config: changing one
// makes no version of the agent.
type Document struct {
	Path    DocumentPath
	Version int    // from 1; 0: it was never written, and Content is the default
	Content string // "" in lists, and where Removed
	Hash    string // SHA-256 of Content, in lower-case hexadecimal
	Size    int    // bytes of Content
	// UpdatedAt is when this version was written. For a document that was never written it is when the agent was made.
	UpdatedAt time.Time
	Removed   bool // this version says that the document is gone
}

// Hash returns the SHA-256 of a text in lower-case hexadecimal, as documents have it.
func Hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// documentOf returns a version of the given text.
func documentOf(path DocumentPath, content string) Document {
	return Document{Path: path, Content: content, Hash: Hash(content), Size: len(content)}
}

// defaultDocument is what an agent has that nobody has written a document for; false for a rule, which is not there then.
func defaultDocument(a Agent, path DocumentPath) (Document, bool) {
	content := ""
	switch path {
	case Soul, Workflow:
	case IdentityCard:
		content = "# Identity\n\n- **Name:** " + strings.Join(strings.Fields(a.Config.Name), " ") + "\n"
	default:
		return Document{}, false
	}
	d := documentOf(path, content)
	d.UpdatedAt = a.CreatedAt
	return d, true
}

// checkDocument checks a text that is to be written to path; errors name the path.
func checkDocument(path DocumentPath, content string) error {
	var what string
	switch {
	case !path.known():
		what = "is not the path of a document"
	case len(content) > MaxDocument:
		what = "must have at most 65536 bytes"
	case !utf8.ValidString(content) || strings.ContainsRune(content, 0):
		what = "must be UTF-8 without the NUL character"
	default:
		return nil
	}
	return ErrDocumentInvalid.Withf("%s: %s", path, what).WithFields(fault.Field{Path: string(path), Message: what})
}

// DocumentRepository keeps the documents of agents with their former versions. Methods join the transaction in ctx.
type DocumentRepository interface {
	// LockDocuments keeps others who call it for the same agent waiting until the transaction in ctx ends.
	LockDocuments(ctx context.Context, sc account.Scope, agent id.Agent) error
	// Document returns the newest version of a document, which may be Removed; false when it was never written.
	Document(ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath) (Document, bool, error)
	// Documents returns the documents that were the newest at the time, or are now for the zero time, in order of their paths; those that
	// are Removed are left out. The Content of rules is left out unless whole is set.
	Documents(ctx context.Context, sc account.Scope, agent id.Agent, at time.Time, whole bool) ([]Document, error)
	// AddDocument stores d as the newest version of its document. It forgets the versions before the MaxDocumentVersions newest, and those
	// of rules whose removal MaxRemovedRules others have followed. The caller holds LockDocuments.
	AddDocument(ctx context.Context, sc account.Scope, agent id.Agent, d Document) error
	// DocumentVersions lists the versions of a document, newest first, without their Content.
	DocumentVersions(ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, req page.Request) (page.Page[Document], error)
	// DocumentVersion returns one version of a document; ErrDocumentNotFound when it is not kept.
	DocumentVersion(ctx context.Context, sc account.Scope, agent id.Agent, path DocumentPath, version int) (Document, error)
	// DeleteDocuments removes every version of an agent's documents.
	DeleteDocuments(ctx context.Context, sc account.Scope, agent id.Agent) error
}
