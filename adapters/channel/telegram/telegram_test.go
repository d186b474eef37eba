package telegram_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/channel/internal/steady"
	"github.com/bureau-agents/bureau/adapters/channel/telegram"
	"github.com/bureau-agents/bureau/adapters/channel/telegram/telegramtest"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/channel/channeltest"
)

// service is the double as the suite wants it.
type service struct {
	*telegramtest.Server

	mu    sync.Mutex
	bots  map[string]telegramtest.Bot
	chats map[string]*telegramtest.Chat
}

func open(t *testing.T) (*telegram.Channel, *service) {
	t.Helper()
	s := &service{Server: telegramtest.New(t), bots: map[string]telegramtest.Bot{}, chats: map[string]*telegramtest.Chat{}}
	c, err := telegram.New(telegram.Config{
		HTTP: &http.Client{}, BaseURL: s.URL, Poll: 2 * time.Second, Pauses: steady.Pauses{Least: time.Millisecond, Most: 5 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func (s *service) Account() channel.Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.AddBot("bureau_bot")
	s.bots[b.Token] = b
	return channel.Account{Tokens: map[string]string{telegram.Token: b.Token}}
}

func (s *service) bot(a channel.Account) telegramtest.Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bots[a.Tokens[telegram.Token]]
}

func (s *service) chat(kind string) string {
	c := s.AddChat(kind)
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strconv.FormatInt(c.ID, 10)
	s.chats[name] = c
	return name
}

func (s *service) named(chat string) *telegramtest.Chat {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chats[chat]
}

func (s *service) Private(channel.Account) string { return s.chat("private") }
func (s *service) Group(channel.Account) string   { return s.chat("supergroup") }

func (s *service) Write(a channel.Account, chat, text string) {
	s.Post(s.bot(a), s.named(chat), text, nil)
}

func (s *service) Mention(a channel.Account, chat, text string) {
	b := s.bot(a)
	s.Post(b, s.named(chat), "@"+b.Username+" "+text, m{"entities": []m{{"type": "mention", "offset": 0, "length": len(b.Username) + 1}}})
}

func (s *service) Bot(a channel.Account, chat, text string) {
	s.Post(s.bot(a), s.named(chat), text, m{"from": m{"id": 7, "is_bot": true, "first_name": "Other"}})
}

func (s *service) Sent(chat string) (out []string) {
	for _, m := range s.Server.Sent() {
		if strconv.FormatInt(m.Chat, 10) == chat {
			out = append(out, m.Text)
		}
	}
	return out
}

func (s *service) Limit() int                        { return telegram.MaxText }
func (s *service) Unconfirmed(a channel.Account) int { return s.Pending(s.bot(a)) }
func (s *service) Revoke(a channel.Account)          { s.Server.Revoke(s.bot(a)) }

func (s *service) Break(times int) {
	for range times {
		for _, method := range []string{"getUpdates", "sendMessage"} {
			s.Fail(telegramtest.Failure{Method: method, Status: http.StatusBadGateway, Plain: true})
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
	bot := s.bot(a)
	go func() { _ = c.Run(t.Context(), a, in) }()
	private, group := s.AddChat("private"), s.AddChat("supergroup")
	named := func(offset, length int, kind string) m {
		return m{"type": kind, "offset": offset, "length": length}
	}
	s.Edit(bot, private, "edited")
	s.Post(bot, private, "", m{"sticker": m{"emoji": "x"}})
	s.Post(bot, group, "of a stranger", m{"reply_to_message": m{"message_id": 1, "chat": m{"id": group.ID}, "from": m{"id": 43}}})
	s.Post(bot, group, "@bureau_bot2 hello", m{"entities": []m{named(0, 12, "mention")}})
	s.Post(bot, group, "in a channel", m{"chat": m{"id": -5, "type": "channel"}})
	for _, tc := range []struct {
		name string
		chat *telegramtest.Chat
		text string
		more m
		want channel.Message
	}{
		{"a caption", private, "", m{"caption": "What is this?", "photo": []m{}}, channel.Message{Text: "What is this?"}},
		{"a command", private, "/start", m{"entities": []m{named(0, 6, "bot_command")}}, channel.Message{Text: "/start"}},
		{"a command in a group", group, "/help@Bureau_Bot me", m{"entities": []m{named(0, 16, "bot_command")}}, channel.Message{Text: "/help me", Group: true}},
		{
			"a mention behind emoji", group, "😀😀 @bureau_bot, hi", m{"entities": []m{named(5, 11, "mention")}},
			channel.Message{Text: "😀😀 , hi", Group: true},
		},
		{
			"a mention of a bot without a name", group, "Bureau hi", m{"entities": []m{{"type": "text_mention", "offset": 0, "length": 6, "user": m{"id": bot.ID}}}},
			channel.Message{Text: "hi", Group: true},
		},
		{
			"a reply", group, "thanks", m{"reply_to_message": m{"message_id": 1, "chat": m{"id": group.ID}, "from": m{"id": bot.ID, "is_bot": true}}},
			channel.Message{Text: "thanks", Group: true},
		},
		{
			"a topic", group, "@bureau_bot go", m{"entities": []m{named(0, 11, "mention")}, "is_topic_message": true, "message_thread_id": 9},
			channel.Message{Text: "go", Group: true, Peer: strconv.FormatInt(group.ID, 10) + "/9"},
		},
		{"entities beyond the text", private, "hi", m{"entities": []m{named(1, 5, "mention"), named(-1, 1, "mention"), named(1<<62, 1<<62, "mention")}}, channel.Message{Text: "hi"}},
	} {
		s.Post(bot, tc.chat, tc.text, tc.more)
		got := in.Next(t)
		if tc.want.Peer == "" {
			tc.want.Peer = strconv.FormatInt(tc.chat.ID, 10)
		}
		if got.Text != tc.want.Text || got.Group != tc.want.Group || got.Peer != tc.want.Peer || got.Chat != tc.want.Peer || got.Author != "Ada Lovelace" {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
	if err := c.Send(t.Context(), a, strconv.FormatInt(group.ID, 10)+"/9", "Done."); err != nil {
		t.Fatal(err)
	}
	if sent := s.Server.Sent(); len(sent) != 1 || sent[0].Topic != 9 {
		t.Errorf("sent %+v", sent)
	}
}

// TestConflicts checks that a webhook is taken away, and that another poller is told of and outlived.
func TestConflicts(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	a, in := s.Account(), channeltest.NewInbox()
	bot, chat := s.bot(a), s.AddChat("private")
	s.SetWebhook(bot, "https://elsewhere.example/hook")
	go func() { _ = c.Run(t.Context(), a, in) }()
	s.Post(bot, chat, "One.", nil)
	in.Next(t)
	if hook := s.Webhook(bot); hook != "" {
		t.Errorf("the webhook is %s", hook)
	}
	s.SetWebhook(bot, "https://elsewhere.example/hook") // meanwhile
	s.Post(bot, chat, "Two.", nil)
	in.Next(t)
	s.Fail(telegramtest.Failure{Method: "getUpdates", Status: http.StatusConflict, Description: "Conflict: terminated by other getUpdates request"})
	s.Post(bot, chat, "Three.", nil)
	s.Post(bot, chat, "Four.", nil)
	in.Next(t)
	in.Next(t)
	s.Wait(t, "the conflict is told", func() bool {
		told := in.Troubles()
		return len(told) > 2 && told[len(told)-1] == nil
	})
	for _, err := range in.Troubles() {
		if err != nil && !errors.Is(err, channel.ErrConflict) {
			t.Errorf("told %v", err)
		}
	}
}

// TestSending checks the rates that Telegram asks for, groups that become others, and people who want nothing.
func TestSending(t *testing.T) {
	t.Parallel()
	c, s := open(t)
	a := s.Account()
	chat := s.Private(a)
	s.Fail(telegramtest.Failure{Method: "sendMessage", Status: http.StatusTooManyRequests, Description: "Too Many Requests: retry after 1", RetryAfter: 1})
	began := time.Now()
	if err := c.Send(t.Context(), a, chat, "Hello."); err != nil || time.Since(began) < time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	s.Fail(telegramtest.Failure{Method: "sendMessage", Status: http.StatusTooManyRequests, Description: "Too Many Requests", RetryAfter: 3600})
	if err := c.Send(t.Context(), a, chat, "Hello."); !errors.Is(err, channel.ErrUnreachable) {
		t.Errorf("an hour later: %v", err)
	}
	old, now := s.AddChat("group"), s.AddChat("supergroup")
	old.MovedTo = now.ID
	if err := c.Send(t.Context(), a, strconv.FormatInt(old.ID, 10), strings.Repeat("x ", telegram.MaxText)); err != nil {
		t.Errorf("a group that moved: %v", err)
	}
	if got := s.Sent(strconv.FormatInt(now.ID, 10)); len(got) < 2 {
		t.Errorf("where it moved to: %q", got)
	}
	s.named(chat).Blocked = true
	if err := c.Send(t.Context(), a, chat, "Hello."); !errors.Is(err, channel.ErrChat) {
		t.Errorf("blocked: %v", err)
	}
}
