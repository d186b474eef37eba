// Package telegramtest is a Telegram of one's own: the part of the Bot API that bots need which poll, with bots, chats and people that tests
// make, the checks and the errors that the API documents, and the rule that an update is delivered until a poll's offset is beyond it.
package telegramtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// Server is the API. It is safe for concurrent use.
type Server struct {
	URL string

	mu      sync.Mutex
	changed chan struct{} // closed when anything changes
	bots    map[string]*bot
	chats   map[int64]*Chat
	sent    []Sent
	calls   []string // "getUpdates", in the order of their coming
	failing []Failure
	nextID  int64
}

// Bot is one that a test has made.
type Bot struct {
	ID              int64
	Token, Username string
}

type bot struct {
	Bot
	revoked bool
	webhook string
	updates []map[string]any
	lastID  int64
	poll    chan struct{} // closed to end the poll that waits, because another one came
	offset  int64         // everything before it is confirmed
}

// Chat is one that a test has made.
type Chat struct {
	ID      int64
	Type    string // private, group, supergroup
	Blocked bool   // the bot may not write there
	MovedTo int64  // the group has become another one
}

// Sent is what a bot has written or shown.
type Sent struct {
	Bot    int64
	Chat   int64
	Topic  int64
	Text   string
	Action string // of sendChatAction; Text is "" then
}

// Failure is an answer that a method gives instead of its own.
type Failure struct {
	Method      string
	Status      int
	Description string
	RetryAfter  int
	Plain       bool // no answer of the API, as of a gateway
}

// New starts a server that ends with the test.
func New(tb testing.TB) *Server {
	s := &Server{changed: make(chan struct{}), bots: map[string]*bot{}, chats: map[int64]*Chat{}, nextID: 100}
	srv := httptest.NewServer(s)
	tb.Cleanup(func() {
		s.mu.Lock()
		for _, b := range s.bots {
			b.interrupt()
		}
		s.mu.Unlock()
		srv.CloseClientConnections()
		srv.Close()
	})
	s.URL = srv.URL
	return s
}

func (s *Server) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (b *bot) interrupt() {
	if b.poll != nil {
		close(b.poll)
		b.poll = nil
	}
}

// AddBot makes a bot.
func (s *Server) AddBot(username string) Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	b := &bot{Bot: Bot{ID: s.nextID, Username: username, Token: fmt.Sprintf("%d:%035d", s.nextID, rand.Int64())}, lastID: 1000}
	s.bots[b.Token] = b
	return b.Bot
}

// AddChat makes a chat: "private", "group" or "supergroup".
func (s *Server) AddChat(kind string) *Chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID++
	c := &Chat{ID: s.nextID, Type: kind}
	if kind != "private" {
		c.ID = -c.ID
	}
	s.chats[c.ID] = c
	return c
}

// Post delivers a message to a bot: text of a person in a chat. more is set in the message, over what stands there.
func (s *Server) Post(to Bot, chat *Chat, text string, more map[string]any) {
	s.update(to, "message", chat, text, more)
}

// Edit delivers an edited message.
func (s *Server) Edit(to Bot, chat *Chat, text string) {
	s.update(to, "edited_message", chat, text, nil)
}

func (s *Server) update(to Bot, kind string, chat *Chat, text string, more map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bots[to.Token]
	b.lastID++
	s.nextID++
	m := map[string]any{
		"message_id": s.nextID, "date": time.Now().Unix(), "chat": map[string]any{"id": chat.ID, "type": chat.Type},
		"from": map[string]any{"id": 42, "is_bot": false, "first_name": "Ada", "last_name": "Lovelace", "username": "ada"}, "text": text,
	}
	for k, v := range more {
		m[k] = v
	}
	b.updates = append(b.updates, map[string]any{"update_id": b.lastID, kind: m})
	s.touch()
}

// Revoke makes a bot's token worthless.
func (s *Server) Revoke(of Bot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bots[of.Token].revoked = true
	s.bots[of.Token].interrupt()
}

// SetWebhook gives a bot a webhook, which keeps it from polling.
func (s *Server) SetWebhook(of Bot, url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bots[of.Token].webhook = url
	s.bots[of.Token].interrupt()
}

// Webhook returns a bot's webhook, "" for none.
func (s *Server) Webhook(of Bot) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bots[of.Token].webhook
}

// Fail has the next calls of their methods fail, one each.
func (s *Server) Fail(f ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = append(s.failing, f...)
}

// Pending is how many updates of a bot are not confirmed.
func (s *Server) Pending(of Bot) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bots[of.Token].updates)
}

// Calls is how often a method was called.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if c == method {
			n++
		}
	}
	return n
}

