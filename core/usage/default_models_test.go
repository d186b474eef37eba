package usage

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/model"
)

// TestDefaultModels checks that each of the models that are asked when none is named has a price.
func TestDefaultModels(t *testing.T) {
	t.Parallel()
	prices := builtinList(t)
	for _, provider := range []string{"anthropic", "openai", "google"} {
		if name := model.DefaultModel(provider); name == "" {
			t.Errorf("%s has no default model", provider)
		} else if _, ok := prices.Find(provider, name, time.Now()); !ok {
			t.Errorf("%s: %q has no price", provider, name)
		}
	}
	if got := model.DefaultModel("other"); got != "" {
		t.Errorf("an unknown provider's default is %q", got)
	}
}
