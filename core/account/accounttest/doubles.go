package accounttest

import (
	"bytes"
	"context"
	"sync"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// Bus delivers at once, in the caller's goroutine. The zero value is ready; several services may share one, as processes do.
type Bus struct {
	mu   sync.Mutex
	next int
	subs map[string]map[int]func([]byte)
}

var _ bus.Bus = (*Bus)(nil)

// Publish implements bus.Bus.
func (b *Bus) Publish(_ context.Context, topic string, payload []byte) error {
	b.mu.Lock()
	var fns []func([]byte)
	for _, fn := range b.subs[topic] {
		fns = append(fns, fn)
	}
	b.mu.Unlock()
	for _, fn := range fns {
		fn(bytes.Clone(payload))
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(_ context.Context, topic string, fn func([]byte)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = make(map[string]map[int]func([]byte))
	}
	if b.subs[topic] == nil {
		b.subs[topic] = make(map[int]func([]byte))
	}
	b.next++
	n := b.next
	b.subs[topic][n] = fn
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[topic], n)
	}, nil
}

// Subscribers returns how many listen to anything.
func (b *Bus) Subscribers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, subs := range b.subs {
		n += len(subs)
	}
	return n
}

// Keeper marks what it sealed with its place and turns its bits over, so that a test sees whether a value was sealed.
type Keeper struct{}

var _ keeper.Keeper = Keeper{}

// Seal implements keeper.Keeper.
func (Keeper) Seal(_ context.Context, place string, plaintext []byte) ([]byte, error) {
	out := append([]byte(place), 0)
	for _, b := range plaintext {
		out = append(out, ^b)
	}
	return out, nil
}

// Open implements keeper.Keeper.
func (Keeper) Open(_ context.Context, place string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, append([]byte(place), 0))
	if !ok {
		return nil, keeper.ErrOpen
	}
	out := make([]byte, 0, len(rest))
	for _, b := range rest {
		out = append(out, ^b)
	}
	return out, nil
}

// Audit remembers what was recorded. The zero value is ready.
type Audit struct {
	mu      sync.Mutex
	entries []AuditEntry
}

// AuditEntry is a call of Audit.Record.
type AuditEntry struct {
	Action   string
	Metadata map[string]any
}

var _ account.Auditor = (*Audit)(nil)

// Record implements account.Auditor.
func (a *Audit) Record(_ context.Context, _ account.Scope, action string, metadata map[string]any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, AuditEntry{action, metadata})
	return nil
}

// Actions returns what was recorded so far.
func (a *Audit) Actions() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]string, len(a.entries))
	for i, e := range a.entries {
		out[i] = e.Action
	}
	return out
}
