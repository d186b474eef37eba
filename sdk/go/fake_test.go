package valar

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	agentID = "0190f5a0-0000-7000-8000-000000000001"
	otherID = "0190f5a0-0000-7000-8000-000000000002"
)

var errBroken = errors.New("connection reset by peer")

// answer is what the fake server answers; err is in place of an answer.
type answer struct {
	status int
	body   string
	header http.Header
	err    error
	hang   bool
}

type request struct {
	method, url string
	header      http.Header
	body        string
	at          time.Time
}

// fake is a server in memory. It gives answers in turn, the last one for ever, or what decide says, and notes what it was asked.
type fake struct {
	mu       sync.Mutex
	answers  []answer
	decide   func(request) answer
	requests []request
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	req := request{r.Method, r.URL.String(), r.Header, "", time.Now()}
	if r.Body != nil {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		req.body = b.String()
	}
	f.mu.Lock()
	f.requests = append(f.requests, req)
	var a answer
	if f.decide != nil {
		a = f.decide(req)
	} else {
		a = f.answers[min(len(f.requests), len(f.answers))-1]
	}
	f.mu.Unlock()
	if a.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func (f *fake) seen() []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]request(nil), f.requests...)
}

func (f *fake) client(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: "http://valar.test/api/", APIKey: "key\n", HTTPClient: &http.Client{Transport: f}}
	for _, c := range change {
		c(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(answers ...answer) *fake { return &fake{answers: answers} }

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

func refusal(status int, detail string, header ...string) answer {
	a := answer{status: status, body: `{"detail":` + quote(detail) + `}`, header: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		a.header.Set(header[i], header[i+1])
	}
	return a
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
