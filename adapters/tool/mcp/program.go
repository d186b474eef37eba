package mcp

import (
	"context"
	"io"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// program talks to a server that runs in the sandbox.
type program struct{ p runtime.Process }

// Connect implements sdk.Transport.
func (t *program) Connect(ctx context.Context) (sdk.Connection, error) {
	return (&sdk.IOTransport{Reader: output{t.p}, Writer: t.p.Stdin(), MaxLineLength: maxEvent}).Connect(ctx)
}

// output is a program's standard output. Closing it ends the program.
type output struct{ p runtime.Process }

var _ io.ReadCloser = output{}

// Read implements io.Reader.
func (o output) Read(b []byte) (int, error) { return o.p.Stdout().Read(b) }

// Close implements io.Closer.
func (o output) Close() error { return o.p.Kill() }
