package bunstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

// phone is what answers are delivered to.
type phone struct {
	mu    sync.Mutex
	heard []string
	rang  chan struct{}
	fail  func(text string) error // nil: it always works
}

func newPhone() *phone { return &phone{rang: make(chan struct{}, 1000)} }

func (p *phone) say(_ context.Context, chat, text string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		if err := p.fail(text); err != nil {
			return err
		}
	}
	p.heard = append(p.heard, chat+": "+text)
	p.rang <- struct{}{}
	return nil
}

// wait returns what was heard once it rang so often.
func (p *phone) wait(t *testing.T, times int) []string {
	t.Helper()
	for range times {
		select {
		case <-p.rang:
		case <-time.After(30 * time.Second):
			t.Fatalf("only %q was heard", p.heard)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.heard)
}

func (l *chatLab) desk(p *phone) (*chat.Desk, func()) {
	ctx, end := context.WithCancel(l.ctx)
	d := l.chat.NewDesk(ctx, l.Scope, l.agent, chat.Telegram, p.say)
	return d, func() {
		end()
		d.Wait()
	}
}

// settled waits until nothing is left to deliver.
func (l *chatLab) settled() {
	l.t.Helper()
	for {
		left, err := l.store.ChatRequests().Open(l.ctx, l.Scope, l.agent)
		l.must(err)
		if len(left) == 0 {
			return
		}
	}
}

func from(peer, text, key string) chat.Incoming {
	return chat.Incoming{Peer: peer, Chat: "to " + peer, Author: "Ada", Text: text, Key: key}
}

func TestChatDesk(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newChatLab(t, s)
		l.model.AnswerFunc = echo
		p := newPhone()
		d, end := l.desk(p)
		// Ten messages of one chat, each delivered twice, are answered once and in order.
		var want []string
		for i := range 5 {
			text := fmt.Sprintf("message %d", i)
			l.must(d.Deliver(l.ctx, from("42", text, fmt.Sprint(i))))
			l.must(d.Deliver(l.ctx, from("42", text, fmt.Sprint(i))))
			want = append(want, "to 42: You said: "+text)
		}
		l.same("answers", want, p.wait(t, 5))
		// A peer of the channel is another one than that of the API who has its name.
		l.ask(chat.Message{Peer: "42", Text: "by the API"})
		l.same("telegram", 10, len(l.history(chat.History{Peer: "42", Channel: chat.Telegram})))
		l.same("API", 2, len(l.history(chat.History{Peer: "42"})))
		// A command begins anew, once.
		l.must(d.Deliver(l.ctx, from("42", " /new", "n")))
		l.must(d.Deliver(l.ctx, from("42", " /new", "n")))
		l.must(d.Deliver(l.ctx, from("42", "hello", "h")))
		l.same("anew", []string{"to 42: A new conversation begins.", "to 42: You said: hello"}, p.wait(t, 2)[5:])
		list, err := l.chat.List(l.ctx, l.Scope, chat.ListSessions{Agent: l.agent, Peer: "42", Channel: chat.Telegram})
		l.must(err)
		l.same("sessions", 2, len(list.Items))
		for name, in := range map[string]chat.Incoming{"no peer": from("", "x", "1"), "no text": from("1", " ", "2"), "no key": from("1", "x", "")} {
			if err := d.Deliver(l.ctx, in); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		l.hosts.stop(errors.New("it does not run"))
		if err := d.Deliver(l.ctx, from("42", "x", "s")); err == nil {
			t.Error("a stopped agent was talked to")
		}
		l.settled()
		end()
	})
}

// TestChatDeskDies ends desks while answers are given, and while they are delivered.
func TestChatDeskDies(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		l := newChatLab(t, s)
		hold := make(chan struct{})
		first := llmtest.Text("the answer")
		first.Hold = hold
		l.model.Push(first)
		l.model.AnswerFunc = func(llm.Request) llmtest.Answer { return llmtest.Text("another answer") }
		p := newPhone()
		d, end := l.desk(p)
		l.must(d.Deliver(l.ctx, from("1", "question", "a")))
		l.must(l.model.WaitAsked(l.ctx, 1))
		end()
		l.same("heard before", 0, len(p.heard))
		if err := d.Deliver(l.ctx, from("1", "question", "a")); err != nil {
			t.Errorf("again at a desk that has ended: %v", err)
		}
		close(hold)
		p.fail = func(string) error { return channel.ErrUnreachable }
		d, end = l.desk(p)
		l.must(d.Resume(l.ctx))
		l.must(d.Deliver(l.ctx, from("1", "question", "a"))) // offered again
		end()
		l.same("heard while unreachable", 0, len(p.heard))
		p.fail = nil
		d, end = l.desk(p)
		l.must(d.Resume(l.ctx))
		l.must(d.Deliver(l.ctx, from("1", "question", "a")))
		l.same("heard", []string{"to 1: the answer"}, p.wait(t, 1))
		// Somebody who cannot be answered holds nobody up.
		p.fail = func(text string) error {
			if text == "the answer" {
				return nil
			}
			return channel.ErrChat
		}
		l.must(d.Deliver(l.ctx, from("1", "and?", "b")))
		l.settled()
		end()
		l.same("turns", 2, len(l.model.Requests()))
	})
}

