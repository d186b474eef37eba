package wire_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestFaultsSurviveTheWire(t *testing.T) {
	t.Parallel()
	for k := fault.Internal; k <= fault.Unsupported; k++ {
		want := fault.New(k, "some_code", "some words").WithFields(fault.Field{Path: "a.b", Message: "bad"}).WithRetry(90 * time.Second)
		got, ok := fault.As(wire.FromStatus(wire.ToStatus(want)))
		if !ok {
			t.Errorf("%v: not a fault any more", k)
			continue
		}
		if d := cmp.Diff([]any{want.Kind, want.Code, want.Message, want.Fields, want.RetryAfter},
			[]any{got.Kind, got.Code, got.Message, got.Fields, got.RetryAfter}); d != "" {
			t.Errorf("%v (-want +got):\n%s", k, d)
		}
	}
}

func TestOtherErrors(t *testing.T) {
	t.Parallel()
	if wire.ToStatus(nil) != nil || wire.FromStatus(nil) != nil {
		t.Error("no error became one")
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		if got := wire.FromStatus(wire.ToStatus(err)); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	if f, ok := fault.As(wire.FromStatus(wire.ToStatus(errors.New("boom")))); !ok || f.Kind != fault.Internal || f.Message != "boom" {
		t.Errorf("an error without a kind became %+v", f)
	}
	// What the transport says is not a plugin's word.
	transport := status.Error(codes.NotFound, "no such service")
	if _, ok := fault.As(wire.FromStatus(transport)); ok {
		t.Error("an error of the transport became a fault")
	}
}
