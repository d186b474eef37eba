package skill

import (
	"context"
	"io"

	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Binary is a program that may be run.
type Binary struct {
	Name   string // for logs and errors
	Digest string // lower-case hexadecimal SHA-256; the launcher refuses other bytes, each time it starts the program
	Size   int64  // bytes; 0 is unknown
	// Open reads the program from where it is kept. The launcher calls it when it has no copy.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Launcher runs plugins. Implementations are safe for concurrent use.
type Launcher interface {
	// Describe starts the binary, asks it what it is, and stops it. Whatever is wrong with the binary is ErrRejected.
	Describe(ctx context.Context, b Binary) (Description, error)
	// Tool returns the skill of a binary. Nothing is started before the first call; calls return tool.ErrUnavailable while the
	// process cannot be had. The tool's Spec is that of the manifest.
	Tool(b Binary, m Manifest) tool.Tool
	// Rule returns the rule of a binary, likewise; calls return rule.ErrUnavailable.
	Rule(b Binary, m Manifest) rule.Evaluator
	// Forget stops the processes of a digest and drops the launcher's copy of it.
	Forget(digest string)
}

// Signer speaks for the operator. Implementations are safe for concurrent use.
type Signer interface {
	// Sign signs with the operator's current key; it makes one when there is none yet.
	Sign(ctx context.Context, message []byte) (Signature, error)
	// Verify returns ErrModified when sig is not the operator's signature of message.
	Verify(ctx context.Context, message []byte, sig Signature) error
	// Generate makes a new key, which signs from then on. What older keys signed stays valid.
	Generate(ctx context.Context) (SigningKey, error)
}

// Shipped is the source of the plugins that come with the server. Implementations are safe for concurrent use.
type Shipped interface {
	// List names them, at once and without building anything.
	List(ctx context.Context) ([]ShippedPlugin, error)
	// Open returns the binary of one of them; it may take minutes when it has to be built first.
	Open(ctx context.Context, name string) (ShippedBinary, error)
}

// ShippedPlugin is a plugin that comes with the server.
type ShippedPlugin struct {
	Name        string
	Kind        Kind
	Description string // one sentence, shown until the binary itself can be asked
	Source      string // identifies the source or the release that the binary is made of; changes whenever the binary should
}

// ShippedBinary is a binary of a shipped plugin.
type ShippedBinary struct {
	Digest string // lower-case hexadecimal SHA-256
	Open   func() (io.ReadCloser, error)
}