// TestChatDeskWaits has a person asked, and tells of it.
func TestChatDeskWaits(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	l := newChatLab(t, s, confirmAll)
	l.model.Push(llmtest.Call("c1", "memory_list", `{}`), llmtest.Text("Nothing."))
	p := newPhone()
	d, end := l.desk(p)
	defer end()
	l.must(d.Deliver(l.ctx, from("1", "look", "a")))
	p.wait(t, 1)
	list, err := l.chat.List(l.ctx, l.Scope, chat.ListSessions{Agent: l.agent})
	l.must(err)
	uses, err := l.sessions.OpenUses(l.ctx, l.Scope, list.Items[0].ID)
	l.must(err)
	l.send(session.Session{ID: list.Items[0].ID}, session.Input{Type: session.UserToolConfirmation, ToolUse: uses[0].ID, Allow: true})
	if heard := p.wait(t, 1); heard[1] != "to 1: Nothing." {
		t.Errorf("heard %q", heard)
	}
}

// TestChatDeskTypes shows that an answer is being made, from its beginning to its end.
func TestChatDeskTypes(t *testing.T) {
	t.Parallel()
	l := newChatLab(t, openSQLiteStore(t))
	hold := make(chan struct{})
	slow := llmtest.Text("the answer")
	slow.Hold = hold
	l.model.Push(slow)
	p := newPhone()
	d, end := l.desk(p)
	defer end()
	shown := make(chan context.Context, 1)
	d.ShowTyping(func(ctx context.Context, chat string) error {
		l.same("chat", "to 1", chat)
		shown <- ctx
		return nil
	})
	l.must(d.Deliver(l.ctx, from("1", "question", "a")))
	during := <-shown
	l.same("before the answer", nil, during.Err())
	close(hold)
	l.same("heard", []string{"to 1: the answer"}, p.wait(t, 1))
	l.settled()
	<-during.Done()
	l.must(d.Deliver(l.ctx, from("1", "/new", "b")))
	p.wait(t, 1)
	l.same("shown for a command", 0, len(shown))
}

// service is a channel whose messages a test writes.
type service struct {
	*phone

	mu    sync.Mutex
	runs  int
	boxes chan channel.Inbox
	bad   error
}

func (s *service) Name() string     { return "telegram" }
func (s *service) Tokens() []string { return []string{"telegram_bot_token"} }

func (s *service) Run(ctx context.Context, a channel.Account, in channel.Inbox) error {
	s.mu.Lock()
	s.runs++
	bad := s.bad
	s.mu.Unlock()
	if a.Tokens["telegram_bot_token"] != "1:x" {
		return channel.ErrTokens
	}
	if bad != nil {
		return bad
	}
	s.boxes <- in
	<-ctx.Done()
	return nil
}

func (s *service) Send(ctx context.Context, _ channel.Account, chat, text string) error {
	return s.say(ctx, chat, text)
}
func (s *service) Typing(context.Context, channel.Account, string) error { return nil }

type tokens map[string]string

func (t tokens) ChannelTokens(context.Context, account.Scope, id.Agent, []string) (map[string]string, error) {
	return t, nil
}

// TestChannels connects an agent with a service from its start to its stop.
func TestChannels(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	l := newChatLab(t, s)
	l.model.AnswerFunc = echo
	svc := &service{phone: newPhone(), boxes: make(chan channel.Inbox, 1)}
	have := tokens{}
	c, err := chat.NewChannels(chat.ChannelDeps{
		Logger: slog.New(slog.DiscardHandler), Chat: l.chat, Connections: s.ChatRequests(), Tokens: have, Services: []channel.Channel{svc},
	})
	l.must(err)
	problems := func() map[chat.Channel]string {
		t.Helper()
		got, err := c.Problems(l.ctx, l.Scope, l.agent)
		l.must(err)
		return got
	}
	c.Started(l.ctx, l.Scope, l.agent) // without tokens nothing is connected
	c.Stopped(l.ctx, l.Scope, l.agent)
	l.same("without tokens", 0, svc.runs)
	have["telegram_bot_token"] = "1:x"
	c.Started(l.ctx, l.Scope, l.agent)
	in := <-svc.boxes
	l.must(in.Take(l.ctx, channel.Message{Key: "1", Chat: "7", Peer: "7", Author: "Ada", Text: "hello"}))
	l.same("heard", []string{"7: You said: hello"}, svc.wait(t, 1))
	in.Trouble(l.ctx, channel.ErrUnreachable)
	l.same("trouble", map[chat.Channel]string{chat.Telegram: channel.ErrUnreachable.Message}, problems())
	in.Trouble(l.ctx, nil)
	l.same("over", map[chat.Channel]string{chat.Telegram: ""}, problems())
	if err := in.Take(l.ctx, channel.Message{Key: "2", Chat: "7", Peer: "7", Text: " "}); err != nil {
		t.Errorf("what can never be taken is offered for ever: %v", err)
	}
	c.Started(l.ctx, l.Scope, l.agent) // again: the first connection ends
	<-svc.boxes
	c.Stopped(l.ctx, l.Scope, l.agent)
	l.same("connections", 2, svc.runs)
	have["telegram_bot_token"] = "2:y"
	c.Started(l.ctx, l.Scope, l.agent)
	for problems()[chat.Telegram] != channel.ErrTokens.Message {
		if l.ctx.Err() != nil {
			t.Fatal("the tokens' trouble is not noted")
		}
	}
	delete(have, "telegram_bot_token")
	c.Started(l.ctx, l.Scope, l.agent) // what was wrong with tokens that are gone is of no interest
	for problems()[chat.Telegram] != "" {
		if l.ctx.Err() != nil {
			t.Fatal("the trouble of tokens that are gone is not forgotten")
		}
	}
	l.must(c.Stop(l.ctx))
	c.Started(l.ctx, l.Scope, l.agent)
	c.Stopped(l.ctx, l.Scope, l.agent)
	l.same("after the stop", 3, svc.runs)
}
