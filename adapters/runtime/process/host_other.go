//go:build !linux

package process

import (
	"context"
	"iter"
	"net"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// Host keeps instances on this machine, where that is Linux; here it has none.
type Host struct{}

var _ runtime.Host = (*Host)(nil)

var errHost = runtime.ErrIsolation.Withf("this server cannot host programs: that needs Linux")

// NewHost checks the configuration.
func NewHost(cfg HostConfig) (*Host, error) {
	_, err := cfg.checked()
	return &Host{}, err
}

// Name implements runtime.Host.
func (*Host) Name() string { return "process" }

// Check returns runtime.ErrIsolation.
func (*Host) Check(context.Context) error { return errHost }

// Close does nothing.
func (*Host) Close() error { return nil }

// Start implements runtime.Host.
func (*Host) Start(context.Context, runtime.InstanceSpec) (runtime.Instance, error) {
	return runtime.Instance{}, errHost
}

// Stop implements runtime.Host.
func (*Host) Stop(context.Context, string, time.Duration) error { return runtime.ErrNoInstance }

// Remove implements runtime.Host.
func (*Host) Remove(context.Context, string) error { return nil }

// Inspect implements runtime.Host.
func (*Host) Inspect(context.Context, string) (runtime.Instance, error) {
	return runtime.Instance{}, runtime.ErrNoInstance
}

// List implements runtime.Host.
func (*Host) List(context.Context) ([]runtime.Instance, error) { return nil, nil }

// Stats implements runtime.Host.
func (*Host) Stats(context.Context, string) (runtime.Stats, error) {
	return runtime.Stats{}, runtime.ErrNoInstance
}

// Logs implements runtime.Host.
func (*Host) Logs(context.Context, string, runtime.LogQuery) iter.Seq2[runtime.LogLine, error] {
	return func(yield func(runtime.LogLine, error) bool) { yield(runtime.LogLine{}, runtime.ErrNoInstance) }
}

// Dial implements runtime.Host.
func (*Host) Dial(context.Context, string) (net.Conn, error) { return nil, runtime.ErrNoInstance }
