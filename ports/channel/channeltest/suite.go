// Package channeltest holds what every implementation of ports/channel must do, and an inbox for tests.
package channeltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/bureau-agents/bureau/ports/channel"
)

// Service is a double of a channel's service. Its chats are named by what channel.Message.Chat says of their messages.
type Service interface {
	// Account makes a bot.
	Account() channel.Account
	// Private makes a chat of a bot and one person, Group one of many people.
	Private(a channel.Account) (chat string)
	Group(a channel.Account) (chat string)
	// Write has somebody write in a chat, Mention has them mention the bot besides, and Bot has another bot write.
	Write(a channel.Account, chat, text string)
	Mention(a channel.Account, chat, text string)
	Bot(a channel.Account, chat, text string)
	// Sent returns what the bot has written into a chat.
	Sent(chat string) []string
	// Limit is how long a message may be, in characters of ASCII.
	Limit() int
	// Unconfirmed is how many messages the service would deliver again.
	Unconfirmed(a channel.Account) int
	// Revoke makes the tokens worthless.
	Revoke(a channel.Account)
	// Break has the next requests fail, those that receive and those that send, each as often.
	Break(times int)
	// Wait returns once done is true, which may be asked whenever something changes at the service, and fails the test after a while.
	Wait(tb testing.TB, what string, done func() bool)
}

// Config of the suite.
type Config struct {
	// New returns a channel and the service that it speaks with. Pauses between tries are milliseconds.
	New func(t *testing.T) (channel.Channel, Service)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T, *bench){
		"Talk": talk, "NotTaken": notTaken, "Restart": restart, "Order": order, "Groups": groups, "Tokens": tokens, "Revoked": revoked,
		"LongTexts": longTexts, "Outage": outage, "Chats": chats,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{}
			b.Channel, b.Service = cfg.New(t)
			test(t, b)
		})
	}
}

type bench struct {
	channel.Channel
	Service
}

// run receives until the test, or stop, ends it, and fails the test when it ends otherwise.
func (b *bench) run(t *testing.T, a channel.Account, in *Inbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx, a, in) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run goes on after its context has ended")
		}
	}
	t.Cleanup(stop)
	return stop
}

func talk(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	b.run(t, a, in)
	one, two := b.Private(a), b.Private(a)
	b.Write(a, one, "Hello.")
	first := in.Next(t)
	b.Write(a, two, "Moin.")
	second := in.Next(t)
	for _, m := range []struct {
		got        channel.Message
		chat, text string
	}{{first, one, "Hello."}, {second, two, "Moin."}} {
		if m.got.Chat != m.chat || m.got.Text != m.text || m.got.Group || m.got.Author == "" || m.got.Key == "" || m.got.Peer == "" ||
			len(m.got.Peer) > 256 || time.Since(m.got.At).Abs() > time.Minute {
			t.Errorf("got %+v", m.got)
		}
	}
	if first.Peer == second.Peer || first.Key == second.Key {
		t.Errorf("two chats are one: %+v, %+v", first, second)
	}
	if err := b.Typing(t.Context(), a, first.Chat); err != nil {
		t.Errorf("typing: %v", err)
	}
	if err := b.Send(t.Context(), a, first.Chat, "I can help you."); err != nil {
		t.Fatal(err)
	}
	if got := b.Sent(one); !slices.Equal(got, []string{"I can help you."}) {
		t.Errorf("in the chat: %q", got)
	}
	if got := b.Sent(two); len(got) != 0 {
		t.Errorf("in the other chat: %q", got)
	}
	b.Bot(a, one, "I am a bot.")
	b.Write(a, one, "Again.")
	if m := in.Next(t); m.Text != "Again." || m.Peer != first.Peer {
		t.Errorf("after a bot's message: %+v", m)
	}
}

func notTaken(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	in.Refuse(2)
	b.run(t, a, in)
	b.Write(a, b.Private(a), "Keep this.")
	m := in.Next(t)
	if m.Text != "Keep this." || len(in.Refused()) != 2 || in.Refused()[0].Key != m.Key || in.Refused()[1].Key != m.Key {
		t.Errorf("taken %+v, refused %+v", m, in.Refused())
	}
	b.Wait(t, "the message is confirmed", func() bool { return b.Unconfirmed(a) == 0 })
}

func restart(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	chat := b.Private(a)
	stop := b.run(t, a, in)
	b.Write(a, chat, "One.")
	in.Next(t)
	stop()
	b.Wait(t, "the message is confirmed", func() bool { return b.Unconfirmed(a) == 0 })
	stop = b.run(t, a, in)
	b.Write(a, chat, "Two.")
	if m := in.Next(t); m.Text != "Two." {
		t.Errorf("after a restart: %+v", m)
	}
	stop()
	if n := in.Len(); n != 0 {
		t.Errorf("%d messages came again", n)
	}
}

