package a2a

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

func (f *face) registerRPC() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "callAgent", Method: http.MethodPost, Path: "/{agent}", Summary: "Call an agent by JSON-RPC", Permission: account.Chat,
		Upload: contentJSON, MaxBody: maxBody, Fail: failRPC, FailAs: reflect.TypeFor[rpcFailure](), Hidden: true,
	}, func(ctx context.Context, in *struct{ AgentInput }) (httpx.Stream, error) {
		of, err := f.find(ctx, in.AgentInput)
		if err != nil {
			return nil, err
		}
		body, err := readBody(ctx)
		if fault.KindOf(err) == fault.Invalid { // the protocol has an answer for that
			return answerRPC(body, a2a.ErrParseError, err), nil
		}
		if err != nil {
			return nil, err
		}
		if !bytes.HasPrefix(bytes.TrimLeft(body, blanks), []byte("{")) {
			return answerRPC(body, a2a.ErrInvalidRequest, a2a.NewError(a2a.ErrInvalidRequest, "a call is a JSON object; there are no batches")), nil
		}
		var said struct {
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		_ = json.Unmarshal(body, &said) // what is of a wrong type is for the SDK to refuse
		if said.Params == nil {
			body = withParams(body)
		}
		version, err := declared(httpx.Request(ctx))
		if err != nil {
			return answerRPC(body, a2a.ErrVersionNotSupported, err), nil
		}
		to, legacy := f.rpc, version == version03 || version == "" && strings.Contains(said.Method, "/")
		if legacy {
			to = f.legacyRPC
		}
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentJSON)
			if said.Method == methodDeletePush && !legacy {
				e := &emptied{ResponseWriter: w}
				pass(to, w, e, r, call{of, legacy}, "/", body)
				e.finish(true)
				return
			}
			pass(to, w, readable{w}, r, call{of, legacy}, "/", body)
		}, nil
	})
}

// rpcFailure is an answer to a call that came to nothing.
type rpcFailure struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   rpcError        `json:"error"`
}

type rpcError struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Data    []rpcInfo `json:"data,omitempty"`
}

// rpcInfo is a google.rpc.ErrorInfo.
type rpcInfo struct {
	Type     string            `json:"@type"`
	Reason   string            `json:"reason"`
	Domain   string            `json:"domain"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// methodDeletePush is the one call whose answer is empty.
const methodDeletePush = "DeleteTaskPushNotificationConfig"

const typeErrorInfo = "type.googleapis.com/google.rpc.ErrorInfo"

// The codes of JSON-RPC errors that this package answers by itself.
const (
	codeParse           = -32700
	codeInvalidRequest  = -32600
	codeInternal        = -32603
	codeServer          = -32000
	codeVersion         = -32009
	codeUnauthenticated = -31401
	codeForbidden       = -31403
)

// answerRPC answers a call that does not get to the SDK.
func answerRPC(body []byte, kind, err error) httpx.Stream {
	code := codeParse
	switch {
	case errors.Is(kind, a2a.ErrVersionNotSupported):
		code = codeVersion
	case errors.Is(kind, a2a.ErrInvalidRequest):
		code = codeInvalidRequest
	}
	message := err.Error()
	if e, ok := fault.As(err); ok {
		message = e.Message
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		writeRPC(w, http.StatusOK, idOf(body), rpcError{
			Code: code, Message: message, Data: []rpcInfo{{Type: typeErrorInfo, Reason: a2a.ErrorReason(kind), Domain: a2a.ProtocolDomain}},
		})
	}
}

// blanks are what may stand around JSON values.
const blanks = " \t\r\n"

// withParams gives a call without parameters empty ones: the SDK takes it for a text that ends too early.
func withParams(body []byte) []byte {
	rest := bytes.TrimLeft(body, blanks)[1:]
	if bytes.HasPrefix(bytes.TrimLeft(rest, blanks), []byte("}")) {
		return body
	}
	return append([]byte(`{"params":{},`), rest...)
}

// readable is a response to a body that is known to be JSON: what the SDK cannot read in it are parameters that are not valid.
type readable struct{ http.ResponseWriter }

// Write implements http.ResponseWriter.
func (r readable) Write(b []byte) (int, error) {
	const unread, reason = `"error":{"code":-32700,"message":"parse error: `, `"reason":"PARSE_ERROR"`
	before, after, found := bytes.Cut(b, []byte(unread))
	if !found || bytes.Contains(before, []byte(`"result":`)) { // an answer may hold such data
		return r.ResponseWriter.Write(b)
	}
	after = bytes.Replace(after, []byte(reason), []byte(`"reason":"INVALID_PARAMS"`), 1)
	said := slices.Concat(before, []byte(`"error":{"code":-32602,"message":"invalid params: `), after)
	if _, err := r.ResponseWriter.Write(said); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Unwrap lets http.ResponseController find what the connection can do.
func (r readable) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// idOf returns the id of a call, null when it cannot be read.
func idOf(body []byte) json.RawMessage {
	var said struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(body, &said) != nil || len(said.ID) == 0 || said.ID[0] == '{' || said.ID[0] == '[' {
		return json.RawMessage("null")
	}
	return said.ID
}

func writeRPC(w http.ResponseWriter, status int, call json.RawMessage, e rpcError) {
	raw, err := json.Marshal(rpcFailure{JSONRPC: "2.0", ID: call, Error: e})
	if err != nil {
		raw = []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`)
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_, _ = w.Write(append(raw, '\n')) // the caller went away; there is nobody to tell
}

// failRPC answers what is refused before the protocol is asked: without a key, over a limit, to nobody.
func failRPC(w http.ResponseWriter, _ *http.Request, status int, e *fault.Error) {
	code := codeServer
	switch e.Kind {
	case fault.Unauthenticated:
		code = codeUnauthenticated
	case fault.Forbidden:
		code = codeForbidden
	case fault.Internal:
		code = codeInternal
	case fault.Invalid, fault.NotFound, fault.TooLarge:
		code = codeInvalidRequest
	}
	writeRPC(w, status, json.RawMessage("null"), rpcError{
		Code: code, Message: e.Message, Data: []rpcInfo{{Type: typeErrorInfo, Reason: strings.ToUpper(e.Code), Domain: a2a.ProtocolDomain}},
	})
}
