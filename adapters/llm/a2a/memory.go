package a2a

import (
	"context"
	"sync"
)

// memory keeps conversations that have a task waiting, or another context than their name, in this process.
type memory struct {
	mu  sync.Mutex
	all map[string]Conversation
}

// maxRemembered bounds how many conversations are remembered: of those that are forgotten, an answer begins a new task.
const maxRemembered = 10_000

// Load implements Conversations.
func (m *memory) Load(_ context.Context, name string) (Conversation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[name], nil
}

// Save implements Conversations.
func (m *memory) Save(_ context.Context, name string, c Conversation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, name)
	if (c.Task != "" || c.Context != name) && len(m.all) < maxRemembered {
		if m.all == nil {
			m.all = map[string]Conversation{}
		}
		m.all[name] = c
	}
	return nil
}
