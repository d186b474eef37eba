package httpx

import (
	"testing"

	"github.com/danielgtaylor/huma/v2"
	humatext "github.com/danielgtaylor/huma/v2/validation"
	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/fault"
)

func TestFormsThatDoNotMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value any
		want  string
	}{
		{5.0, "has none of the forms that it may have: it is a number"},
		{true, "has none of the forms that it may have: it is a boolean"},
		{[]any{"5.00"}, "has none of the forms that it may have: it is a list"},
		{nil, "has none of the forms that it may have: it is null"},
		{"secret", "has none of the forms that it may have"},
		{map[string]any{"secret": 1.0}, "has none of the forms that it may have"},
	} {
		got := fieldOf(&huma.ErrorDetail{Location: "body.amount", Value: tc.value, Message: humatext.MsgExpectedMatchExactlyOneSchema})
		if d := cmp.Diff(fault.Field{Path: "amount", Message: tc.want}, got); d != "" {
			t.Errorf("%v (-want +got):\n%s", tc.value, d)
		}
	}
}
