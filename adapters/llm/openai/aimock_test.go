package openai_test

import (
	"net/http"
	"testing"

	"github.com/bureau-agents/bureau/adapters/llm/internal/aimock"
	"github.com/bureau-agents/bureau/adapters/llm/openai"
)

func TestAgainstMockServer(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for _, suffix := range []string{"", "/v1"} {
		p, err := openai.New(openai.Config{BaseURL: aimock.Start(t) + suffix, APIKey: "test-key", Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		aimock.Check(t, p)
	}
}
