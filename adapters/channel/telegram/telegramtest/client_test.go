package telegramtest_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/bureau-agents/bureau/adapters/channel/telegram/telegramtest"
)

// TestOtherClient has somebody else's client talk with the double, so that it is not made to the measure of ours.
func TestOtherClient(t *testing.T) {
	t.Parallel()
	s := telegramtest.New(t)
	b, chat := s.AddBot("other_bot"), s.AddChat("private")
	got := make(chan *models.Message, 1)
	client, err := bot.New(b.Token, bot.WithServerURL(s.URL), bot.WithHTTPClient(2*time.Second, &http.Client{}),
		bot.WithDefaultHandler(func(ctx context.Context, c *bot.Bot, u *models.Update) {
			if _, err := c.SendChatAction(ctx, &bot.SendChatActionParams{ChatID: u.Message.Chat.ID, Action: models.ChatActionTyping}); err != nil {
				t.Errorf("typing: %v", err)
			}
			if _, err := c.SendMessage(ctx, &bot.SendMessageParams{ChatID: u.Message.Chat.ID, Text: "You said: " + u.Message.Text}); err != nil {
				t.Errorf("send: %v", err)
			}
			got <- u.Message
		}))
	if err != nil {
		t.Fatal(err)
	}
	if me, err := client.GetMe(t.Context()); err != nil || me.Username != "other_bot" || !me.IsBot {
		t.Errorf("me: %+v, %v", me, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { client.Start(ctx); close(done) }()
	s.Post(b, chat, "Hello 😀", nil)
	select {
	case m := <-got:
		if m.Text != "Hello 😀" || m.From.FirstName != "Ada" || m.Chat.ID != chat.ID {
			t.Errorf("got %+v", m)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was received")
	}
	s.Wait(t, "the update is confirmed", func() bool { return s.Pending(b) == 0 })
	if sent := s.Sent(); len(sent) != 1 || sent[0].Text != "You said: Hello 😀" || len(s.Actions()) != 1 {
		t.Errorf("sent %+v", sent)
	}
	stop()
	<-done

	_, err = client.SendMessage(t.Context(), &bot.SendMessageParams{ChatID: chat.ID, Text: strings.Repeat("x", 4097)})
	if !errors.Is(err, bot.ErrorBadRequest) || !strings.Contains(err.Error(), "message is too long") {
		t.Errorf("a long message: %v", err)
	}
	s.Fail(telegramtest.Failure{Method: "sendMessage", Status: http.StatusTooManyRequests, Description: "Too Many Requests: retry after 7", RetryAfter: 7})
	_, err = client.SendMessage(t.Context(), &bot.SendMessageParams{ChatID: chat.ID, Text: "x"})
	if limited, ok := errors.AsType[*bot.TooManyRequestsError](err); !ok || limited.RetryAfter != 7 {
		t.Errorf("too many: %v", err)
	}
	old, now := s.AddChat("group"), s.AddChat("supergroup")
	old.MovedTo = now.ID
	_, err = client.SendMessage(t.Context(), &bot.SendMessageParams{ChatID: old.ID, Text: "x"})
	if moved, ok := errors.AsType[*bot.MigrateError](err); !ok || int64(moved.MigrateToChatID) != now.ID {
		t.Errorf("a group that moved: %v", err)
	}
	s.Revoke(b)
	if _, err := client.GetMe(t.Context()); !errors.Is(err, bot.ErrorUnauthorized) {
		t.Errorf("revoked: %v", err)
	}
}
