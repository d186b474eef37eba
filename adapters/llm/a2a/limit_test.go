package a2a

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/ports/llm"
)

// babbler is an agent whose answer has no end: after the first event of its task it sends each beat what next returns, "" nothing,
// until that is over.
type babbler struct {
	*httptest.Server
	next     func(n int) string
	canceled chan string
}

const over = "over"

func newBabbler(t *testing.T, next func(n int) string) *babbler {
	t.Helper()
	b := &babbler{next: next, canceled: make(chan string, 8)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// ServeHTTP implements http.Handler.
func (b *babbler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var rpc struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			ID string `json:"id"`
		} `json:"params"`
	}
	if err := json.NewDecoder(r.Body).Decode(&rpc); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if rpc.Method == "CancelTask" {
		b.canceled <- rpc.Params.ID
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":{"id":%q,"contextId":"c","status":{"state":"TASK_STATE_CANCELED"}}}`, rpc.ID, rpc.Params.ID)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(text string) error {
		if _, err := fmt.Fprint(w, text); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	event := func(result string) string {
		return fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}\n\n", rpc.ID, result)
	}
	err := send(event(`{"task":{"id":"t1","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}`))
	beat := time.NewTicker(2 * time.Millisecond)
	defer beat.Stop()
	for n := 0; err == nil; n++ {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
		}
		switch text := b.next(n); {
		case text == over:
			return
		case strings.HasPrefix(text, "{"):
			err = send(event(text))
		case text != "":
			err = send(text)
		}
	}
}

func (b *babbler) provider(t *testing.T, c Config) *Provider {
	t.Helper()
	c.Card = fmt.Appendf(nil,
		`{"name":"x","capabilities":{"streaming":true},"supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}`, b.URL)
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAnswerWithoutEnd: however an agent goes on without an end, its answer ends, says why, and the agent is told.
func TestAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		next   func(n int) string
		config Config
		want   string
	}{
		"it talks on": {func(n int) string {
			return fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"c","append":%t,"artifact":{"artifactId":"a","parts":[{"text":"and "}]}}}`, n > 0)
		}, Config{Limit: 80 * time.Millisecond}, "did not end its answer within 80ms"},
		"it says that it lives": {func(int) string { return ": alive\n\n" }, Config{Limit: 80 * time.Millisecond}, "did not end its answer within 80ms"},
		"it works on": {
			func(int) string {
				return `{"statusUpdate":{"taskId":"t1","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}`
			},
			Config{Limit: 80 * time.Millisecond, IdleTimeout: time.Minute}, "did not end its answer within 80ms",
		},
		"it is silent": {func(int) string { return "" }, Config{Limit: time.Minute, IdleTimeout: 60 * time.Millisecond}, "was silent for more than 60ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBabbler(t, tc.next)
			check := func(err error) {
				t.Helper()
				if !errors.Is(err, llm.ErrTimeout) || !strings.Contains(fmt.Sprint(err), tc.want) {
					t.Errorf("%v, want %s", err, tc.want)
				}
				select {
				case task := <-b.canceled:
					if task != "t1" {
						t.Errorf("task %q was cancelled", task)
					}
				case <-t.Context().Done():
					t.Error("the agent was not told")
				}
			}
			p := b.provider(t, tc.config)
			_, _, err := ask(t.Context(), p, "s", "go")
			check(err)
			_, err = p.Ask(t.Context(), Conversation{}, "go")
			check(err)
		})
	}
}

// TestEndBeforeLimit: an agent that works for a while is not hurried.
func TestEndBeforeLimit(t *testing.T) {
	t.Parallel()
	b := newBabbler(t, func(n int) string {
		return map[int]string{
			2: `{"artifactUpdate":{"taskId":"t1","contextId":"c","artifact":{"artifactId":"a","parts":[{"text":"done"}]}}}`,
			4: `{"statusUpdate":{"taskId":"t1","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"}}}`,
			5: over,
		}[n]
	})
	r, err := b.provider(t, Config{Limit: time.Minute}).Ask(t.Context(), Conversation{}, "go")
	if err != nil || r.Text != "done" || len(b.canceled) != 0 {
		t.Errorf("%+v, %v, %d cancelled", r, err, len(b.canceled))
	}
}

