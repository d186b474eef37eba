package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/embedding/openai"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/embedding/embeddingtest"
)

const dims = 64

// vector counts the letters of a text: enough for texts to be alike.
func vector(text string) []float32 {
	v := make([]float32, dims)
	v[0] = 0.5
	for _, w := range strings.Fields(strings.ToLower(text)) {
		h := 7
		for _, r := range w[:min(4, len(w))] {
			h = h*31 + int(r)
		}
		v[uint(h)%dims]++
	}
	return v
}

// server speaks the embeddings call as https://platform.openai.com/docs/api-reference/embeddings describes it, and answers in the
// reverse order, which the index field allows.
func server(t *testing.T, seen func(r *http.Request, body map[string]any)) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Input []string `json:"input"`
			Model string   `json:"model"`
		}
		var raw map[string]any
		dec := json.NewDecoder(r.Body)
		var msg json.RawMessage
		if err := errors.Join(dec.Decode(&msg), json.Unmarshal(msg, &body), json.Unmarshal(msg, &raw)); err != nil {
			t.Error(err)
		}
		if seen != nil {
			seen(r, raw)
		}
		var data []string
		for i, text := range body.Input {
			v, err := json.Marshal(vector(text))
			if err != nil {
				t.Error(err)
			}
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":%s}`, i, v))
		}
		slices.Reverse(data)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"list","data":[%s],"model":%q,"usage":{"prompt_tokens":5,"total_tokens":5}}`, strings.Join(data, ","), body.Model)
	}))
	t.Cleanup(s.Close)
	return s
}

func newEmbedder(t *testing.T, cfg openai.Config) *openai.Embedder {
	t.Helper()
	if cfg.Model == "" {
		cfg.Model = "m"
	}
	if cfg.Dimensions == 0 {
		cfg.Dimensions = dims
	}
	e, err := openai.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSuite(t *testing.T) {
	t.Parallel()
	s := server(t, nil)
	embeddingtest.Run(t, embeddingtest.Config{New: func(t *testing.T) embedding.Embedder {
		return newEmbedder(t, openai.Config{BaseURL: s.URL, Batch: 3})
	}})
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got []map[string]any
	s := server(t, func(r *http.Request, body map[string]any) {
		body["path"], body["auth"] = r.Method+" "+r.URL.Path, r.Header.Get("Authorization")
		got = append(got, body)
	})
	e := newEmbedder(t, openai.Config{BaseURL: s.URL + "/v1/", Key: "sk-test", Model: "text-embedding-3-small", RequestDimensions: true, Batch: 2})
	if _, err := e.Embed(t.Context(), []string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	request := func(input ...any) map[string]any {
		return map[string]any{
			"path": "POST /v1/embeddings", "auth": "Bearer sk-test", "model": "text-embedding-3-small", "encoding_format": "float",
			"dimensions": float64(dims), "input": input,
		}
	}
	if diff := cmp.Diff([]map[string]any{request("a", "b"), request("c")}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	want := embedding.Info{Name: "openai/text-embedding-3-small@64", Dimensions: dims}
	if diff := cmp.Diff(want, e.Info()); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	list := func(vectors ...string) string { return `{"object":"list","data":[` + strings.Join(vectors, ",") + `]}` }
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"wrong key":     {401, `{"error":{"message":"Incorrect API key provided: sk-x","type":"invalid_request_error","code":"invalid_api_key"}}`, openai.ErrRefused},
		"unknown model": {404, `{"error":{"message":"no such model","type":"invalid_request_error"}}`, openai.ErrRefused},
		"too often":     {429, `{"error":{"message":"slow down","type":"rate_limit_error"}}`, openai.ErrRateLimited},
		"broken":        {500, `oops`, embedding.ErrUnavailable},
		"gateway":       {502, `<html>`, embedding.ErrUnavailable},
		"no JSON":       {200, `<html>`, openai.ErrAnswer},
		"too few":       {200, list(), openai.ErrAnswer},
		"short vector":  {200, list(`{"index":0,"embedding":[1]}`), openai.ErrAnswer},
		"wrong index":   {200, list(`{"index":7,"embedding":[1,0]}`), openai.ErrAnswer},
		"zero vector":   {200, list(`{"index":0,"embedding":[0,0]}`), openai.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer s.Close()
			_, err := newEmbedder(t, openai.Config{BaseURL: s.URL, Dimensions: 2}).Embed(t.Context(), []string{"a"})
			if !errors.Is(err, c.want) {
				t.Errorf("error %v; want %v", err, c.want)
			}
		})
	}
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if _, err := newEmbedder(t, openai.Config{BaseURL: s.URL}).Embed(t.Context(), []string{"a"}); !errors.Is(err, embedding.ErrUnavailable) {
		t.Errorf("nobody listens: %v; want ErrUnavailable", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []openai.Config{{Dimensions: 2}, {Model: "m"}} {
		if _, err := openai.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
