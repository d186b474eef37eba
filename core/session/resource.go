package session

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// ResourceType tells the kinds of Resource apart, as the Managed Agents API spells them.
type ResourceType string

// The types of resources.
const (
	ResourceFile        ResourceType = "file"
	ResourceRepository  ResourceType = "github_repository"
	ResourceMemoryStore ResourceType = "memory_store"
)

// Where resources are mounted when their Mount does not say, and where a session's sandbox keeps what it made.
const (
	UploadsDir   = "/mnt/session/uploads" // one file each: UploadsDir/<file id>
	OutputsDir   = "/mnt/session/outputs"
	WorkspaceDir = "/workspace" // repositories: WorkspaceDir/<name>
	MemoryDir    = "/mnt/memory"
	SkillsDir    = "/mnt/skills"
)

// What the server keeps in a sandbox for itself lies in the home directory, out of the way. Nothing can be mounted there.
const (
	StateDir    = runtime.HomeDir + "/.bureau"
	PackagesDir = runtime.HomeDir + "/.packages"
)

// Resource is something that a session's tools find mounted in their sandbox.
type Resource struct {
	ID    id.Resource
	Type  ResourceType
	Mount string // an absolute path in the sandbox

	File id.File // ResourceFile

	// URL, Checkout and SealedToken belong to ResourceRepository.
	URL         string
	Checkout    *Checkout // nil: the default branch
	SealedToken []byte    // by ports/keeper; nil: none

	// Store, ReadOnly and Instructions belong to ResourceMemoryStore.
	Store        id.MemoryStore
	ReadOnly     bool
	Instructions string
	// Name and Description are those of the store when it was attached.
	Name        string
	Description string

	CreatedAt time.Time
	UpdatedAt time.Time
}

// Checkout says what of a repository is checked out: a branch or a commit, never both.
type Checkout struct {
	Branch string
	Commit string
}

// Budget bounds what a session's model calls may cost at list prices.
type Budget struct {
	MaxListCost money.Amount // in USD, positive
	// Cents is set when the client speaks of it in cents; faces answer alike.
	Cents bool
}
