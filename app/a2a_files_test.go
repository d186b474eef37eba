package app_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// fileIn returns the only part of an artifact, by its name.
func fileIn(t *testing.T, all []*a2a.Artifact, name string) *a2a.Part {
	t.Helper()
	for _, a := range all {
		if a.Name == name && len(a.Parts) == 1 {
			return a.Parts[0]
		}
	}
	t.Fatalf("there is no %s among %+v", name, all)
	return nil
}

func wantBytes(t *testing.T, p *a2a.Part, want, mediaType string) {
	t.Helper()
	if raw, ok := p.Content.(a2a.Raw); !ok || string(raw) != want || p.MediaType != mediaType || p.Filename == "" {
		t.Errorf("%+v", p)
	}
}

// download reads a file by the address that its task names, with a key.
func download(t *testing.T, address, key string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}

// TestA2AFiles has an agent make files: they come with its task, in every binding, to whose task it is and to nobody else.
func TestA2AFiles(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		b := newBench(t, cfg, nil, nil)
		api := b.s.Admin.In(t)
		var other struct{ Key string }
		api.Call("POST", "/v1/api_keys", m{"name": "another peer", "scopes": []string{"chat"}}, &other)
		for binding := range a2aBindings {
			t.Run(binding, func(t *testing.T) {
				p := newA2APeer(t, b.s, binding, b.s.Admin, b.agent)
				first := p.send(saysText("Use the bash tool to run `cd /mnt/session/outputs; mkdir d; echo one > note.txt; echo 'a,b' > d/t.csv; head -c 300000 /dev/zero > big.bin`"))
				wantState(t, first, a2a.TaskStateCompleted)
				if len(first.Artifacts) != 4 || first.Artifacts[0].Name != "answer" {
					t.Fatalf("%d artifacts", len(first.Artifacts))
				}
				wantBytes(t, fileIn(t, first.Artifacts, "note.txt"), "one\n", "text/plain; charset=utf-8")
				wantBytes(t, fileIn(t, first.Artifacts, "t.csv"), "a,b\n", "text/csv; charset=utf-8")
				big := fileIn(t, first.Artifacts, "big.bin")
				address, ok := big.Content.(a2a.URL)
				if !ok || big.Filename != "big.bin" || big.MediaType != "application/octet-stream" {
					t.Fatalf("%+v", big)
				}
				status, body, header := download(t, string(address), b.s.Admin.Key())
				if status != http.StatusOK || !bytes.Equal(body, make([]byte, 300_000)) || !strings.Contains(header.Get("Content-Disposition"), "big.bin") {
					t.Errorf("%d, %d bytes, %v", status, len(body), header)
				}
				stray := string(address[:strings.LastIndexByte(string(address), '/')+1]) + "file_01h455vb4pex5vsknk084sn02q"
				lost := strings.Replace(string(address), string(first.ID), "turn_01h455vb4pex5vsknk084sn02q", 1)
				for why, tc := range map[string][2]string{
					"another key": {string(address), other.Key}, "no task": {lost, b.s.Admin.Key()}, "no file": {stray, b.s.Admin.Key()},
					"no key": {string(address), ""},
				} {
					want := http.StatusNotFound
					if tc[1] == "" {
						want = http.StatusUnauthorized
					}
					if status, _, _ := download(t, tc[0], tc[1]); status != want {
						t.Errorf("%s: %d", why, status)
					}
				}

				// The next task of the context changes one file and makes another. It has these, and the first has what is left.
				var f followed
				next := saysText("Use the bash tool to run `cd /mnt/session/outputs; echo two >> note.txt; echo new > new.md`")
				next.ContextID = first.ContextID
				for e, err := range p.to.SendStreamingMessage(p.ctx, p.params, &a2a.SendMessageRequest{Message: next}) {
					if err != nil {
						t.Fatal(err)
					}
					f.take(t, e)
				}
				var streamed []*a2a.Artifact
				for _, c := range f.chunks {
					if c.Artifact.ID != "answer" {
						streamed = append(streamed, c.Artifact)
					}
				}
				second := p.get(f.first.ID)
				for _, all := range [][]*a2a.Artifact{streamed, second.Artifacts[1:]} {
					if len(all) != 2 {
						t.Fatalf("%+v", all)
					}
					wantBytes(t, fileIn(t, all, "note.txt"), "one\ntwo\n", "text/plain; charset=utf-8")
					fileIn(t, all, "new.md")
				}
				if f.last.State != a2a.TaskStateCompleted || streamed[0].ID != second.Artifacts[1].ID && streamed[0].ID != second.Artifacts[2].ID {
					t.Errorf("%+v", f)
				}
				if gone := fileIn(t, p.get(first.ID).Artifacts, "note.txt"); !strings.Contains(gone.Text(), "not kept") {
					t.Errorf("a file that was made anew: %+v", gone)
				}
				if third := p.send(in(saysText("Thanks."), &a2a.Task{ContextID: first.ContextID})); len(third.Artifacts) != 1 {
					t.Errorf("a task without files has %+v", third.Artifacts)
				}
			})
		}
		t.Run("another agent's", func(t *testing.T) {
			p := newA2APeer(t, b.s, "1.0 JSON-RPC", b.s.Admin, b.agent)
			task := p.send(saysText("Use the bash tool to run `head -c 300000 /dev/zero > /mnt/session/outputs/big`"))
			address, _ := fileIn(t, task.Artifacts, "big").Content.(a2a.URL)
			moved := strings.Replace(string(address), b.agent, agentWith(t, api), 1)
			if status, _, _ := download(t, moved, b.s.Admin.Key()); status != http.StatusNotFound {
				t.Errorf("%d", status)
			}
			list, err := p.to.ListTasks(p.ctx, p.params, &a2a.ListTasksRequest{ContextID: task.ContextID, IncludeArtifacts: true})
			if err != nil || len(list.Tasks) != 1 || fileIn(t, list.Tasks[0].Artifacts, "big").Content != address {
				t.Errorf("%+v, %v", list, err)
			}
		})
	})
}

