package channeltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/channel"
)

// Inbox is an inbox for tests. It is safe for concurrent use.
type Inbox struct {
	mu       sync.Mutex
	taken    map[string]bool
	queue    chan channel.Message
	refuse   int
	refused  []channel.Message
	troubles []error
}

var _ channel.Inbox = (*Inbox)(nil)

// NewInbox returns one with room for a thousand messages.
func NewInbox() *Inbox {
	return &Inbox{taken: map[string]bool{}, queue: make(chan channel.Message, 1000)}
}

// errRefused is what Take returns while it is told to refuse.
var errRefused = errors.New("channeltest: the message is not taken")

// Take implements channel.Inbox.
func (i *Inbox) Take(_ context.Context, m channel.Message) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.refuse > 0 {
		i.refuse--
		i.refused = append(i.refused, m)
		return errRefused
	}
	if !i.taken[m.Key] {
		i.taken[m.Key] = true
		i.queue <- m
	}
	return nil
}

// Trouble implements channel.Inbox.
func (i *Inbox) Trouble(_ context.Context, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.troubles = append(i.troubles, err)
}

// Refuse has the next calls of Take fail.
func (i *Inbox) Refuse(times int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuse = times
}

// Refused returns the messages that were refused.
func (i *Inbox) Refused() []channel.Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.refused)
}

// Troubles returns what Trouble was told.
func (i *Inbox) Troubles() []error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.troubles)
}

// Len is how many messages wait for Next.
func (i *Inbox) Len() int { return len(i.queue) }

// Next returns the next message; the test fails when none comes in ten seconds.
func (i *Inbox) Next(tb testing.TB) channel.Message {
	tb.Helper()
	select {
	case m := <-i.queue:
		return m
	case <-time.After(10 * time.Second):
		tb.Fatal("channeltest: no message comes in")
		return channel.Message{}
	}
}
