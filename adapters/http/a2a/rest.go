package a2a

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

// restRoutes are the addresses of the binding HTTP+JSON, which 0.3 has below /v1. Those that differ are in their own tables.
var restRoutes = []struct{ id, method, path, summary string }{
	{"sendMessage", http.MethodPost, "/message:send", "Send a message to an agent"},
	{"streamMessage", http.MethodPost, "/message:stream", "Send a message to an agent and follow its task"},
	{"listTasks", http.MethodGet, "/tasks", "List tasks"},
	{"getTask", http.MethodGet, "/tasks/{task}", "Get a task, or follow it with :subscribe"},
	{"actOnTask", http.MethodPost, "/tasks/{task}", "Cancel a task with :cancel, or follow it with :subscribe"},
	{"createPushConfig", http.MethodPost, pushPath, "Have changes of a task posted somewhere"},
	{"listPushConfigs", http.MethodGet, pushPath, "List where changes of a task are posted"},
	{"getPushConfig", http.MethodGet, pushPath + "/{config}", "Get where changes of a task are posted"},
	{"deletePushConfig", http.MethodDelete, pushPath + "/{config}", "Stop posting changes of a task"},
}

const (
	legacyPrefix = "/v1"
	pushPath     = "/tasks/{task}/pushNotificationConfigs"
)

func (f *face) registerREST() {
	for _, r := range restRoutes {
		f.route(r.id, r.method, r.path, r.summary, false)
		f.route("v03"+strings.ToUpper(r.id[:1])+r.id[1:], r.method, legacyPrefix+r.path, r.summary, true)
	}
	f.route("getExtendedCard", http.MethodGet, "/extendedAgentCard", "Get the card that callers with a key see", false)
	f.route("v03GetExtendedCard", http.MethodGet, legacyPrefix+"/card", "Get the card that callers with a key see", true)
}

func (f *face) route(op, method, path, summary string, legacy bool) {
	o := httpx.Op{
		ID: op, Method: method, Path: "/{agent}" + path, Summary: summary, Permission: account.Chat,
		Fail: failREST, FailAs: reflect.TypeFor[statusWire](), Hidden: true,
	}
	posts := method == http.MethodPost
	if posts {
		o.Upload, o.MaxBody = contentJSON, maxBody
	}
	httpx.RegisterStream(f.Face, o, func(ctx context.Context, in *struct{ AgentInput }) (httpx.Stream, error) {
		of, err := f.find(ctx, in.AgentInput)
		if err != nil {
			return nil, err
		}
		r := httpx.Request(ctx)
		if err := spoken(r, legacy); err != nil {
			return nil, err
		}
		var body []byte
		if posts {
			if body, err = readBody(ctx); err != nil && !(len(body) == 0 && strings.Contains(path, "{task}")) { // actions need none
				return nil, err
			}
		}
		to := f.rest
		if legacy {
			to = f.legacyREST
			if path == legacyPrefix+pushPath && posts {
				body = wrapPush(body, r.URL.Query().Get("configId"))
			}
		}
		rest := "/" + strings.SplitN(strings.TrimPrefix(r.URL.Path, Prefix+"/"), "/", 2)[1]
		return func(w http.ResponseWriter, r *http.Request) {
			if method == http.MethodDelete && !legacy {
				e := &emptied{ResponseWriter: w}
				pass(to, w, e, r, call{of, legacy}, rest, body)
				e.finish(false)
				return
			}
			pass(to, w, &late{ResponseWriter: w}, r, call{of, legacy}, rest, body)
		}, nil
	})
}

// errVersion is returned for a request that says it speaks another version than the one whose address it uses.
var errVersion = fault.New(fault.Invalid, "version_not_supported", "this version of A2A is not spoken here")

func spoken(r *http.Request, legacy bool) error {
	v, err := declared(r)
	switch {
	case err != nil:
		return errVersion.Withf("%s", err)
	case v == version03 && !legacy:
		return errVersion.Withf("A2A %s is spoken below %s here", version03, legacyPrefix)
	case v == version10 && legacy:
		return errVersion.Withf("A2A %s is spoken without %s here", version10, legacyPrefix)
	}
	return nil
}

