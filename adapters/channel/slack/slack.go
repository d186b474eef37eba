package slack

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/bureau-agents/bureau/adapters/channel/internal/cut"
	"github.com/bureau-agents/bureau/adapters/channel/internal/steady"
	"github.com/bureau-agents/bureau/ports/channel"
)

const (
	// DefaultBaseURL is Slack's own.
	DefaultBaseURL = "https://slack.com"
	// BotToken is the name of the bot's token (xoxb-).
	BotToken = "slack_bot_token" //nolint:gosec // the name of one
	// AppToken is the name of the app's token (xapp-).
	AppToken = "slack_app_token" //nolint:gosec // likewise
	// MaxText is how long a message is at most, in characters. Slack takes ten times that, and shows it badly.
	MaxText = 4000

	callTime    = 15 * time.Second
	sendTries   = 5
	longestWait = time.Minute // that a send is worth
)

// Config of a Channel. HTTP is required: it must allow connections that last, and be changed to another protocol.
type Config struct {
	HTTP    *http.Client
	BaseURL string        // "" is DefaultBaseURL
	Pauses  steady.Pauses // between tries
	Ping    time.Duration // how often a connection is asked whether it is there; 0 is 20 s
}

// Channel is Slack. It is safe for concurrent use.
type Channel struct{ cfg Config }

var _ channel.Channel = (*Channel)(nil)

// New returns the channel, or an error that names what is missing.
func New(cfg Config) (*Channel, error) {
	if cfg.HTTP == nil {
		return nil, errors.New("slack: Config.HTTP is required")
	}
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, DefaultBaseURL), "/")
	cfg.Ping = cmp.Or(cfg.Ping, 20*time.Second)
	return &Channel{cfg}, nil
}

// Name implements channel.Channel.
func (*Channel) Name() string { return "slack" }

// Tokens implements channel.Channel.
func (*Channel) Tokens() []string { return []string{BotToken, AppToken} }

// api returns the client of an account, who needs the tokens that are named.
func (c *Channel) api(a channel.Account, names ...string) (*slack.Client, error) {
	for _, name := range names {
		if a.Tokens[name] == "" {
			return nil, channel.ErrTokens.Withf("the secret %s is missing", name)
		}
	}
	return slack.New(a.Tokens[BotToken], slack.OptionAppLevelToken(a.Tokens[AppToken]), slack.OptionHTTPClient(c.cfg.HTTP),
		slack.OptionAPIURL(c.cfg.BaseURL+"/api/")), nil
}

var (
	// What Slack says of tokens that are worth nothing, or not enough.
	badToken = []string{
		"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type", "missing_scope", "invalid_app_id",
		"no_permission", "ekm_access_denied", "forbidden_team",
	}
	// What it says when it may be better the next time.
	passing = []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited", "rate_limited"}
)

// explain turns an error of the client into one of the port, and says how long to wait at least. It never has a token.
func explain(err error) (after time.Duration, why error) {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // connections have a ticket in their URL
	}
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return limited.RetryAfter, channel.ErrUnreachable.Withf("Slack asks for a pause")
	}
	said, ok := errors.AsType[slack.SlackErrorResponse](err)
	switch {
	case errors.Is(err, channel.ErrTokens), errors.Is(err, channel.ErrUnreachable):
		return 0, err
	case !ok || slices.Contains(passing, said.Err):
		return 0, channel.ErrUnreachable.Withf("Slack cannot be reached, or does not answer as it should").Wrap(err)
	case slices.Contains(badToken, said.Err):
		return 0, channel.ErrTokens.Withf("Slack does not take the tokens: %s", said.Err)
	}
	return 0, channel.ErrChat.Withf("Slack does not deliver to this chat: %s", said.Err)
}

// Send implements channel.Channel. What Slack would take for a mention of people or for a link stays text.
func (c *Channel) Send(ctx context.Context, a channel.Account, to, text string) error {
	api, err := c.api(a, BotToken)
	if err != nil {
		return err
	}
	at, err := parsePlace(to)
	if err != nil {
		return err
	}
	for _, part := range cut.Text(text, MaxText, units) {
		if err := c.send(ctx, api, at, part); err != nil {
			return err
		}
	}
	return nil
}

func (c *Channel) send(ctx context.Context, api *slack.Client, at place, text string) error {
	options := []slack.MsgOption{
		slack.MsgOptionText(escaper.Replace(text), false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if at.thread != "" {
		options = append(options, slack.MsgOptionTS(at.thread))
	}
	for try := 1; ; try++ {
		asking, cancel := context.WithTimeout(ctx, callTime)
		_, _, err := api.PostMessageContext(asking, at.channel, options...)
		cancel()
		if err == nil {
			return nil
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

// Typing implements channel.Channel. Bots have no such sign in Slack.
func (c *Channel) Typing(_ context.Context, a channel.Account, to string) error {
	if _, err := c.api(a, BotToken); err != nil {
		return err
	}
	_, err := parsePlace(to)
	return err
}
