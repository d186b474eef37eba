package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Limits. Those of names, descriptions, paths and contents are those of the Managed Agents API.
const (
	MaxName          = 255 // characters
	MaxDescription   = 1024
	MaxMetadata      = metadata.MaxPairs
	MaxMetadataKey   = metadata.MaxKey
	MaxMetadataValue = metadata.MaxValue
	MaxPath          = 1024 // bytes
	MaxSegments      = 20
	MaxContent       = 102_400 // bytes
	MaxMemories      = 10_000  // in a store
	MaxFullPage      = 20      // memories on a page with their contents
	MaxQuery         = 4000    // characters
	MaxHits          = 100
	DefaultHits      = 10
)

// Store is a collection of memories.
type Store struct {
	ID          id.MemoryStore
	Tenant      id.Tenant
	Agent       id.Agent // whose own it is: offered in all its sessions; zero: nobody's
	Name        string
	Description string
	Metadata    map[string]string
	CreatedAt   time.Time
	UpdatedAt   time.Time  // of the store itself, not of what is in it
	ArchivedAt  *time.Time // nil: not archived
	Memories    int        // how many there are
}

// Memory is a text at a path of a store.
type Memory struct {
	ID        id.Memory
	Store     id.MemoryStore
	Version   id.MemoryVersion // that made it what it is
	Path      string
	Content   string // "" too when a list does not give contents
	Digest    Digest
	Size      int // bytes of Content
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Digest is the SHA-256 of a content.
type Digest [sha256.Size]byte

// DigestOf returns the digest of a content.
func DigestOf(content string) Digest { return sha256.Sum256([]byte(content)) }

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads what String wrote; false for anything else.
func ParseDigest(s string) (Digest, bool) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return d, false
		}
	}
	_, err := hex.Decode(d[:], []byte(s))
	return d, err == nil
}

// Item is an entry of a list of memories: a memory or, when Prefix is not "", a folder that stands for those below it.
type Item struct {
	Memory Memory
	Prefix string // "/notes/"
}

// Operation is what a version did.
type Operation string

// The operations.
const (
	Created  Operation = "created"
	Modified Operation = "modified"
	Deleted  Operation = "deleted"
)

// Actor is who did something: a session's agent, or somebody with an API key; the zero Actor is the server.
type Actor struct {
	Session id.Session
	Key     id.APIKey
}

// ActorOf returns who acts in a scope.
func ActorOf(sc account.Scope) Actor { return Actor{Key: sc.Key} }

// IsZero reports whether nobody is recorded.
func (a Actor) IsZero() bool { return a == Actor{} }

// Version is one change of a memory.
type Version struct {
	ID        id.MemoryVersion
	Memory    id.Memory
	Store     id.MemoryStore
	Operation Operation
	Path      string // "" when redacted
	// Content, Digest and Size are those of the memory after the change; Stated is false when there are none, because the change was
	// the deletion, or because the version was redacted.
	Stated     bool
	Content    string // "" too when a list does not give contents
	Digest     Digest
	Size       int
	By         Actor
	CreatedAt  time.Time
	RedactedAt *time.Time // nil: not redacted
	RedactedBy Actor
}

// Hit is a memory that a search found.
type Hit struct {
	Memory
	Score float64 // cosine similarity with the query of the part of the content that is most like it, in [-1, 1]
}

// ListStores asks for a page of stores, newest first.
type ListStores struct {
	page.Request
	Agent    id.Agent  // zero: of any agent and of none
	Archived bool      // archived ones too
	From, To time.Time // of creation, both included; zero: no bound
}

// ListRequest asks for a page of memories, by path.
type ListRequest struct {
	page.Request
	Store  id.MemoryStore
	Prefix string // "/notes/" or "/notes": what lies below, and the memory /notes itself for the latter; "" is everything
	Depth  int    // how many segments below Prefix are listed, deeper ones as one Item.Prefix; 0 is all
	Full   bool   // with contents
}

// ListVersions asks for a page of versions, newest first.
type ListVersions struct {
	page.Request
	Store     id.MemoryStore
	Memory    id.Memory // zero: of every memory
	Operation Operation // "": any
	By        Actor     // zero: anybody's
	From, To  time.Time // both included; zero: no bound
	Full      bool      // with contents
}

// Vectors are the embeddings of the parts of a content.
type Vectors struct {
	Embedder string // embedding.Info.Name; "": not embedded yet
	Parts    []embedding.Vector
}