// toldPeer takes the notifications that are posted to it, and gives their bodies.
func toldPeer(t *testing.T) (*httptest.Server, <-chan []byte) {
	told := make(chan []byte, 20)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told <- body
	}))
	t.Cleanup(s.Close)
	return s, told
}

// TestA2APushedFiles: who is told by notifications is told of the files, too, before the end or with it.
func TestA2APushedFiles(t *testing.T) {
	t.Parallel()
	receiver, told := toldPeer(t)
	b := newBench(t, apptest.Config{Change: func(c *app.Config) {
		c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(receiver.URL, "http://"))
		c.PublicURL = "https://bureau.example.com"
	}}, nil, nil)
	for _, binding := range []string{"1.0 JSON-RPC", "0.3 JSON-RPC"} {
		p := newA2APeer(t, b.s, binding, b.s.Admin, b.agent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.to.SendMessage(ctx, p.params, &a2a.SendMessageRequest{
			Message: saysText("Use the bash tool to run `cd /mnt/session/outputs; echo one > note.txt; head -c 300000 /dev/zero > big.bin`"),
			Config:  &a2a.SendMessageConfig{ReturnImmediately: true, PushConfig: &a2a.PushConfig{URL: receiver.URL}},
		})
		if err != nil {
			t.Fatal(err)
		}
		type artifacts []struct {
			ArtifactID string
			Parts      []struct {
				Raw, URL string
				File     struct{ Bytes, URI string }
			}
		}
		type task struct {
			Status    struct{ State string }
			Artifacts artifacts
		}
		var made artifacts
		for over := false; !over; {
			var note struct {
				task
				Task         task
				StatusUpdate struct{ Status struct{ State string } }
			}
			select {
			case body := <-told:
				if err := json.Unmarshal(body, &note); err != nil {
					t.Fatalf("%s: %v", body, err)
				}
			case <-ctx.Done():
				t.Fatal("nothing more was told")
			}
			if all := slices.Concat(note.Artifacts, note.Task.Artifacts); len(all) > 0 {
				made = all
			}
			over = note.Status.State == "completed" || note.StatusUpdate.Status.State == "TASK_STATE_COMPLETED"
		}
		if len(made) != 3 || made[0].ArtifactID != "answer" {
			t.Fatalf("%s: %+v", binding, made)
		}
		var bytes, address string
		for _, a := range made[1:] {
			bytes += a.Parts[0].Raw + a.Parts[0].File.Bytes
			address += a.Parts[0].URL + a.Parts[0].File.URI
		}
		if bytes != "b25lCg==" || !strings.HasPrefix(address, "https://bureau.example.com/a2a/"+b.agent+"/tasks/turn_") {
			t.Errorf("%s: %q, %q", binding, bytes, address)
		}
	}
}

