package apptest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/oauth/oauthtest"
)

// requestTimeout bounds a request with its answer, streams included: a test fails rather than hangs.
const requestTimeout = 2 * time.Minute

// Client calls the API with one key. Its methods belong into the test's own goroutine, because they may fail the test.
type Client struct {
	tb  testing.TB
	url string
	key string
}

// Key returns the API key that the client sends.
func (c *Client) Key() string { return c.key }

// In returns the client for a subtest.
func (c *Client) In(tb testing.TB) *Client { return &Client{tb: tb, url: c.url, key: c.key} }

// Answer is a response with its body read.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and returns its answer, whatever the status. body is nothing when nil, sent as it is when a string, []byte or
// json.RawMessage, and otherwise written as JSON. headers are "Name: value" lines.
func (c *Client) Do(method, path string, body any, headers ...string) Answer {
	c.tb.Helper()
	res, cancel := c.send(method, path, body, headers)
	defer cancel()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: b}
}

// Call sends a request, fails the test unless the answer is a success, and decodes the answer into out, unless that is nil.
func (c *Client) Call(method, path string, body, out any, headers ...string) {
	c.tb.Helper()
	a := c.Do(method, path, body, headers...)
	if a.Status < 200 || a.Status > 299 {
		c.tb.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		c.tb.Fatalf("%s %s: %v in %s", method, path, err, a.Body)
	}
}

// Refuse sends a request and fails the test unless it is refused with this status. It returns the error's code and message.
func (c *Client) Refuse(status int, method, path string, body any, headers ...string) (code, message string) {
	c.tb.Helper()
	a := c.Do(method, path, body, headers...)
	if a.Status != status {
		c.tb.Fatalf("%s %s: %d, want %d: %s", method, path, a.Status, status, a.Body)
	}
	code, message, err := a.Error()
	if err != nil {
		c.tb.Fatalf("%s %s: %v: %s", method, path, err, a.Body)
	}
	return code, message
}

// NoCode is the code of errors on a face whose errors have none.
const NoCode = ""

// Error reads the envelope of an error, in the form of whichever face answered. Its own error says what of the envelope is missing.
func (a Answer) Error() (code, message string, err error) {
	var detailed struct{ Detail json.RawMessage }
	if json.Unmarshal(a.Body, &detailed) == nil && detailed.Detail != nil {
		message, err = a.detail(detailed.Detail)
		return NoCode, message, err
	}
	var members map[string]any
	if json.Unmarshal(a.Body, &members) == nil && len(members) == 2 { // of validations: nothing but error and code
		text, _ := members["error"].(string)
		if code, _ := members["code"].(string); code != "" && text != "" {
			return NoCode, text, nil
		}
	}
	var flat struct{ Code, Message, Error string }
	if json.Unmarshal(a.Body, &flat) == nil && flat.Code != "" {
		if flat.Message == "" || flat.Error != flat.Message {
			return "", "", errors.New("the error envelope is not whole")
		}
		return flat.Code, flat.Message, nil
	}
	var rpc struct { // google.rpc.Status, of OTLP
		Code    int
		Message string
	}
	if json.Unmarshal(a.Body, &rpc) == nil && rpc.Code > 0 && rpc.Message != "" {
		return NoCode, rpc.Message, nil
	}
	var nested struct { // of the agento face, whose codes say no more than the status does
		Type  *string
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(a.Body, &nested) == nil && nested.Type == nil && nested.Error.Code != "" && nested.Error.Message != "" {
		return NoCode, nested.Error.Message, nil
	}
	var e struct {
		Type  string
		Error struct {
			Type, Message string
			Details       struct {
				ErrorCode string `json:"error_code"`
			}
		}
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(a.Body, &e); err != nil {
		return "", "", errors.New("the answer is not the error envelope")
	}
	switch {
	case e.Type != "error" || e.Error.Type == "" || e.Error.Message == "" || e.Error.Details.ErrorCode == "":
		return "", "", errors.New("the error envelope is not whole")
	case e.RequestID == "" || e.RequestID != a.Header.Get("request-id"):
		return "", "", errors.New("the envelope's request_id is not that of the header")
	}
	return e.Error.Details.ErrorCode, e.Error.Message, nil
}

// detail reads an envelope with a text, or for faulty input with a list of the faults.
func (a Answer) detail(raw json.RawMessage) (message string, err error) {
	if a.Status != http.StatusUnprocessableEntity {
		if json.Unmarshal(raw, &message) != nil || message == "" {
			return "", errors.New("the detail of the error is not a text")
		}
		return message, nil
	}
	var faults []struct {
		Loc       []any
		Msg, Type string
	}
	if json.Unmarshal(raw, &faults) != nil || len(faults) == 0 {
		return "", errors.New("the detail of the error is not a list of faults")
	}
	for _, f := range faults {
		if len(f.Loc) == 0 || f.Msg == "" || f.Type == "" {
			return "", errors.New("a fault in the detail of the error is not whole")
		}
		message += f.Msg + "\n"
	}
	return message, nil
}

// All reads a list to its end, over all its pages, of 100 unless the query of path says otherwise.
func All[T any](c *Client, path string) []T {
	c.tb.Helper()
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	if !strings.Contains(path, "limit=") {
		path += sep + "limit=100"
		sep = "&"
	}
	items := []T{}
	for cursor := ""; ; {
		var page struct {
			Data     []T
			NextPage *string `json:"next_page"`
		}
		c.Call("GET", path+sep+"cursor="+cursor, nil, &page)
		items = append(items, page.Data...)
		if page.NextPage == nil {
			return items
		}
		cursor = *page.NextPage
	}
}

func (c *Client) send(method, path string, body any, headers []string) (*http.Response, context.CancelFunc) {
	c.tb.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	case json.RawMessage:
		reader = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			c.tb.Fatalf("%s %s: %v", method, path, err)
		}
		reader = bytes.NewReader(raw)
	}
	ctx, cancel := context.WithTimeout(c.tb.Context(), requestTimeout)
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, reader)
	if err != nil {
		cancel()
		c.tb.Fatal(err)
	}
	if c.key != "" {
		req.Header.Set("X-Api-Key", c.key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req) // no redirects: the API has none
	if err != nil {
		cancel()
		c.tb.Fatalf("%s %s: %v", method, path, err)
	}
	return res, cancel
}

