package otel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// oneHost has one instance, named "there".
type oneHost struct{ runtime.Host }

func (oneHost) Name() string { return "process" }

func (oneHost) find(id string) error {
	if id != "there" {
		return runtime.ErrNoInstance
	}
	return nil
}

func (h oneHost) Start(_ context.Context, spec runtime.InstanceSpec) (runtime.Instance, error) {
	return runtime.Instance{ID: spec.ID, PID: 7}, nil
}

func (h oneHost) Stop(_ context.Context, id string, _ time.Duration) error { return h.find(id) }

func (h oneHost) Remove(_ context.Context, id string) error { return h.find(id) }

func (h oneHost) Stats(_ context.Context, id string) (runtime.Stats, error) {
	return runtime.Stats{Memory: 5}, h.find(id)
}

func (h oneHost) Inspect(_ context.Context, id string) (runtime.Instance, error) {
	return runtime.Instance{ID: id}, h.find(id)
}

func TestHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	h := otel.WrapHost(oneHost{}, l.Telemetry)
	ctx := l.root(t)
	i, err := h.Start(ctx, runtime.InstanceSpec{ID: "there", Env: map[string]string{"TOKEN": "secret"}, Command: []string{"secret"}})
	if err != nil || i.PID != 7 {
		t.Errorf("start: %+v, %v", i, err)
	}
	if s, err := h.Stats(ctx, "there"); err != nil || s.Memory != 5 {
		t.Errorf("stats: %+v, %v", s, err)
	}
	if _, err := h.Inspect(ctx, "there"); err != nil {
		t.Error(err)
	}
	if err := h.Stop(ctx, "elsewhere", time.Second); !errors.Is(err, runtime.ErrNoInstance) {
		t.Errorf("stop: %v", err)
	}
	if err := h.Remove(t.Context(), "there"); err != nil { // outside of a trace: no span
		t.Error(err)
	}
	var got []string
	for _, s := range l.ended(t) {
		got = append(got, fmt.Sprint(s.Name(), " ", attributes(s)))
	}
	want := []string{
		"instance start map[status:Unset]", "instance stats map[status:Unset]",
		"instance stop map[error.type:instance_not_found status:Error]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	wantCounts(t, l, "bureau_host_calls",
		`bureau_host_calls_total{host="process",operation="remove",outcome="ok"} 1`,
		`bureau_host_calls_total{host="process",operation="start",outcome="ok"} 1`,
		`bureau_host_calls_total{host="process",operation="stats",outcome="ok"} 1`,
		`bureau_host_calls_total{host="process",operation="stop",outcome="not_found"} 1`,
	)
}
