package anthropic_test

import (
	"net/http"
	"testing"

	"github.com/bureau-agents/bureau/adapters/llm/anthropic"
	"github.com/bureau-agents/bureau/adapters/llm/internal/aimock"
)

func TestAgainstMockServer(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for _, suffix := range []string{"", "/v1"} {
		p, err := anthropic.New(anthropic.Config{BaseURL: aimock.Start(t) + suffix, APIKey: "test-key", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		aimock.Check(t, p)
	}
}
