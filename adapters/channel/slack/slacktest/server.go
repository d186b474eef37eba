// Package slacktest is a Slack of one's own: the methods and the Socket Mode that bots need, with apps, channels and people that tests make, the
// checks and the errors that Slack documents, and the rule that an envelope which is not acknowledged in time is delivered again.
package slacktest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// AckTime is how long Slack waits for an acknowledgement; Server.AckTime is shorter where a test wants it to be.
const AckTime = 3 * time.Second

// Server is Slack. It is safe for concurrent use.
type Server struct {
	URL string

	mu       sync.Mutex
	ackTime  time.Duration
	changed  chan struct{} // closed when anything changes
	apps     []*app
	channels map[string]string // to their kinds: im, channel
	sent     []Sent
	failing  []Failure
	faults   []string
	next     int
	tickets  map[string]*app
	closing  chan struct{}
	conns    sync.WaitGroup
}

// App is one that a test has made.
type App struct {
	Team, User, Bot    string
	BotToken, AppToken string
}

type app struct {
	App
	revoked bool
	links   []*link
	waiting []*event // not acknowledged, in the order of their coming
}

// event is something that happened, until it is acknowledged.
type event struct {
	id      string // event_id
	payload map[string]any
	tries   int
	over    *link // the connection that it was delivered over last
	due     time.Time
}

// link is a connection.
type link struct {
	conn *websocket.Conn
	ids  map[string]*event // by envelope_id
	old  bool              // Slack has asked to replace it
	send sync.Mutex
}

// Sent is what a bot has written.
type Sent struct {
	Team, Channel, Thread string
	Text                  string
}

// Failure is an answer that a method gives instead of its own.
type Failure struct {
	Method     string // "chat.postMessage"
	Status     int    // 0: 200
	Error      string
	RetryAfter int
}

// New starts a server that ends with the test.
func New(tb testing.TB) *Server {
	s := &Server{
		ackTime: AckTime, changed: make(chan struct{}), channels: map[string]string{}, tickets: map[string]*app{}, closing: make(chan struct{}), next: 100,
	}
	srv := httptest.NewServer(s)
	tb.Cleanup(func() {
		close(s.closing)
		s.mu.Lock()
		for _, a := range s.apps {
			for _, l := range a.links {
				_ = l.conn.CloseNow()
			}
		}
		s.mu.Unlock()
		s.conns.Wait()
		srv.CloseClientConnections()
		srv.Close()
	})
	s.URL = srv.URL
	return s
}

// SetAckTime changes how long the server waits for acknowledgements.
func (s *Server) SetAckTime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ackTime = d
}

func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) id(prefix string) string {
	s.next++
	return prefix + strings.ToUpper(strconv.FormatInt(int64(s.next)*46656, 36))
}

// AddApp makes an app that is installed in a workspace of its own.
func (s *Server) AddApp() App {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &app{App: App{Team: s.id("T"), User: s.id("U"), Bot: s.id("B")}}
	a.BotToken, a.AppToken = "xoxb-1-"+a.User, "xapp-1-"+a.User
	s.apps = append(s.apps, a)
	return a.App
}

// AddChannel makes a channel: "im" or "channel".
func (s *Server) AddChannel(kind string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := "C"
	if kind == "im" {
		prefix = "D"
	}
	c := s.id(prefix)
	s.channels[c] = kind
	return c
}

func (s *Server) app(of App) *app {
	for _, a := range s.apps {
		if a.User == of.User {
			return a
		}
	}
	panic("slacktest: no such app")
}

// Post delivers an event to an app: a text in a channel, as message.im or app_mention. more is set in the event, over what stands there. It
// returns the message's time stamp.
func (s *Server) Post(to App, channel, text string, more map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app(to)
	s.next++
	ts := fmt.Sprintf("%d.%06d", time.Now().Unix(), s.next)
	e := map[string]any{"type": "message", "channel_type": "im", "channel": channel, "user": "U0ADA", "text": text, "ts": ts, "event_ts": ts, "team": a.Team}
	if s.channels[channel] != "im" {
		e["type"] = "app_mention"
		delete(e, "channel_type")
	}
	for k, v := range more {
		e[k] = v
	}
	id := s.id("Ev")
	a.waiting = append(a.waiting, &event{id: id, payload: map[string]any{
		"token": "verification", "team_id": a.Team, "api_app_id": "A0APP", "event": e, "type": "event_callback", "event_id": id,
		"event_time": time.Now().Unix(), "is_ext_shared_channel": false, "event_context": "1-" + id,
		"authorizations": []map[string]any{{"team_id": a.Team, "user_id": a.User, "is_bot": true, "is_enterprise_install": false}},
	}})
	s.touch()
	return ts
}

