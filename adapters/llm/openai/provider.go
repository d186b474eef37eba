package openai

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	vendor "github.com/sashabaranov/go-openai"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// DefaultBaseURL is OpenAI's own.
const DefaultBaseURL = "https://api.openai.com/v1"

// Config says which server, and how to talk to it.
type Config struct {
	Name             string            // what Name returns, as prices know it; "" is "openai"
	BaseURL          string            // with or without the version at its end; "" is DefaultBaseURL
	APIKey           string            // "" sends none, as local servers want it
	Model            string            // for requests that name none
	Headers          map[string]string // sent with every request
	FirstByteTimeout time.Duration     // how long to wait for a first byte; 0 is 60 s
	IdleTimeout      time.Duration     // how long to wait between two; 0 is 120 s
	Transport        http.RoundTripper // nil is http.DefaultTransport
}

// Provider calls one server.
type Provider struct {
	config   Config
	client   *vendor.Client
	official bool
}

var _ llm.Provider = (*Provider)(nil)

// New checks config and returns a Provider. It makes no request.
func New(config Config) (*Provider, error) {
	base, err := baseURL(config.BaseURL)
	if err != nil {
		return nil, err
	}
	if config.Name == "" {
		config.Name = "openai"
	}
	header := http.Header{}
	for name, value := range config.Headers {
		header.Set(name, value)
	}
	cc := vendor.DefaultConfig(config.APIKey)
	cc.BaseURL = base.String()
	// Servers that are busy send many comment lines; the body reader drops them, so that no count of them means anything.
	cc.EmptyMessagesLimit = 1 << 30
	cc.HTTPClient = wire.Client(&sseTransport{&wire.Transport{
		Base: config.Transport, FirstByte: config.FirstByteTimeout, Idle: config.IdleTimeout, Header: header,
	}})
	official := strings.HasSuffix(base.Hostname(), ".openai.com") || strings.HasSuffix(base.Hostname(), ".openai.azure.com")
	return &Provider{config: config, client: vendor.NewClientWithConfig(cc), official: official}, nil
}

var version = regexp.MustCompile(`(?:^|/)v\d+[a-z]*\d*(?:/|$)`)

// baseURL completes a base URL: one without a version in its path gets /v1.
func baseURL(text string) (*url.URL, error) {
	if text == "" {
		text = DefaultBaseURL
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("openai: Config.BaseURL %q is no http or https address", text)
	}
	u.Path = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/chat/completions"), "/")
	if !version.MatchString(u.Path) {
		u.Path += "/v1"
	}
	u.RawPath = ""
	return u, nil
}

// Name returns the configured name.
func (p *Provider) Name() string { return p.config.Name }

// Generate streams one chat completion.
func (p *Provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		if req.Model == "" {
			req.Model = p.config.Model
		}
		body, err := p.request(req)
		if err != nil {
			yield(llm.Event{}, err)
			return
		}
		// Leaving the loop, however, ends the request.
		calling, cancel := context.WithCancel(ctx)
		defer cancel()
		calling, exchange := wire.WithExchange(calling)
		stream, err := p.client.CreateChatCompletionStream(calling, body)
		if err != nil {
			yield(llm.Event{}, failure(ctx, err, exchange))
			return
		}
		defer stream.Close() //nolint:errcheck // the answer is read or given up by then

		if err := exchange.NoStream(); err != nil {
			yield(llm.Event{}, err)
			return
		}
		answer := newAnswer(req.Model)
		for {
			raw, err := stream.RecvRaw()
			if errors.Is(err, io.EOF) && answer.complete() {
				resp, err := answer.response()
				yield(llm.Event{Response: resp}, err)
				return
			}
			if err != nil {
				yield(llm.Event{}, streamFailure(ctx, err))
				return
			}
			events, err := answer.add(raw)
			if err != nil {
				yield(llm.Event{}, err)
				return
			}
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