// statusWire is an error of the binding: a google.rpc.Status.
type statusWire struct {
	Error statusError `json:"error"`
}

type statusError struct {
	Code    int       `json:"code"`
	Status  string    `json:"status"`
	Message string    `json:"message"`
	Details []rpcInfo `json:"details"`
}

// statusOf names a kind of error as google.rpc.Code does.
func statusOf(k fault.Kind) string {
	switch k {
	case fault.Invalid, fault.TooLarge:
		return "INVALID_ARGUMENT"
	case fault.Unauthenticated:
		return "UNAUTHENTICATED"
	case fault.Forbidden:
		return "PERMISSION_DENIED"
	case fault.NotFound:
		return "NOT_FOUND"
	case fault.Conflict, fault.PaymentRequired:
		return "FAILED_PRECONDITION"
	case fault.RateLimited:
		return "RESOURCE_EXHAUSTED"
	case fault.Timeout:
		return "DEADLINE_EXCEEDED"
	case fault.Unavailable:
		return "UNAVAILABLE"
	case fault.Unsupported:
		return "UNIMPLEMENTED"
	default:
		return "INTERNAL"
	}
}

func encodeError(status int, e *fault.Error, requestID string) any {
	return statusFor(status, e, requestID)
}

func statusFor(status int, e *fault.Error, requestID string) statusWire {
	name := statusOf(e.Kind)
	if e.Code == errVersion.Code { // a kind of its own to the protocol (1.0, 5.4)
		name = "FAILED_PRECONDITION"
	}
	return statusWire{statusError{
		Code: status, Status: name, Message: e.Message,
		Details: []rpcInfo{{
			Type: typeErrorInfo, Reason: strings.ToUpper(e.Code), Domain: a2a.ProtocolDomain, Metadata: map[string]string{"requestId": requestID},
		}},
	}}
}

func failREST(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	if raw, err := json.Marshal(statusFor(status, e, httpx.RequestID(r.Context()))); err == nil {
		_, _ = w.Write(append(raw, '\n')) // the caller went away; there is nobody to tell
	}
}

// late holds back the headers of a stream until its first event: the SDK opens streams before it knows whether there is one. What turns out
// to be an error is answered with its status.
type late struct {
	http.ResponseWriter

	status int
	buf    bytes.Buffer
	open   bool
}

// WriteHeader implements http.ResponseWriter.
func (l *late) WriteHeader(status int) {
	if l.status = status; !l.waits() {
		l.start()
	}
}

// waits reports whether a stream was begun of which nothing came yet.
func (l *late) waits() bool {
	return !l.open && l.status == http.StatusOK && l.Header().Get("Content-Type") == contentEvents
}

func (l *late) start() {
	if l.open {
		return
	}
	l.open = true
	if l.Header().Get("Content-Type") == contentProblem { // SDKs read errors of another type as nothing
		l.Header().Set("Content-Type", contentJSON)
	}
	l.ResponseWriter.WriteHeader(l.status)
}

// Write implements http.ResponseWriter.
func (l *late) Write(b []byte) (int, error) {
	if l.status == 0 {
		l.status = http.StatusOK
	}
	if !l.waits() {
		l.start()
		return l.ResponseWriter.Write(b)
	}
	l.buf.Write(b)
	event, whole := bytes.CutSuffix(l.buf.Bytes(), []byte("\n\n"))
	if !whole {
		return len(b), nil
	}
	_, data, _ := bytes.Cut(event, []byte("data: "))
	var failed struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &failed) == nil && failed.Error != nil && failed.Error.Code >= http.StatusBadRequest {
		h := l.Header()
		h.Set("Content-Type", contentJSON)
		h.Del("Cache-Control")
		h.Del("X-Accel-Buffering")
		l.status = failed.Error.Code
		l.start()
		_, err := l.ResponseWriter.Write(data)
		return len(b), err
	}
	l.start()
	_, err := l.ResponseWriter.Write(l.buf.Bytes())
	return len(b), err
}

// Unwrap lets http.ResponseController find what the connection can do.
func (l *late) Unwrap() http.ResponseWriter { return l.ResponseWriter }