// Refresh asks for the app's connections to be replaced, as Slack does every few hours, for a reason: "warning", "refresh_requested",
// "link_disabled".
func (s *Server) Refresh(of App, reason string) {
	s.mu.Lock()
	links := slices.Clone(s.app(of).links)
	for _, l := range links {
		l.old = true
	}
	s.mu.Unlock()
	for _, l := range links {
		l.write(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink"}})
	}
}

// Cut ends the app's connections without a word.
func (s *Server) Cut(of App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.app(of).links {
		_ = l.conn.CloseNow()
	}
}

// Revoke makes an app's tokens worthless, and ends its connections.
func (s *Server) Revoke(of App) {
	s.mu.Lock()
	s.app(of).revoked = true
	s.mu.Unlock()
	s.Cut(of)
}

// Fail has the next calls of their methods fail, one each.
func (s *Server) Fail(f ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = append(s.failing, f...)
}

// Pending is how many events of an app are not acknowledged.
func (s *Server) Pending(of App) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.app(of).waiting)
}

// Links is how many connections an app has.
func (s *Server) Links(of App) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.app(of).links)
}

// Sent returns what bots have written.
func (s *Server) Sent() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// Faults returns what clients have done that Slack does not expect.
func (s *Server) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

func (s *Server) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// Wait returns once done is true; it is asked whenever something has changed. The test fails when that takes ten seconds.
func (s *Server) Wait(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	late := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if done() {
			return
		}
		select {
		case <-changed:
		case <-late:
			tb.Fatalf("slacktest: %s: that did not happen", what)
		}
	}
}

// ServeHTTP is /api/<method> and the sockets.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/link" {
		s.serveLink(w, r)
		return
	}
	method, ok := strings.CutPrefix(r.URL.Path, "/api/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	p, err := parameters(r)
	if err != nil {
		refuse(w, "invalid_arguments")
		return
	}
	token := p["token"]
	if t, has := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); has {
		token = t
	}
	s.mu.Lock()
	var a *app
	for _, one := range s.apps {
		if token != "" && (one.BotToken == token || one.AppToken == token) {
			a = one
		}
	}
	var failure *Failure
	if i := slices.IndexFunc(s.failing, func(f Failure) bool { return f.Method == method }); i >= 0 {
		f := s.failing[i]
		failure = &f
		s.failing = slices.Delete(s.failing, i, i+1)
		s.touch()
	}
	revoked := a != nil && a.revoked
	s.mu.Unlock()
	switch {
	case failure != nil && failure.Status != 0:
		if failure.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(failure.RetryAfter))
		}
		http.Error(w, "<html>no</html>", failure.Status)
	case failure != nil:
		refuse(w, failure.Error)
	case token == "":
		refuse(w, "not_authed")
	case a == nil:
		refuse(w, "invalid_auth")
	case revoked:
		refuse(w, "token_revoked")
	case (method == "apps.connections.open") != (token == a.AppToken):
		refuse(w, "not_allowed_token_type")
	default:
		s.call(w, r, a, method, p)
	}
}

func (s *Server) call(w http.ResponseWriter, r *http.Request, a *app, method string, p map[string]string) {
	switch method {
	case "auth.test":
		answer(w, map[string]any{"ok": true, "url": s.URL, "team": "Team", "user": "bureau", "team_id": a.Team, "user_id": a.User, "bot_id": a.Bot})
	case "apps.connections.open":
		if r.Method != http.MethodPost {
			refuse(w, "invalid_post_type")
			return
		}
		s.mu.Lock()
		ticket := s.id("ticket")
		s.tickets[ticket] = a
		s.mu.Unlock()
		answer(w, map[string]any{"ok": true, "url": "ws" + strings.TrimPrefix(s.URL, "http") + "/link?ticket=" + ticket + "&app_id=A0APP"})
	case "chat.postMessage":
		s.post(w, a, p)
	default:
		refuse(w, "unknown_method")
	}
}

