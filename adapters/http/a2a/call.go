package a2a

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/ports/id"
)

// call is what the handler knows of a request beside what the protocol says.
type call struct {
	agent  id.Agent
	legacy bool // it is of 0.3
}

type callKey struct{}

func callOf(ctx context.Context) call {
	c, _ := ctx.Value(callKey{}).(call)
	return c
}

// maxBody bounds requests: files come within them.
const maxBody = 32 << 20

// The headers of the protocol.
const (
	versionHeader   = "A2A-Version"
	version10       = "1.0"
	version03       = "0.3"
	contentJSON     = "application/json"
	contentEvents   = "text/event-stream"
	contentProblem  = "application/problem+json"
	writeTimeout    = 10 * time.Second // a reader that takes nothing for so long is dropped
	keepAlive       = 15 * time.Second
	keepAliveMarker = ": keep-alive"
)

// AgentInput names an agent. It is exported because inputs embed it.
type AgentInput struct {
	Agent string `path:"agent" doc:"The agent's id, in any spelling."`
}

// find returns the agent that a request is for, or id.NotFound.
func (f *face) find(ctx context.Context, in AgentInput) (id.Agent, error) {
	of, err := id.Parse[id.AgentKind](in.Agent)
	if err != nil {
		return of, err
	}
	_, err = f.deps.Agents.Get(ctx, httpx.Scope(ctx), of)
	return of, err
}

// declared returns the version that a request says it speaks, Major.Minor; "" when it says nothing.
func declared(r *http.Request) (string, error) {
	v := strings.TrimSpace(r.Header.Get(versionHeader))
	if v == "" {
		v = strings.TrimSpace(r.URL.Query().Get(versionHeader))
	}
	switch {
	case v == "":
		return "", nil
	case v == "1" || v == version10 || strings.HasPrefix(v, version10+"."):
		return version10, nil
	case v == version03 || strings.HasPrefix(v, version03+"."):
		return version03, nil
	}
	return "", a2a.NewError(a2a.ErrVersionNotSupported, fmt.Sprintf("this agent speaks A2A %s and %s, not %.20q", version10, version03, v))
}

// readBody reads what a request says, and refuses what is no JSON.
func readBody(ctx context.Context) ([]byte, error) {
	raw, err := io.ReadAll(httpx.Body(ctx))
	if err != nil {
		return nil, err
	}
	return raw, httpx.CheckJSON(raw, false)
}

// pass hands a request to the SDK, as if it had come for path; out is w, or what stands before it.
func pass(to http.Handler, w, out http.ResponseWriter, r *http.Request, c call, path string, body []byte) {
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	r.URL = &url.URL{Path: path, RawQuery: r.URL.RawQuery}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	to.ServeHTTP(&writer{ResponseWriter: out, under: w, conn: http.NewResponseController(w), ctx: r.Context()}, r)
}

// writer is a response as the SDK wants it: with a Flush of its own.
type writer struct {
	http.ResponseWriter

	under http.ResponseWriter
	conn  *http.ResponseController
	ctx   context.Context //nolint:containedctx // of the one request that is answered
}

// Write implements http.ResponseWriter. A stream ends with the key that opened it.
func (w *writer) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte(keepAliveMarker)) && !httpx.StillKnown(w.ctx, w.under) {
		return 0, http.ErrHandlerTimeout
	}
	_ = w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has deadlines: tests' do not
	return w.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.conn.Flush() }

// Unwrap lets http.ResponseController find what the connection can do.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