func order(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	b.run(t, a, in)
	chat := b.Private(a)
	for i := range 20 {
		b.Write(a, chat, fmt.Sprintf("Message %d.", i))
	}
	for i := range 20 {
		if m := in.Next(t); m.Text != fmt.Sprintf("Message %d.", i) {
			t.Fatalf("%d: %+v", i, m)
		}
	}
}

func groups(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	b.run(t, a, in)
	chat := b.Group(a)
	b.Write(a, chat, "Do not listen.")
	b.Mention(a, chat, "what is up?")
	m := in.Next(t)
	if m.Text != "what is up?" || !m.Group {
		t.Errorf("got %+v", m)
	}
	if err := b.Send(t.Context(), a, m.Chat, "Not much."); err != nil {
		t.Fatal(err)
	}
	if got := b.Sent(chat); !slices.Equal(got, []string{"Not much."}) {
		t.Errorf("in the group: %q", got)
	}
}

func tokens(t *testing.T, b *bench) {
	good := b.Account()
	in := NewInbox()
	for _, name := range b.Tokens() {
		for _, value := range []string{"", "wrong"} {
			a := channel.Account{Tokens: map[string]string{}}
			for n, v := range good.Tokens {
				a.Tokens[n] = v
			}
			a.Tokens[name] = value
			if value == "" {
				delete(a.Tokens, name)
			}
			err := b.Run(t.Context(), a, in)
			if !errors.Is(err, channel.ErrTokens) {
				t.Errorf("%s %q: %v", name, value, err)
			}
			for n, v := range good.Tokens {
				if err != nil && strings.Contains(err.Error(), v) {
					t.Errorf("the error has the token %s", n)
				}
			}
		}
	}
	if err := b.Send(t.Context(), channel.Account{}, b.Private(good), "Hello."); !errors.Is(err, channel.ErrTokens) {
		t.Errorf("without tokens: %v", err)
	}
}

func revoked(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	done := make(chan error, 1)
	go func() { done <- b.Run(t.Context(), a, in) }()
	chat := b.Private(a)
	b.Write(a, chat, "Hello.")
	in.Next(t)
	b.Revoke(a)
	select {
	case err := <-done:
		if !errors.Is(err, channel.ErrTokens) {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Run goes on with a token that was revoked")
	}
	if err := b.Send(t.Context(), a, chat, "Hello."); !errors.Is(err, channel.ErrTokens) {
		t.Errorf("Send: %v", err)
	}
}

func longTexts(t *testing.T, b *bench) {
	a := b.Account()
	chat := b.Private(a)
	text := strings.Repeat("Each of these words is sent. 😀\n", 3*b.Limit()/30)
	if err := b.Send(t.Context(), a, chat, text); err != nil {
		t.Fatal(err)
	}
	got := b.Sent(chat)
	bare := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, s)
	}
	if len(got) < 3 || len(got) > 6 || bare(strings.Join(got, "")) != bare(text) {
		t.Errorf("%d messages; the text is the same: %t", len(got), bare(strings.Join(got, "")) == bare(text))
	}
	if err := b.Send(t.Context(), a, chat, " \n"); err != nil || len(b.Sent(chat)) != len(got) {
		t.Errorf("a blank text: %v, %d messages", err, len(b.Sent(chat))-len(got))
	}
}

func outage(t *testing.T, b *bench) {
	a, in := b.Account(), NewInbox()
	chat := b.Private(a)
	b.Break(2)
	b.run(t, a, in)
	b.Write(a, chat, "Hello.")
	in.Next(t)
	b.Wait(t, "the trouble is over", func() bool {
		told := in.Troubles()
		return len(told) > 0 && told[len(told)-1] == nil
	})
	if told := in.Troubles(); len(told) < 2 || told[0] == nil {
		t.Errorf("told: %v", told)
	}
	if err := b.Send(t.Context(), a, chat, "Here I am."); err != nil {
		t.Errorf("Send: %v", err)
	}
	if got := b.Sent(chat); !slices.Equal(got, []string{"Here I am."}) {
		t.Errorf("in the chat: %q", got)
	}
}

func chats(t *testing.T, b *bench) {
	a := b.Account()
	for _, chat := range []string{"", "nowhere", "-1"} {
		if err := b.Send(t.Context(), a, chat, "Hello."); !errors.Is(err, channel.ErrChat) {
			t.Errorf("%q: %v", chat, err)
		}
	}
}