func (s *Server) post(w http.ResponseWriter, a *app, p map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := p["text"]
	switch {
	case s.channels[p["channel"]] == "":
		refuse(w, "channel_not_found")
		return
	case strings.TrimSpace(text) == "":
		refuse(w, "no_text")
		return
	case utf8.RuneCountInString(text) > 40_000:
		refuse(w, "msg_too_long")
		return
	case utf8.RuneCountInString(text) > 4000:
		s.faults = append(s.faults, "a message has more than 4000 characters")
	}
	s.next++
	ts := fmt.Sprintf("%d.%06d", time.Now().Unix(), s.next)
	s.sent = append(s.sent, Sent{Team: a.Team, Channel: p["channel"], Thread: p["thread_ts"], Text: text})
	s.touch()
	answer(w, map[string]any{
		"ok": true, "channel": p["channel"], "ts": ts, "message": map[string]any{"type": "message", "text": text, "user": a.User, "bot_id": a.Bot, "ts": ts},
	})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, code string) {
	answer(w, map[string]any{"ok": false, "error": code})
}

// parameters reads forms and JSON alike, as Slack does.
func parameters(r *http.Request) (map[string]string, error) {
	p := map[string]string{}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		fields := map[string]any{}
		if len(raw) > 0 && json.Unmarshal(raw, &fields) != nil {
			return nil, fmt.Errorf("slacktest: no JSON")
		}
		for k, v := range fields {
			p[k] = fmt.Sprint(v)
		}
		return p, nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for k := range r.Form {
		p[k] = r.Form.Get(k)
	}
	return p, nil
}

func (l *link) write(v any) {
	l.send.Lock()
	defer l.send.Unlock()
	raw, err := json.Marshal(v)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = l.conn.Write(ctx, websocket.MessageText, raw)
}

// serveLink is one connection: a ticket opens it once.
func (s *Server) serveLink(w http.ResponseWriter, r *http.Request) {
	s.conns.Add(1)
	defer s.conns.Done()
	s.mu.Lock()
	ticket := r.URL.Query().Get("ticket")
	a := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if a == nil {
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	// Clients send the origin of Slack's own pages.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	l := &link{conn: conn, ids: map[string]*event{}}
	l.write(map[string]any{
		"type": "hello", "num_connections": 1, "connection_info": map[string]any{"app_id": "A0APP"},
		"debug_info": map[string]any{"host": "applink", "approximate_connection_time": 3600, "build_number": 1},
	})
	s.mu.Lock()
	a.links = append(a.links, l)
	s.touch()
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.listen(a, l)
	}()
	for s.push(a, l, gone) {
	}
	_ = conn.CloseNow()
	<-gone
	s.mu.Lock()
	a.links = slices.DeleteFunc(a.links, func(one *link) bool { return one == l })
	s.touch()
	s.mu.Unlock()
}

// push delivers what is due over a connection, and waits for the next; false once the connection is gone.
func (s *Server) push(a *app, l *link, gone <-chan struct{}) bool {
	s.mu.Lock()
	now, again := time.Now(), time.Hour
	var out []map[string]any
	for _, e := range a.waiting {
		if l.old {
			break
		}
		if e.over != nil && slices.Contains(a.links, e.over) && now.Before(e.due) {
			again = min(again, e.due.Sub(now))
			continue
		}
		envelope := s.id("env-")
		m := map[string]any{"envelope_id": envelope, "type": "events_api", "payload": e.payload, "accepts_response_payload": false, "retry_attempt": e.tries, "retry_reason": ""}
		if e.tries > 0 {
			m["retry_reason"] = "timeout"
		}
		e.tries++
		e.over, e.due = l, now.Add(s.ackTime)
		again = min(again, s.ackTime)
		l.ids[envelope] = e
		out = append(out, m)
	}
	changed := s.changed
	s.mu.Unlock()
	for _, m := range out {
		l.write(m)
	}
	late := time.NewTimer(again)
	defer late.Stop()
	select {
	case <-gone:
		return false
	case <-s.closing:
		return false
	case <-changed:
	case <-late.C:
	}
	return true
}

// listen reads acknowledgements.
func (s *Server) listen(a *app, l *link) {
	for {
		_, raw, err := l.conn.Read(context.Background())
		if err != nil {
			return
		}
		var ack struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if json.Unmarshal(raw, &ack) != nil || ack.EnvelopeID == "" {
			s.fault("not an acknowledgement: %s", raw)
			continue
		}
		s.mu.Lock()
		e := l.ids[ack.EnvelopeID]
		delete(l.ids, ack.EnvelopeID)
		a.waiting = slices.DeleteFunc(a.waiting, func(one *event) bool { return one == e })
		s.touch()
		s.mu.Unlock()
		if e == nil {
			s.fault("the envelope %s is acknowledged, which is not of this connection or was acknowledged before", ack.EnvelopeID)
		}
	}
}