// TestRefusedCredential says plainly what the agent has refused.
func TestRefusedCredential(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config Config
		status int
		want   string
	}{
		"shown":    {Config{Token: "s3cret"}, http.StatusUnauthorized, "refused the credential that it was called with (status 401)"},
		"too weak": {Config{Header: http.Header{"X-Key": {"s3cret"}}}, http.StatusForbidden, "refused the credential that it was called with (status 403)"},
		"none":     {Config{}, http.StatusUnauthorized, "has none to be called with (status 401)"},
		"why none": {Config{Lack: "it has expired"}, http.StatusForbidden, "has none to be called with: it has expired (status 403)"},
		"withheld": {Config{Token: "s3cret", Origin: "https://elsewhere:443"}, http.StatusUnauthorized, "origin of its card only (status 401)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &babbler{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, "who is s3cret?", tc.status)
			}))}
			t.Cleanup(b.Close)
			p := b.provider(t, tc.config)
			_, _, err := ask(t.Context(), p, "", "x")
			_, tool := p.Ask(t.Context(), Conversation{}, "x")
			for _, err := range []error{err, tool} {
				if !errors.Is(err, llm.ErrCredentials) || !strings.Contains(refusalText(err), tc.want) || strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%v, want %s", err, tc.want)
				}
			}
		})
	}
}

// TestManyTextFiles: what files say fills no more of an answer than its share, and is said once however often the files come; all are
// named.
func TestManyTextFiles(t *testing.T) {
	t.Parallel()
	const n = 20
	artifact := func(i int) string {
		content := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('a'+i%26)), maxFileText)))
		return fmt.Sprintf(`{"artifactId":"a%d","parts":[{"raw":%q,"filename":"f%d.txt","mediaType":"text/plain"}]}`, i, content, i)
	}
	b := newBabbler(t, func(i int) string {
		switch {
		case i < 2*n: // each comes twice
			return fmt.Sprintf(`{"artifactUpdate":{"taskId":"t1","contextId":"c","artifact":%s}}`, artifact(i/2))
		case i == 2*n:
			all := make([]string, n)
			for i := range all {
				all[i] = artifact(i)
			}
			return fmt.Sprintf(`{"task":{"id":"t1","contextId":"c","status":{"state":"TASK_STATE_COMPLETED"},"artifacts":[%s]}}`, strings.Join(all, ","))
		}
		return over
	})
	p := b.provider(t, Config{})
	reply, err := p.Ask(t.Context(), Conversation{}, "go")
	if err != nil {
		t.Fatal(err)
	}
	_, resp, err := ask(t.Context(), p, "s", "go")
	if err != nil || len(b.canceled) != 0 {
		t.Fatalf("%v, %d cancelled", err, len(b.canceled))
	}
	for _, text := range []string{reply.Text, resp.Blocks[0].Text} {
		if len(text) > maxFileTexts+n*100 || strings.Contains(text, "[cut") {
			t.Errorf("%d bytes, ending with %q", len(text), text[len(text)-100:])
		}
		for i := range n {
			if strings.Count(text, fmt.Sprintf(", f%d.txt, text/plain]", i)) != 1 {
				t.Errorf("f%d.txt is not named once", i)
			}
		}
		if strings.Count(text, "cccc") == 0 || strings.Count(text, "tttt") != 0 {
			t.Error("other files than the first say something")
		}
	}
	if len(reply.Files) != maxFiles {
		t.Errorf("%d files are kept", len(reply.Files))
	}
}

// TestSpokenAgain: a newer whole of an artifact adds what it has more, files included, and says all anew when it is another.
func TestSpokenAgain(t *testing.T) {
	t.Parallel()
	file := func(content string) *vendor.Part {
		p := vendor.NewRawPart([]byte(content))
		p.MediaType = "text/csv"
		return p
	}
	a := newAnswer()
	for i, step := range []struct {
		parts    []*vendor.Part
		appended bool
		want     string
	}{
		{[]*vendor.Part{vendor.NewTextPart("one"), file("1,2")}, false, "one\n[file of 3 bytes, text/csv]\n1,2"},
		{[]*vendor.Part{vendor.NewTextPart("one"), file("1,2")}, false, ""},
		{[]*vendor.Part{file("3,4")}, true, "[file of 3 bytes, text/csv]\n3,4"},
		{[]*vendor.Part{vendor.NewTextPart("one"), file("7,8")}, false, "\n\none\n[file of 3 bytes, text/csv]\n7,8"},
		{[]*vendor.Part{vendor.NewTextPart("one"), file("7,8"), vendor.NewTextPart("two"), file("9")}, false, "two\n[file of 1 bytes, text/csv]\n9"},
	} {
		if got := a.artifact(&vendor.Artifact{ID: "a", Parts: step.parts}, step.appended); got != step.want {
			t.Errorf("%d: %q, want %q", i, got, step.want)
		}
	}
	if a.room != maxFileTexts-10 {
		t.Errorf("there is room for %d", a.room)
	}
}
