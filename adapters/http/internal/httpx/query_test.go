package httpx

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/ports/fault"
)

func TestQueriesOfTooManyParametersAreRefused(t *testing.T) {
	t.Parallel()
	op := &operation{query: []queryParam{{name: "field", kind: huma.TypeArray, empty: true}}}
	for n, want := range map[int]bool{maxParams: true, maxParams + 1: false, 10_001: false} {
		c := &call{op: op, r: httptest.NewRequest("GET", "/?"+strings.TrimSuffix(strings.Repeat("field=a&", n), "&"), nil)}
		if err := c.checkQuery(); (err == nil) != want || err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d parameters: %v", n, err)
		}
	}
}
