// Package tool is the port to what an agent can do beside talking.
package tool

import (
	"context"
	"encoding/json"

	"github.com/bureau-agents/bureau/ports/fault"
)

// MaxResultBytes is how much of a result reaches the model; callers cut longer ones with a note.
const MaxResultBytes = 1 << 20

// ErrUnavailable is returned by tools whose process is starting, stopped or broken.
var ErrUnavailable = fault.New(fault.Unavailable, "tool_unavailable", "the tool is not available at the moment")

// Spec describes a tool to a model and to a policy.
type Spec struct {
	Name        string          // [A-Za-z0-9_-]{1,64}
	Description string          // for the model: what it does and when to use it
	InputSchema json.RawMessage // JSON Schema of an object
	Idempotent  bool            // calling it twice with the same Key is the same as once; decides what happens after a crash
	Needs       Needs           // what it reaches; declared by its author, enforced by the host
}

// Needs is what a tool declares that it reaches. The zero value is nothing.
type Needs struct {
	Domains []string // host names, "*.example.com" for subdomains, "*" for any public host
	Secrets []string // names of secrets that it is given
}

// Call is one use of a tool.
type Call struct {
	Key       string            // unique per use; repeated when the same use is tried again
	Input     json.RawMessage   // checked against InputSchema by the caller
	TenantID  string            // TypeIDs, for tools that keep state or talk back
	AgentID   string            //
	SessionID string            // "" outside a session
	Secrets   map[string]string // the values of Needs.Secrets that are there
}

// Result is what a tool answers. A failure that the model should see and may mend is a Result with IsError; a broken tool is
// an error.
type Result struct {
	Text    string
	Media   []Media // shown to the model after Text
	IsError bool
}

// MaxMediaBytes bounds the Data of one Media; callers leave longer ones out, with a note.
const MaxMediaBytes = 5 << 20

// Media is an image or a document that a tool answers with.
type Media struct {
	MediaType string // image/png, image/jpeg, image/gif, image/webp or application/pdf; callers leave others out, with a note
	Data      []byte
	Title     string // of a document; "": none
}

// Tool can be called. Implementations are safe for concurrent use.
type Tool interface {
	// Spec returns the description; it is constant.
	Spec() Spec
	// Call does it. ctx carries the deadline; a tool that overruns it is abandoned.
	Call(ctx context.Context, call Call) (Result, error)
}