// Install connects a workspace of an integration, as a person in a browser would, and returns the installation's id.
func (c *Client) Install(integration, workspace string) string {
	c.tb.Helper()
	var start struct {
		RedirectURL string `json:"redirect_url"`
	}
	c.Call("GET", "/v1/integrations/"+integration+"/install", nil, &start)
	back := strings.TrimPrefix(oauthtest.Authorize(c.tb, start.RedirectURL, workspace), c.url)
	var made struct{ ID string }
	(&Client{tb: c.tb, url: c.url}).Call("GET", back, nil, &made)
	return made.ID
}

// Event is a server-sent event.
type Event struct {
	ID   string // where to go on from; "" for one without
	Seq  int64  // its number in the log; 0 for one without
	Type string
	Data json.RawMessage
}

// Events is an open stream.
type Events struct {
	tb     testing.TB
	what   string
	body   io.Closer
	cancel context.CancelFunc
	lines  *bufio.Reader
}

// Stream opens a stream of events and fails the test when that is refused. The stream is closed at the test's end, or by Close.
func (c *Client) Stream(method, path string, body any) *Events {
	c.tb.Helper()
	res, cancel := c.send(method, path, body, []string{"Accept: text/event-stream"})
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		cancel()
		c.tb.Fatalf("%s %s: %d %s: %s", method, path, res.StatusCode, res.Header.Get("Content-Type"), b)
	}
	e := &Events{tb: c.tb, what: method + " " + path, body: res.Body, cancel: cancel, lines: bufio.NewReader(res.Body)}
	c.tb.Cleanup(e.Close)
	return e
}

// Close ends the stream.
func (e *Events) Close() {
	e.cancel()
	_ = e.body.Close()
}

// Next returns the next event; false at the stream's end.
func (e *Events) Next() (Event, bool) {
	e.tb.Helper()
	var ev Event
	var data []string
	for {
		line, err := e.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return Event{}, false
		}
		if err != nil {
			e.tb.Fatalf("%s: the stream broke off: %v", e.what, err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			ev.Type = value
		case "id":
			ev.ID = value
			ev.Seq, _ = strconv.ParseInt(value, 10, 64)
		case "data":
			data = append(data, value)
		case "":
			if line == "\n" && len(data) > 0 {
				ev.Data = json.RawMessage(strings.Join(data, "\n"))
				return ev, true
			}
		}
	}
}

// Until returns the events up to the first that stop accepts, that one included; a stream that ends before fails the test.
func (e *Events) Until(stop func(Event) bool) []Event {
	e.tb.Helper()
	var all []Event
	for {
		ev, ok := e.Next()
		if !ok {
			e.tb.Fatalf("%s: the stream ended early, after %d events", e.what, len(all))
		}
		all = append(all, ev)
		if stop(ev) {
			return all
		}
	}
}

// Rest returns the events up to the stream's end.
func (e *Events) Rest() []Event {
	e.tb.Helper()
	var all []Event
	for {
		ev, ok := e.Next()
		if !ok {
			return all
		}
		all = append(all, ev)
	}
}