// TestA2AFilesOnTheWay has a task make a file and wait: who follows it from there has the file once, and who is told by notifications has it also when
// the task is canceled.
func TestA2AFilesOnTheWay(t *testing.T) {
	t.Parallel()
	receiver, told := toldPeer(t)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(receiver.URL, "http://"))
	}})
	agent := agentWith(t, s.Admin.In(t), m{"tools": []m{
		{"type": "agent_toolset_20260401"},
		{"type": "custom", "name": "look_up", "description": "Looks something up", "input_schema": m{"type": "object"}},
	}})
	p := newA2APeer(t, s, "1.0 JSON-RPC", s.Admin, agent)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begin := func(c *a2a.PushConfig) *a2a.Task {
		t.Helper()
		out, err := p.to.SendMessage(ctx, p.params, &a2a.SendMessageRequest{
			Message: saysText("Use the bash tool to run `echo one > /mnt/session/outputs/note.txt` and then use the look_up tool"),
			Config:  &a2a.SendMessageConfig{PushConfig: c},
		})
		if err != nil {
			t.Fatal(err)
		}
		task := out.(*a2a.Task)
		wantState(t, task, a2a.TaskStateInputRequired)
		wantBytes(t, fileIn(t, task.Artifacts, "note.txt"), "one\n", "text/plain; charset=utf-8")
		return task
	}

	task := begin(nil)
	var f followed
	for e, err := range p.to.SubscribeToTask(ctx, p.params, &a2a.SubscribeToTaskRequest{ID: task.ID}) {
		if err != nil {
			t.Fatal(err)
		}
		if f.take(t, e); len(f.states) == 0 && len(f.chunks) == 0 {
			wantBytes(t, fileIn(t, f.first.Artifacts, "note.txt"), "one\n", "text/plain; charset=utf-8")
			p.begin(in(saysText("seven"), task))
		}
	}
	if f.last.State != a2a.TaskStateCompleted {
		t.Errorf("%+v", f.last)
	}
	for _, c := range f.chunks {
		if c.Artifact.ID != "answer" {
			t.Errorf("%s comes again", c.Artifact.ID)
		}
	}

	task = begin(&a2a.PushConfig{URL: receiver.URL})
	if _, err := p.to.CancelTask(ctx, p.params, &a2a.CancelTaskRequest{ID: task.ID}); err != nil {
		t.Fatal(err)
	}
	made := false
	for over := false; !over; {
		select {
		case body := <-told:
			made = made || strings.Contains(string(body), `"raw":"b25lCg=="`)
			over = strings.Contains(string(body), `"statusUpdate"`) && strings.Contains(string(body), "TASK_STATE_CANCELED")
		case <-ctx.Done():
			t.Fatal("nothing more was told")
		}
	}
	if !made {
		t.Error("the file of a canceled task was not told")
	}
}

// elsewhere is an address at which a server is found that has another one.
func elsewhere(t *testing.T) (address string, is func(url string)) {
	t.Helper()
	var to atomic.Pointer[string]
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", *to.Load(), r.In.Host
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL, func(url string) {
		host := strings.TrimPrefix(url, "http://")
		to.Store(&host)
	}
}

// TestRemoteFiles says files to agents elsewhere, which are agents of the same server by another address: one whose card takes them, and one that
// reads text only.
func TestRemoteFiles(t *testing.T) {
	t.Parallel()
	address, is := elsewhere(t)
	reader := newPainter(t)
	b := newBench(t, apptest.Config{Change: func(c *app.Config) {
		c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(address, "http://"), strings.TrimPrefix(reader.URL, "http://"))
	}}, nil, nil)
	is(b.s.URL)
	api := b.s.Admin.In(t)
	register := func(name, url, key string) (session string) {
		t.Helper()
		var r remoteAnswer
		api.Call("POST", "/v1/remote_agents", m{"url": url, "name": name, "require_valid": false, "credential": m{"type": "bearer", "secret": key}}, &r)
		var made struct{ ID string }
		api.Call("POST", "/v1/sessions", m{"agent": r.AgentID}, &made)
		return made.ID
	}
	picture := m{"type": "image", "source": m{"type": "base64", "media_type": "image/png", "data": onePixel}}
	say := func(session string, content any) turn {
		t.Helper()
		return logged(t, api.Stream("POST", "/v1/sessions/"+session+"/messages", m{"content": content}).Rest())
	}

	var seen atomic.Bool
	b.s.Models.Reply(func(r apptest.ModelRequest) []string {
		seen.Store(strings.Contains(r.Body, onePixel) && strings.Contains(r.Body, base64.StdEncoding.EncodeToString([]byte("%PDF-1.4 letter"))))
		return []string{"A pixel."}
	})
	letter := m{"type": "document", "title": "letter.pdf", "source": m{
		"type": "base64", "media_type": "application/pdf", "data": base64.StdEncoding.EncodeToString([]byte("%PDF-1.4 letter")),
	}}
	looker := register("looker", address+"/a2a/"+scripted(t, b.s, api, nil)+"/.well-known/agent-card.json", b.s.Admin.Key())
	if got := say(looker, []m{{"type": "text", "text": "What is this?"}, picture, letter}).last(t, "agent.message"); got.text() != "A pixel." || !seen.Load() {
		t.Errorf("%q; the model has seen the files: %t", got.text(), seen.Load())
	}

	maker := register("maker", address+"/a2a/"+b.agent+"/.well-known/agent-card.json", b.s.Admin.Key())
	made := say(maker, "Use the bash tool to run `echo it is made > /mnt/session/outputs/note.txt`").last(t, "agent.message").text()
	if !strings.Contains(made, "[file of 11 bytes, note.txt, text/plain") || !strings.Contains(made, "it is made") {
		t.Errorf("what was made is told as %q", made)
	}

	blind := register("blind", reader.URL, painterToken)
	refused := say(blind, []m{{"type": "text", "text": "Like this"}, picture}).last(t, "session.error")
	if !strings.Contains(refused.Error.Message, "does not take files of the type image/png; by its card it takes text/plain") {
		t.Errorf("%+v", refused.Error)
	}
	if got := say(blind, "the barn").last(t, "agent.message").text(); !strings.Contains(got, "which was not sent") || !strings.Contains(got, "the barn?") {
		t.Errorf("after a refusal: %q", got)
	}
}

// onePixel is a picture.
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
