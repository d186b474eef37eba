package slack_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/channel/internal/steady"
	"github.com/bureau-agents/bureau/adapters/channel/slack"
	"github.com/bureau-agents/bureau/adapters/channel/slack/slacktest"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/channel/channeltest"
)

// service is the double as the suite wants it.
type service struct {
	*slacktest.Server

	mu   sync.Mutex
	apps map[string]slacktest.App
}

func open(t *testing.T) (*slack.Channel, *service) {
	t.Helper()
	s := &service{Server: slacktest.New(t), apps: map[string]slacktest.App{}}
	c, err := slack.New(slack.Config{HTTP: &http.Client{}, BaseURL: s.URL, Pauses: steady.Pauses{Least: time.Millisecond, Most: 5 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if faults := s.Faults(); len(faults) > 0 {
			t.Errorf("Slack does not expect: %q", faults)
		}
	})
	return c, s
}

func (s *service) Account() channel.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.AddApp()
	s.apps[a.BotToken] = a
	return channel.Account{Tokens: map[string]string{slack.BotToken: a.BotToken, slack.AppToken: a.AppToken}}
}

func (s *service) app(a channel.Account) slacktest.App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apps[a.Tokens[slack.BotToken]]
}

func (s *service) Private(channel.Account) string             { return s.AddChannel("im") }
func (s *service) Group(channel.Account) string               { return s.AddChannel("channel") }
func (s *service) Write(a channel.Account, chat, text string) { s.write(a, chat, text, nil) }

func (s *service) write(a channel.Account, chat, text string, more m) {
	if strings.HasPrefix(chat, "C") { // what the bot is not mentioned in is a message and no app_mention
		more = m{"type": "message", "channel_type": "channel"}
	}
	s.Post(s.app(a), chat, text, more)
}

func (s *service) Mention(a channel.Account, chat, text string) {
	s.Post(s.app(a), chat, "<@"+s.app(a).User+"> "+text, nil)
}

func (s *service) Bot(a channel.Account, chat, text string) {
	s.write(a, chat, text, m{"bot_id": "B0OTHER", "user": "U0OTHER"})
	s.write(a, chat, text, m{"bot_id": s.app(a).Bot, "user": s.app(a).User})
	s.write(a, chat, text, m{"subtype": "bot_message"})
}

func (s *service) Sent(chat string) (out []string) {
	for _, m := range s.Server.Sent() {
		if m.Channel == chat {
			out = append(out, m.Text)
		}
	}
	return out
}

func (s *service) Limit() int                        { return slack.MaxText }
func (s *service) Unconfirmed(a channel.Account) int { return s.Pending(s.app(a)) }
func (s *service) Revoke(a channel.Account)          { s.Server.Revoke(s.app(a)) }

func (s *service) Break(times int) {
	for range times {
		for _, method := range []string{"apps.connections.open", "chat.postMessage"} {
			s.Fail(slacktest.Failure{Method: method, Status: http.StatusBadGateway})
		}
	}
}

type m = map[string]any

func TestChannel(t *testing.T) {
	channeltest.Run(t, channeltest.Config{New: func(t *testing.T) (channel.Channel, channeltest.Service) {
		return open(t)
	}})
}

// TestMessages checks what is heard of what people write.
func TestMessages(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	a, in := s.Account(), channeltest.NewInbox()
	app := s.app(a)
	me := "<@" + app.User + ">"
	go func() { _ = c.Run(t.Context(), a, in) }()
	direct, room := s.AddChannel("im"), s.AddChannel("channel")
	s.Post(app, direct, "edited", m{"subtype": "message_changed"})
	s.Post(app, direct, " ", nil)
	s.Post(app, room, "<@U0OTHER> hi", nil)
	s.Post(app, room, me, nil)
	for _, tc := range []struct {
		name, channel, text string
		more                m
		want                string
		thread              string // "" is none, "own" that of the message
	}{
		{"a direct message", direct, "hi &amp; bye", nil, "hi & bye", ""},
		{"in a thread of it", direct, "and now", m{"thread_ts": "1700000000.000100"}, "and now", "1700000000.000100"},
		{"with a file", direct, "look", m{"subtype": "file_share"}, "look", ""},
		{"a mention", room, "Hey " + me + " what is up?", nil, "Hey  what is up?", "own"},
		{"a mention in a thread", room, me + " more", m{"thread_ts": "1700000000.000200"}, "more", "1700000000.000200"},
		{"a message that mentions", room, me + " here", m{"type": "message", "channel_type": "mpim"}, "here", "own"},
		{
			"references", direct, "<https://a.example/x|the page> <https://b.example> <mailto:a@b.example|a@b.example> <@U0BEN> <#C0X|general> <!here> &lt;b&gt;", nil,
			"the page (https://a.example/x) https://b.example a@b.example @U0BEN #general !here <b>", "",
		},
	} {
		ts := s.Post(app, tc.channel, tc.text, tc.more)
		got := in.Next(t)
		want := tc.channel
		switch tc.thread {
		case "":
		case "own":
			want += "/" + ts
		default:
			want += "/" + tc.thread
		}
		if got.Text != tc.want || got.Chat != want || got.Peer != want || got.Group != (tc.channel == room) || got.Author != "U0ADA" {
			t.Errorf("%s: %+v", tc.name, got)
		}
		if err := c.Send(t.Context(), a, got.Chat, "Yes."); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		sent := s.Server.Sent()
		if last := sent[len(sent)-1]; last.Channel+"/"+last.Thread != strings.TrimSuffix(want, "/") && last.Channel+"/"+last.Thread != want+"/" {
			t.Errorf("%s: answered in %+v", tc.name, last)
		}
	}
	if err := c.Send(t.Context(), a, direct, "<!channel> a & b"); err != nil {
		t.Fatal(err)
	}
	if got := s.Sent(direct); got[len(got)-1] != "&lt;!channel&gt; a &amp; b" {
		t.Errorf("sent %q", got[len(got)-1])
	}
}