// Sent returns what bots have written, without what they have shown.
func (s *Server) Sent() []Sent { return s.kept(func(m Sent) bool { return m.Action == "" }) }

// Actions returns what bots have shown.
func (s *Server) Actions() []Sent { return s.kept(func(m Sent) bool { return m.Action != "" }) }

func (s *Server) kept(want func(Sent) bool) (out []Sent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.sent {
		if want(m) {
			out = append(out, m)
		}
	}
	return out
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
			tb.Fatalf("telegramtest: %s: that did not happen", what)
		}
	}
}

var tokenShape = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]{35}$`)

// ServeHTTP is the API: /bot<token>/<method>.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/bot")
	token, method, found := strings.Cut(rest, "/")
	if !ok || !found || !tokenShape.MatchString(token) {
		fail(w, Failure{Status: http.StatusNotFound, Description: "Not Found"})
		return
	}
	p, err := parameters(r)
	if err != nil {
		fail(w, Failure{Status: http.StatusBadRequest, Description: "Bad Request: " + err.Error()})
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, method)
	b := s.bots[token]
	if b == nil || b.revoked {
		s.mu.Unlock()
		fail(w, Failure{Status: http.StatusUnauthorized, Description: "Unauthorized"})
		return
	}
	if i := slices.IndexFunc(s.failing, func(f Failure) bool { return f.Method == method }); i >= 0 {
		f := s.failing[i]
		s.failing = slices.Delete(s.failing, i, i+1)
		s.touch()
		s.mu.Unlock()
		fail(w, f)
		return
	}
	s.mu.Unlock()
	var result any
	var refused *Failure
	switch strings.ToLower(method) { // the API does not look at the case
	case "getme":
		result = map[string]any{
			"id": b.ID, "is_bot": true, "first_name": b.Username, "username": b.Username, "can_join_groups": true,
			"can_read_all_group_messages": false, "supports_inline_queries": false,
		}
	case "deletewebhook":
		s.mu.Lock()
		b.webhook = ""
		s.touch()
		s.mu.Unlock()
		result = true
	case "getwebhookinfo":
		result = map[string]any{"url": s.Webhook(b.Bot), "has_custom_certificate": false, "pending_update_count": s.Pending(b.Bot)}
	case "getupdates":
		result, refused = s.getUpdates(r, b, p)
	case "sendmessage":
		result, refused = s.send(b, p, false)
	case "sendchataction":
		result, refused = s.send(b, p, true)
	default:
		refused = &Failure{Status: http.StatusNotFound, Description: "Not Found"}
	}
	if refused != nil {
		fail(w, *refused)
		return
	}
	answer(w, http.StatusOK, map[string]any{"ok": true, "result": result})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, f Failure) {
	if f.Plain {
		http.Error(w, "<html>no</html>", f.Status)
		return
	}
	body := map[string]any{"ok": false, "error_code": f.Status, "description": f.Description}
	if f.RetryAfter > 0 {
		body["parameters"] = map[string]any{"retry_after": f.RetryAfter}
	}
	if to, ok := strings.CutPrefix(f.Description, movedTo); ok {
		id, _ := strconv.ParseInt(to, 10, 64)
		body["description"] = "Bad Request: group chat was upgraded to a supergroup chat"
		body["parameters"] = map[string]any{"migrate_to_chat_id": id}
	}
	answer(w, f.Status, body)
}

const movedTo = "moved to "

// parameters reads the query, JSON and forms alike.
func parameters(r *http.Request) (map[string]string, error) {
	p := map[string]string{}
	add := func(v url.Values) {
		for k := range v {
			p[k] = v.Get(k)
		}
	}
	add(r.URL.Query())
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		fields := map[string]json.RawMessage{}
		if len(raw) > 0 && json.Unmarshal(raw, &fields) != nil {
			return nil, fmt.Errorf("can't parse JSON object")
		}
		for k, v := range fields {
			var text string
			if json.Unmarshal(v, &text) != nil {
				text = string(v)
			}
			p[k] = text
		}
	case "multipart/form-data":
		switch err := r.ParseMultipartForm(1 << 20); {
		case err == nil:
			add(r.MultipartForm.Value)
		case !errors.Is(err, io.EOF): // a form without fields has no part
			return nil, err
		}
	default:
		if err := r.ParseForm(); err != nil {
			return nil, err
		}
		add(r.PostForm)
	}
	return p, nil
}

func bad(text string) *Failure {
	return &Failure{Status: http.StatusBadRequest, Description: "Bad Request: " + text}
}

func integer(p map[string]string, name string, byDefault int64) (int64, *Failure) {
	v, ok := p[name]
	if !ok || v == "" || v == "null" {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, bad("invalid " + name)
	}
	return n, nil
}

// getUpdates is a long poll.
func (s *Server) getUpdates(r *http.Request, b *bot, p map[string]string) (any, *Failure) {
	offset, f := integer(p, "offset", 0)
	limit, f2 := integer(p, "limit", 100)
	timeout, f3 := integer(p, "timeout", 0)
	for _, f := range []*Failure{f, f2, f3} {
		if f != nil {
			return nil, f
		}
	}
	allowed := []string{}
	if a := p["allowed_updates"]; a != "" && a != "null" && json.Unmarshal([]byte(a), &allowed) != nil {
		return nil, bad("can't parse allowed updates JSON object")
	}
	limit, timeout = min(max(limit, 1), 100), min(max(timeout, 0), 50)
	late := time.NewTimer(time.Duration(timeout) * time.Second)
	defer late.Stop()

	s.mu.Lock()
	b.interrupt()
	mine := make(chan struct{})
	b.poll = mine
	defer func() {
		s.mu.Lock()
		if b.poll == mine {
			b.poll = nil
		}
		s.mu.Unlock()
	}()
	if offset < 0 { // from the end of the queue
		if n := len(b.updates); n > 0 {
			offset = b.updates[max(n+int(offset), 0)]["update_id"].(int64)
		}
	}
	if offset > b.offset {
		b.offset = offset
		b.updates = slices.DeleteFunc(b.updates, func(u map[string]any) bool { return u["update_id"].(int64) < offset })
		s.touch()
	}
	for {
		if b.webhook != "" {
			s.mu.Unlock()
			return nil, &Failure{
				Status: http.StatusConflict, Description: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
			}
		}
		if b.revoked {
			s.mu.Unlock()
			return nil, &Failure{Status: http.StatusUnauthorized, Description: "Unauthorized"}
		}
		found := []map[string]any{}
		for _, u := range b.updates {
			for kind := range u {
				if kind != "update_id" && (len(allowed) == 0 || slices.Contains(allowed, kind)) && len(found) < int(limit) {
					found = append(found, u)
				}
			}
		}
		changed := s.changed
		if len(found) > 0 || timeout == 0 {
			s.mu.Unlock()
			return found, nil
		}
		s.mu.Unlock()
		select {
		case <-mine:
			s.mu.Lock()
			over := b.webhook == "" && !b.revoked
			s.mu.Unlock()
			if over {
				return nil, &Failure{
					Status: http.StatusConflict, Description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
				}
			}
			mine = make(chan struct{}) // what else interrupts is looked at above
		case <-late.C:
			return []map[string]any{}, nil
		case <-r.Context().Done():
			return []map[string]any{}, nil
		case <-changed:
		}
		s.mu.Lock()
	}
}

var actions = []string{
	"typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice", "upload_document", "choose_sticker", "find_location",
	"record_video_note", "upload_video_note",
}

// send is sendMessage and sendChatAction.
func (s *Server) send(b *bot, p map[string]string, action bool) (any, *Failure) {
	chatID, err := strconv.ParseInt(p["chat_id"], 10, 64)
	if err != nil {
		return nil, bad("chat_id is empty")
	}
	topic, f := integer(p, "message_thread_id", 0)
	if f != nil {
		return nil, f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	chat := s.chats[chatID]
	text := p["text"]
	switch {
	case chat == nil:
		return nil, bad("chat not found")
	case chat.Blocked:
		return nil, &Failure{Status: http.StatusForbidden, Description: "Forbidden: bot was blocked by the user"}
	case chat.MovedTo != 0:
		return nil, &Failure{Status: http.StatusBadRequest, Description: movedTo + strconv.FormatInt(chat.MovedTo, 10)}
	case action && !slices.Contains(actions, p["action"]):
		return nil, bad("wrong parameter action in request")
	case action:
		s.sent = append(s.sent, Sent{Bot: b.ID, Chat: chatID, Topic: topic, Action: p["action"]})
		s.touch()
		return true, nil
	case strings.TrimSpace(text) == "":
		return nil, bad("message text is empty")
	case len(utf16.Encode([]rune(text))) > 4096:
		return nil, bad("message is too long")
	}
	s.nextID++
	s.sent = append(s.sent, Sent{Bot: b.ID, Chat: chatID, Topic: topic, Text: text})
	s.touch()
	return map[string]any{
		"message_id": s.nextID, "date": time.Now().Unix(), "chat": map[string]any{"id": chat.ID, "type": chat.Type}, "text": text,
		"from": map[string]any{"id": b.ID, "is_bot": true, "first_name": b.Username, "username": b.Username},
	}, nil
}
