// Package openai is an embedder over the embeddings call of OpenAI, and of every server that speaks it.
package openai

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of this package beside embedding.ErrUnavailable.
var (
	// ErrRefused is returned when the provider refuses the request or the key; trying again does not help.
	ErrRefused = fault.New(fault.Internal, "embedder_refused", "the embedding provider refused the request")
	// ErrRateLimited is returned when the provider asks to slow down.
	ErrRateLimited = fault.New(fault.RateLimited, "embedder_rate_limited", "the embedding provider is asked too often")
	// ErrAnswer is returned when the provider's answer is not what was asked for.
	ErrAnswer = fault.New(fault.Internal, "embedder_answer", "the embedding provider gave an answer that cannot be used")
)

const (
	defaultBaseURL = "https://api.openai.com/v1"
	defaultBatch   = 256
	defaultTimeout = 60 * time.Second
)

// Config of an Embedder.
type Config struct {
	// BaseURL is where the API is, with or without "/v1" at its end; "" is OpenAI's.
	BaseURL string
	// Key is sent as a bearer token; "" sends none.
	Key string
	// Model is required: "text-embedding-3-small".
	Model string
	// Dimensions is the length of the vectors; it is required. It is sent to the provider as well when RequestDimensions is set, which
	// models that can shorten their vectors understand.
	Dimensions        int
	RequestDimensions bool
	// Batch is how many texts one request holds at most; 0 is 256.
	Batch int
	// Client does the requests; nil is one with a time-out of 60 s.
	Client *http.Client
}

// Embedder implements embedding.Embedder. It is safe for concurrent use.
type Embedder struct {
	client *openai.Client
	cfg    Config
}

var _ embedding.Embedder = (*Embedder)(nil)

// New returns an Embedder, or an error that names what the configuration lacks. It asks the provider nothing.
func New(cfg Config) (*Embedder, error) {
	switch {
	case cfg.Model == "":
		return nil, errors.New("embedding/openai: Config.Model is required")
	case cfg.Dimensions < 1:
		return nil, errors.New("embedding/openai: Config.Dimensions is required")
	}
	if cfg.Batch < 1 {
		cfg.Batch = defaultBatch
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: defaultTimeout}
	}
	cc := openai.DefaultConfig(cfg.Key)
	cc.BaseURL = baseURL(cfg.BaseURL)
	cc.HTTPClient = cfg.Client
	return &Embedder{client: openai.NewClientWithConfig(cc), cfg: cfg}, nil
}

// baseURL returns s as the client library wants it: with the version and without a slash at the end.
func baseURL(s string) string {
	if s == "" {
		return defaultBaseURL
	}
	s = strings.TrimRight(s, "/")
	if last := s[strings.LastIndexByte(s, '/')+1:]; len(last) > 1 && last[0] == 'v' && '0' <= last[1] && last[1] <= '9' {
		return s
	}
	return s + "/v1"
}

// Info implements embedding.Embedder. The name holds the dimensions when they were asked for, because a shortened vector is not
// compared with one that is not.
func (e *Embedder) Info() embedding.Info {
	name := "openai/" + e.cfg.Model
	if e.cfg.RequestDimensions {
		name += "@" + strconv.Itoa(e.cfg.Dimensions)
	}
	return embedding.Info{Name: name, Dimensions: e.cfg.Dimensions}
}

// Embed implements embedding.Embedder. Besides embedding.ErrUnavailable it returns ErrRateLimited, ErrRefused and ErrAnswer.
func (e *Embedder) Embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]embedding.Vector, 0, len(texts))
	for len(texts) > 0 {
		n := min(len(texts), e.cfg.Batch)
		got, err := e.embed(ctx, texts[:n])
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
		texts = texts[n:]
	}
	return out, nil
}

func (e *Embedder) embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	req := openai.EmbeddingRequestStrings{
		Input: make([]string, len(texts)), Model: openai.EmbeddingModel(e.cfg.Model), EncodingFormat: openai.EmbeddingEncodingFormatFloat,
	}
	for i, t := range texts {
		req.Input[i] = strings.ToValidUTF8(t, "\uFFFD")
	}
	if e.cfg.RequestDimensions {
		req.Dimensions = e.cfg.Dimensions
	}
	resp, err := e.client.CreateEmbeddings(ctx, req)
	if err != nil {
		return nil, mapErr(ctx, err)
	}
	if len(resp.Data) != len(texts) {
		return nil, ErrAnswer.Withf("the embedding provider gave %d vectors for %d texts", len(resp.Data), len(texts))
	}
	out := make([]embedding.Vector, len(texts))
	for _, d := range resp.Data {
		if d.Index < 0 || d.Index >= len(out) || out[d.Index] != nil {
			return nil, ErrAnswer.Withf("the embedding provider numbered its vectors wrongly")
		}
		if len(d.Embedding) != e.cfg.Dimensions {
			return nil, ErrAnswer.Withf("the embedding provider gave a vector of %d dimensions, not %d", len(d.Embedding), e.cfg.Dimensions)
		}
		v, ok := normalise(d.Embedding)
		if !ok {
			return nil, ErrAnswer.Withf("the embedding provider gave a vector without direction")
		}
		out[d.Index] = v
	}
	return out, nil
}

// normalise returns v with norm 1, since not every server does that; it reports false for what has no direction.
func normalise(v []float32) (embedding.Vector, bool) {
	var square float64
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	if square == 0 || math.IsNaN(square) || math.IsInf(square, 0) {
		return nil, false
	}
	scale := 1 / math.Sqrt(square)
	out := make(embedding.Vector, len(v))
	for i, x := range v {
		out[i] = float32(float64(x) * scale)
	}
	return out, true
}

// mapErr turns the library's errors into those of the port. What the provider says is kept as the cause: it may quote a part of
// the key.
func mapErr(ctx context.Context, err error) error {
	if cerr := ctx.Err(); cerr != nil {
		return cerr
	}
	status := 0
	if api, ok := errors.AsType[*openai.APIError](err); ok {
		status = api.HTTPStatusCode
	} else if req, ok := errors.AsType[*openai.RequestError](err); ok {
		status = req.HTTPStatusCode
	}
	switch {
	case status == http.StatusTooManyRequests:
		return ErrRateLimited.WithRetry(time.Second).Wrap(err)
	case status >= 500, status == http.StatusRequestTimeout:
		return embedding.ErrUnavailable.Wrap(err)
	case status == 0: // no answer, or one with a good status that is no JSON
		if _, ok := errors.AsType[*json.SyntaxError](err); ok {
			return ErrAnswer.Wrap(err)
		}
		return embedding.ErrUnavailable.Wrap(err)
	}
	return ErrRefused.Withf("the embedding provider refused the request with status %d", status).Wrap(err)
}
