package a2a

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// emptied holds back an answer that may be empty: the SDK answers a deletion by nothing, which other libraries read as a broken answer. A2A 1.0
// defines it as google.protobuf.Empty, whose JSON is an object.
type emptied struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (e *emptied) WriteHeader(status int) { e.status = status }

// Write implements http.ResponseWriter.
func (e *emptied) Write(b []byte) (int, error) { return e.body.Write(b) }

// Unwrap lets http.ResponseController find what the connection can do.
func (e *emptied) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// finish sends the answer; rpc says that it is one of JSON-RPC, whose result is what may be missing.
func (e *emptied) finish(rpc bool) {
	body, status := e.body.Bytes(), e.status
	if status == 0 {
		status = http.StatusOK
	}
	switch {
	case rpc:
		body = withResult(body)
	case len(body) == 0 && status < http.StatusMultipleChoices:
		body, status = []byte("{}"), http.StatusOK
	}
	e.Header().Set("Content-Type", contentJSON)
	e.ResponseWriter.WriteHeader(status)
	_, _ = e.ResponseWriter.Write(body) // the caller went away; there is nobody to tell
}

// withResult adds an empty result to an answer that has neither a result nor an error.
func withResult(body []byte) []byte {
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil || answer["result"] != nil || answer["error"] != nil {
		return body
	}
	answer["result"] = json.RawMessage("{}")
	out, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return out
}
