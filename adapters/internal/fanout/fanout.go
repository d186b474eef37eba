// Package fanout delivers messages to the subscribers of a topic within one process. Both buses are built on it.
package fanout

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/bureau-agents/bureau/ports/bus"
)

// maxTopic is the longest topic in bytes.
const maxTopic = 256

// backlog is how many messages wait for a subscriber at most; the oldest make way, since the newest hint is the one that counts.
const backlog = 256

// Check refuses what no bus carries.
func Check(topic string, payload []byte) error {
	if topic == "" || len(topic) > maxTopic {
		return fmt.Errorf("bus: a topic of %d bytes; want 1 to %d", len(topic), maxTopic)
	}
	for i := range len(topic) {
		if topic[i] <= ' ' || topic[i] > '~' {
			return fmt.Errorf("bus: topic %q: want printable ASCII without spaces", topic)
		}
	}
	if len(payload) > bus.MaxPayload {
		return fmt.Errorf("bus: a payload of %d bytes; at most %d", len(payload), bus.MaxPayload)
	}
	return nil
}

// Hub knows the subscribers of this process. The zero Hub is ready. It is safe for concurrent use.
type Hub struct {
	mu     sync.Mutex
	topics map[string]map[*subscription]struct{}
}

// subscription calls one function, one message at a time. It has a goroutine only while messages wait.
type subscription struct {
	fn func([]byte)

	mu      sync.Mutex
	idle    *sync.Cond // signalled when running turns false
	queue   [][]byte
	running bool
	stopped bool
}

// Deliver hands a copy of payload to every subscriber of topic. It does not wait for them.
func (h *Hub) Deliver(topic string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.topics[topic] {
		s.add(bytes.Clone(payload))
	}
}

// Subscribe is bus.Bus's.
func (h *Hub) Subscribe(ctx context.Context, topic string, fn func(payload []byte)) (stop func(), err error) {
	if err := Check(topic, nil); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := &subscription{fn: fn}
	s.idle = sync.NewCond(&s.mu)
	h.mu.Lock()
	if h.topics == nil {
		h.topics = map[string]map[*subscription]struct{}{}
	}
	if h.topics[topic] == nil {
		h.topics[topic] = map[*subscription]struct{}{}
	}
	h.topics[topic][s] = struct{}{}
	h.mu.Unlock()
	remove := func() {
		h.mu.Lock()
		delete(h.topics[topic], s)
		if len(h.topics[topic]) == 0 {
			delete(h.topics, topic)
		}
		h.mu.Unlock()
		s.stop()
	}
	release := context.AfterFunc(ctx, remove)
	return func() {
		release()
		remove()
	}, nil
}

func (s *subscription) add(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	if len(s.queue) == backlog {
		s.queue = s.queue[1:]
	}
	s.queue = append(s.queue, payload)
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *subscription) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 && !s.stopped {
		p := s.queue[0]
		s.queue = s.queue[1:]
		s.mu.Unlock()
		s.fn(p)
		s.mu.Lock()
	}
	s.queue = nil
	s.running = false
	s.idle.Broadcast()
}

// stop waits for a call that has begun.
func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for s.running {
		s.idle.Wait()
	}
}
