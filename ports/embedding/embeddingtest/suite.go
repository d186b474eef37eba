// Package embeddingtest is the conformance suite of embedding.Embedder.
package embeddingtest

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/embedding"
)

// Config of the suite.
type Config struct {
	// New returns an embedder. It is called once per subtest.
	New func(t *testing.T) embedding.Embedder
}

// texts are what every embedder must cope with.
var texts = []string{
	"The office opens at nine.",
	"a",
	"?!",
	" \t\n",
	"\u00e9t\u00e9 d\u00e9j\u00e0 \u4f60\u597d \U0001f600 \u0645\u0631\u062d\u0628\u0627",
	"\x00\xff not quite UTF-8",
	strings.Repeat("long text ", 400),
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, embedding.Embedder){
		"shape":          shape,
		"determinism":    determinism,
		"order":          order,
		"empty list":     emptyList,
		"likeness":       likeness,
		"cancelled":      cancelled,
		"concurrent use": concurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, cfg.New(t))
		})
	}
}

func embed(t *testing.T, e embedding.Embedder, texts ...string) []embedding.Vector {
	t.Helper()
	out, err := e.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != len(texts) {
		t.Fatalf("%d vectors for %d texts", len(out), len(texts))
	}
	return out
}

func shape(t *testing.T, e embedding.Embedder) {
	info := e.Info()
	if info.Name == "" || info.Dimensions < 1 {
		t.Fatalf("Info is %+v; want a name and dimensions", info)
	}
	for i, v := range embed(t, e, texts...) {
		if len(v) != info.Dimensions {
			t.Errorf("%q has %d dimensions; want %d", texts[i], len(v), info.Dimensions)
		}
		var sum float64
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		if math.Abs(math.Sqrt(sum)-1) > 1e-5 { // not a number fails, too
			t.Errorf("%q has norm %g; want 1", texts[i], math.Sqrt(sum))
		}
	}
}

func determinism(t *testing.T, e embedding.Embedder) {
	if diff := cmp.Diff(embed(t, e, texts...), embed(t, e, texts...)); diff != "" {
		t.Errorf("the same texts twice:\n%s", diff)
	}
}

// order checks that a text has one vector, wherever it stands among others.
func order(t *testing.T, e embedding.Embedder) {
	all := embed(t, e, texts...)
	for i, text := range texts {
		if got := embedding.Cosine(embed(t, e, text)[0], all[i]); got < 0.999999 {
			t.Errorf("%q alone and as number %d have similarity %g", text, i, got)
		}
	}
}

func emptyList(t *testing.T, e embedding.Embedder) {
	if got := embed(t, e); len(got) != 0 {
		t.Errorf("%d vectors of nothing", len(got))
	}
}

func likeness(t *testing.T, e embedding.Embedder) {
	v := embed(t, e, "When does the office open?", "The office opens at nine.", "Penguins cannot fly.")
	near, far := embedding.Cosine(v[0], v[1]), embedding.Cosine(v[0], v[2])
	if near <= far {
		t.Errorf("a question is %g like its answer and %g like something else", near, far)
	}
}

func cancelled(t *testing.T, e embedding.Embedder) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Embed(ctx, []string{"a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v; want context.Canceled", err)
	}
}

func concurrent(t *testing.T, e embedding.Embedder) {
	want := embed(t, e, texts[0])
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := e.Embed(t.Context(), texts[:1])
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
}
