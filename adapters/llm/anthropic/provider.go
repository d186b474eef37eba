package anthropic

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	vendor "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

const (
	// DefaultBaseURL is Anthropic's own.
	DefaultBaseURL = "https://api.anthropic.com"
	// DefaultMaxTokens is the limit of an answer when a request names none; the API wants one.
	DefaultMaxTokens = 8192
	// minThinking is the smallest budget for reasoning that the API takes.
	minThinking = 1024
)

// Config says which server, and how to talk to it.
type Config struct {
	Name             string            // what Name returns, as prices know it; "" is "anthropic"
	BaseURL          string            // with or without /v1 at its end; "" is DefaultBaseURL
	APIKey           string            // required, save for servers that want none
	Model            string            // for requests that name none
	MaxTokens        int               // for requests that name no limit; 0 is DefaultMaxTokens
	ThinkingTokens   int               // budget for extended thinking, at least 1024; 0 leaves thinking to the model's default
	Cache            bool              // marks the conversation for the prompt cache, which lives for 5 minutes
	Headers          map[string]string // sent with every request
	FirstByteTimeout time.Duration     // how long to wait for a first byte; 0 is 60 s
	IdleTimeout      time.Duration     // how long to wait between two; 0 is 120 s
	Transport        http.RoundTripper // nil is http.DefaultTransport
}

// Provider calls one server.
type Provider struct {
	config   Config
	messages vendor.MessageService
}

var _ llm.Provider = (*Provider)(nil)

// New checks config and returns a Provider. It makes no request.
func New(config Config) (*Provider, error) {
	if config.Name == "" {
		config.Name = "anthropic"
	}
	if config.MaxTokens == 0 {
		config.MaxTokens = DefaultMaxTokens
	}
	if config.MaxTokens < 0 {
		return nil, fmt.Errorf("anthropic: Config.MaxTokens is %d, and must be positive", config.MaxTokens)
	}
	if config.ThinkingTokens != 0 && config.ThinkingTokens < minThinking {
		return nil, fmt.Errorf("anthropic: Config.ThinkingTokens is %d, and must be 0 or at least %d", config.ThinkingTokens, minThinking)
	}
	base := config.BaseURL
	if base == "" {
		base = DefaultBaseURL
	}
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("anthropic: Config.BaseURL %q is no http or https address", base)
	}
	// The client appends "v1/messages".
	u.Path = strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/messages"), "/v1") + "/"
	u.RawPath = ""

	header := http.Header{}
	for name, value := range config.Headers {
		header.Set(name, value)
	}
	options := []option.RequestOption{
		option.WithBaseURL(u.String()),
		option.WithHTTPClient(wire.Client(&wire.Transport{
			Base: config.Transport, FirstByte: config.FirstByteTimeout, Idle: config.IdleTimeout, Header: header,
		})),
		// The caller retries: it knows what was already shown.
		option.WithMaxRetries(0),
		option.WithTracerProvider(noop.NewTracerProvider()),
	}
	if config.APIKey != "" {
		options = append(options, option.WithAPIKey(config.APIKey))
	}
	return &Provider{config: config, messages: vendor.NewMessageService(options...)}, nil
}

// Name returns the configured name.
func (p *Provider) Name() string { return p.config.Name }

// Generate streams one message.
func (p *Provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		params, err := p.request(req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		// Leaving the loop, however, ends the request.
		calling, cancel := context.WithCancel(ctx)
		defer cancel()
		calling, exchange := wire.WithExchange(calling)
		stream := p.messages.NewStreaming(calling, params)
		defer stream.Close() //nolint:errcheck // the answer is read or given up by then
		if stream.Err() == nil {
			if err := exchange.NoStream(); err != nil {
				yield(llm.Event{}, err)
				return
			}
		}

		answer := newAnswer(params.Model)
		for stream.Next() {
			event := stream.Current()
			deltas, err := answer.add(&event)
			if err != nil {
				yield(llm.Event{}, err)
				return
			}
			for _, e := range deltas {
				if !yield(e, nil) {
					return
				}
			}
			if answer.done {
				resp, err := answer.response()
				yield(llm.Event{Response: resp}, err)
				return
			}
		}
		yield(llm.Event{}, failure(ctx, stream.Err(), exchange))
	}
}