// TestConnections checks that connections are replaced when Slack wants it, opened anew when they are lost, and that no message goes astray.
func TestConnections(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	a, in := s.Account(), channeltest.NewInbox()
	app, direct := s.app(a), s.AddChannel("im")
	go func() { _ = c.Run(t.Context(), a, in) }()
	connected := func() {
		t.Helper()
		s.Wait(t, "there is one connection", func() bool { return s.Links(app) == 1 })
	}
	connected()
	var want, got []string
	say := func(text string) {
		want = append(want, text)
		s.Post(app, direct, text, nil)
	}
	say("one")
	s.Refresh(app, "refresh_requested")
	say("two")
	got = append(got, in.Next(t).Text, in.Next(t).Text)
	connected()
	if told := in.Troubles(); len(told) != 1 || told[0] != nil {
		t.Errorf("told %v of a connection that was replaced", told)
	}
	s.Cut(app)
	say("three")
	got = append(got, in.Next(t).Text)
	connected()
	s.Refresh(app, "link_disabled")
	say("four")
	got = append(got, in.Next(t).Text)
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	s.Wait(t, "everything is acknowledged", func() bool { return s.Pending(app) == 0 })
	if n := in.Len(); n != 0 {
		t.Errorf("%d messages came twice", n)
	}
	switchedOff := false
	for _, err := range in.Troubles() {
		switchedOff = switchedOff || err != nil && strings.Contains(err.Error(), "switched off")
	}
	if !switchedOff {
		t.Errorf("told %v", in.Troubles())
	}
}

// TestAcknowledgements checks that what is not taken is not acknowledged, that Slack delivers it again, and that it is taken once.
func TestAcknowledgements(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	s.SetAckTime(20 * time.Millisecond)
	a, in := s.Account(), channeltest.NewInbox()
	in.Refuse(10)
	app, direct := s.app(a), s.AddChannel("im")
	go func() { _ = c.Run(t.Context(), a, in) }()
	s.Post(app, direct, "Keep this.", nil)
	if got := in.Next(t); got.Text != "Keep this." {
		t.Errorf("got %+v", got)
	}
	s.Wait(t, "it is acknowledged", func() bool { return s.Pending(app) == 0 })
	if n := in.Len(); n != 0 {
		t.Errorf("it was taken %d times more", n)
	}
}

// TestSending checks the rates that Slack asks for, and what it refuses.
func TestSending(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	a := s.Account()
	direct := s.AddChannel("im")
	s.Fail(slacktest.Failure{Method: "chat.postMessage", Status: http.StatusTooManyRequests, RetryAfter: 1})
	began := time.Now()
	if err := c.Send(t.Context(), a, direct, "Hello."); err != nil || time.Since(began) < time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	s.Fail(slacktest.Failure{Method: "chat.postMessage", Status: http.StatusTooManyRequests, RetryAfter: 3600})
	if err := c.Send(t.Context(), a, direct, "Hello."); !errors.Is(err, channel.ErrUnreachable) {
		t.Errorf("an hour later: %v", err)
	}
	s.Fail(slacktest.Failure{Method: "chat.postMessage", Error: "internal_error"})
	if err := c.Send(t.Context(), a, direct, "Hello."); err != nil {
		t.Errorf("after an error: %v", err)
	}
	for code, want := range map[string]error{"is_archived": channel.ErrChat, "not_in_channel": channel.ErrChat, "missing_scope": channel.ErrTokens} {
		s.Fail(slacktest.Failure{Method: "chat.postMessage", Error: code})
		if err := c.Send(t.Context(), a, direct, "Hello."); !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	// Escaped characters count.
	if err := c.Send(t.Context(), a, direct, strings.Repeat("a<b ", 2000)); err != nil {
		t.Error(err)
	}
}
