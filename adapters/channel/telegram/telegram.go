package telegram

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/adapters/channel/internal/cut"
	"github.com/bureau-agents/bureau/adapters/channel/internal/steady"
	"github.com/bureau-agents/bureau/ports/channel"
)

const (
	// DefaultBaseURL is Telegram's own.
	DefaultBaseURL = "https://api.telegram.org"
	// Token is the name of the one token, that of the bot.
	Token = "telegram_bot_token" //nolint:gosec // the name of one
	// MaxText is how long a message may be, in UTF-16 units.
	MaxText = 4096

	defaultPoll = 50 * time.Second // the longest that the API allows
	grace       = 15 * time.Second // beyond a poll, for the network
	sendTries   = 5
	longestWait = time.Minute // that a send is worth
	maxUpdates  = 100
)

// Config of a Channel. HTTP is required: it must allow requests of a minute and more.
type Config struct {
	HTTP    *http.Client
	BaseURL string        // "" is DefaultBaseURL
	Poll    time.Duration // how long a poll waits for messages, in whole seconds; 0 is 50 s
	Pauses  steady.Pauses // between tries
}

// Channel is Telegram. It is safe for concurrent use.
type Channel struct{ cfg Config }

var _ channel.Channel = (*Channel)(nil)

// New returns the channel, or an error that names what is missing.
func New(cfg Config) (*Channel, error) {
	if cfg.HTTP == nil {
		return nil, errors.New("telegram: Config.HTTP is required")
	}
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, DefaultBaseURL), "/")
	cfg.Poll = cmp.Or(cfg.Poll, defaultPoll)
	return &Channel{cfg}, nil
}

// Name implements channel.Channel.
func (*Channel) Name() string { return "telegram" }

// Tokens implements channel.Channel.
func (*Channel) Tokens() []string { return []string{Token} }

func tokenOf(a channel.Account) (string, error) {
	if t := a.Tokens[Token]; t != "" {
		return t, nil
	}
	return "", channel.ErrTokens.Withf("the secret %s is missing", Token)
}

// poller receives the messages of one bot.
type poller struct {
	c     *Channel
	token string
	in    channel.Inbox
	loop  steady.Loop
	me    user
	next  int64 // the offset: everything before it is taken
	told  int64 // what Telegram knows of that
}

// Run implements channel.Channel.
func (c *Channel) Run(ctx context.Context, a channel.Account, in channel.Inbox) error {
	token, err := tokenOf(a)
	if err != nil {
		return err
	}
	p := &poller{c: c, token: token, in: in, loop: steady.Loop{Inbox: in, Pauses: c.cfg.Pauses}}
	defer p.confirm(ctx)
	for {
		err := p.begin(ctx)
		for err == nil {
			err = p.poll(ctx)
		}
		after, err := explain(err)
		if ctx.Err() != nil {
			return nil // that is how it ends
		}
		if errors.Is(err, channel.ErrTokens) {
			return err
		}
		if p.loop.Failed(ctx, err, after) != nil {
			return nil
		}
	}
}

// begin learns who the bot is, and takes away the webhook that it may have had elsewhere: a bot with one is not polled.
func (p *poller) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if p.me.ID == 0 {
		if err := p.c.call(ctx, p.token, "getMe", struct{}{}, &p.me); err != nil {
			return err
		}
	}
	return p.c.call(ctx, p.token, "deleteWebhook", map[string]any{"drop_pending_updates": false}, nil)
}

// poll waits for messages and takes them. The next poll confirms what was taken.
func (p *poller) poll(ctx context.Context) error {
	var updates []update
	asking, cancel := context.WithTimeout(ctx, p.c.cfg.Poll+grace)
	defer cancel()
	err := p.c.call(asking, p.token, "getUpdates", map[string]any{
		"offset": p.next, "limit": maxUpdates, "timeout": int(p.c.cfg.Poll / time.Second), "allowed_updates": []string{"message"},
	}, &updates)
	if err != nil {
		return err
	}
	p.told = p.next
	for _, u := range updates {
		if u.ID < p.next { // confirmed before
			continue
		}
		if m, ok := u.Message.read(p.me); ok {
			if err := p.in.Take(ctx, m); err != nil {
				return errNotTaken
			}
		}
		p.next = u.ID + 1
	}
	p.loop.Fine(ctx)
	return nil
}

// errNotTaken is why a poll ends before its last message. What the inbox says of it is for the inbox to tell.
var errNotTaken = errors.New("telegram: a message was not taken")

// confirm tells Telegram what was taken, when no poll does any more, so that the message does not come again at the next start.
func (p *poller) confirm(ctx context.Context) {
	if p.next == p.told {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	// What is not confirmed comes again and changes nothing.
	_ = p.c.call(ctx, p.token, "getUpdates", map[string]any{"offset": p.next, "limit": 1, "timeout": 0, "allowed_updates": []string{"message"}}, nil)
}

// Send implements channel.Channel. The text goes as it is, without markup of Telegram's.
func (c *Channel) Send(ctx context.Context, a channel.Account, to, text string) error {
	token, err := tokenOf(a)
	if err != nil {
		return err
	}
	at, err := parsePlace(to)
	if err != nil {
		return err
	}
	for _, part := range cut.Text(text, MaxText, cut.UTF16) {
		if err := c.send(ctx, token, &at, part); err != nil {
			return err
		}
	}
	return nil
}

// send sends one message. A group that has become another one is followed there.
func (c *Channel) send(ctx context.Context, token string, at *place, text string) error {
	for try := 1; ; try++ {
		err := c.ask(ctx, token, "sendMessage", at.params(map[string]any{"text": text, "link_preview_options": map[string]any{"is_disabled": true}}))
		if err == nil {
			return nil
		}
		if f, ok := errors.AsType[*failure](err); ok && f.moved != 0 && f.moved != at.chat && try < sendTries {
			at.chat = f.moved
			continue
		}
		after, err := explain(err)
		if try == sendTries || after > longestWait || !errors.Is(err, channel.ErrUnreachable) {
			return err
		}
		if err := steady.Wait(ctx, max(c.cfg.Pauses.After(try), after)); err != nil {
			return err
		}
	}
}

func (c *Channel) ask(ctx context.Context, token, method string, params map[string]any) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	return c.call(ctx, token, method, params, nil)
}

func (p place) params(more map[string]any) map[string]any {
	more["chat_id"] = p.chat
	if p.topic != 0 {
		more["message_thread_id"] = p.topic
	}
	return more
}

// Typing implements channel.Channel. Telegram shows it for five seconds, or until a message comes.
func (c *Channel) Typing(ctx context.Context, a channel.Account, to string) error {
	token, err := tokenOf(a)
	if err != nil {
		return err
	}
	at, err := parsePlace(to)
	if err != nil {
		return err
	}
	if err := c.ask(ctx, token, "sendChatAction", at.params(map[string]any{"action": "typing"})); err != nil {
		_, err = explain(err)
		return err
	}
	return nil
}
