// Package memory is the bus of a server that is one process.
package memory

import (
	"context"

	"github.com/bureau-agents/bureau/adapters/internal/fanout"
	"github.com/bureau-agents/bureau/ports/bus"
)

// Bus carries messages within this process. A subscriber that falls more than 256 messages behind loses the oldest.
type Bus struct{ hub fanout.Hub }

var _ bus.Bus = (*Bus)(nil)

// New returns a bus without subscribers.
func New() *Bus { return &Bus{} }

// Publish implements bus.Bus.
func (b *Bus) Publish(_ context.Context, topic string, payload []byte) error {
	if err := fanout.Check(topic, payload); err != nil {
		return err
	}
	b.hub.Deliver(topic, payload)
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(ctx context.Context, topic string, fn func(payload []byte)) (stop func(), err error) {
	return b.hub.Subscribe(ctx, topic, fn)
}
