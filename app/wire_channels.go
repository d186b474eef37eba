package app

import (
	"net/http"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/channel/slack"
	"github.com/bureau-agents/bureau/adapters/channel/telegram"
	"github.com/bureau-agents/bureau/ports/channel"
	"github.com/bureau-agents/bureau/ports/egress"
)

// channelModule offers the services in which people write to agents.
func channelModule() fx.Option {
	return fx.Module("channels", fx.Provide(
		fx.Annotate(provideTelegram, fx.ResultTags(`group:"channels"`)),
		fx.Annotate(provideSlack, fx.ResultTags(`group:"channels"`)),
	))
}

// channelClient reaches public addresses, and the one that the operator has named. Its requests and connections last, and the channels themselves
// bound what they read.
func channelClient(cfg Config, address string) (*http.Client, error) {
	c, err := egress.New(egress.Config{Allow: withHosts(cfg.EgressAllow, address), Timeout: -1, MaxBody: -1, MaxRedirects: -1})
	if err != nil {
		return nil, err
	}
	return c.HTTPClient(), nil
}

func provideTelegram(cfg Config) (channel.Channel, error) {
	client, err := channelClient(cfg, cfg.Channels.TelegramURL)
	if err != nil {
		return nil, err
	}
	return telegram.New(telegram.Config{HTTP: client, BaseURL: cfg.Channels.TelegramURL})
}

func provideSlack(cfg Config) (channel.Channel, error) {
	client, err := channelClient(cfg, cfg.Channels.SlackURL)
	if err != nil {
		return nil, err
	}
	return slack.New(slack.Config{HTTP: client, BaseURL: cfg.Channels.SlackURL})
}
