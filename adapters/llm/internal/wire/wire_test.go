package wire_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", "0.5", 500 * time.Millisecond},
		{"Retry-After-Ms", "250", 250 * time.Millisecond},
		{"Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT", 30 * time.Second},
		{"Retry-After", "Sun, 01 Mar 2026 11:00:00 GMT", 0},
		{"Retry-After", "-3", 0},
		{"Retry-After", "NaN", 0},
		{"Retry-After", "1e300", 0},
		{"Retry-After", "soon", 0},
		{"X-Other", "7", 0},
	}
	for _, tt := range tests {
		header := http.Header{}
		header.Set(tt.name, tt.value)
		if got := wire.RetryAfter(header, now); got != tt.want {
			t.Errorf("%s: %s is %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	reset := errors.New("connection reset")
	tests := []struct {
		name  string
		ctx   context.Context
		err   error
		began bool
		want  error
	}{
		{"cancelled", cancelled, reset, true, context.Canceled},
		{"before", t.Context(), reset, false, llm.ErrOverloaded},
		{"in the middle", t.Context(), reset, true, llm.ErrCutStream},
		{"known", t.Context(), llm.ErrTimeout.Wrap(reset), true, llm.ErrTimeout},
	}
	for _, tt := range tests {
		if got := wire.Broken(tt.ctx, tt.err, tt.began); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestStatusKeepsKeysBack(t *testing.T) {
	t.Parallel()
	told, ok := fault.As(wire.Status(http.StatusUnauthorized, "Incorrect API key provided: sk-1234", nil))
	if !ok || told.Message != llm.ErrCredentials.Message {
		t.Errorf("message %q, want the port's own", told.Message)
	}
}

// endless never stops.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func (endless) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(endless{})}, nil
}

// An answer without end must not fill the memory.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://model.example", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&wire.Transport{Base: endless{}}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	const enough = 1 << 30
	if n, err := io.CopyN(io.Discard, resp.Body, enough); n == enough || n < 32<<20 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes were read, %v", n, err)
	}
}
