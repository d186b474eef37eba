// Package bustest is the conformance suite of ports/bus: every Bus runs it.
package bustest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/bus"
)

// Config says what is tested.
type Config struct {
	// New returns the buses of the processes of one server: one, or several where the implementation connects several. The tests run in
	// parallel and may share a server: each uses topics of its own.
	New func(t *testing.T) []bus.Bus
}

// patience is how long the suite waits for what should come.
const patience = 10 * time.Second

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, []bus.Bus){
		"EverySubscriber": testEverySubscriber, "Topics": testTopics, "Order": testOrder, "Stop": testStop,
		"ContextEnds": testContextEnds, "Payloads": testPayloads, "TooLong": testTooLong, "BadTopic": testBadTopic,
		"SlowReceiver": testSlowReceiver, "OneAtATime": testOneAtATime, "NoAlias": testNoAlias,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, cfg.New(t))
		})
	}
}

func subscribe(t *testing.T, b bus.Bus, topic string) <-chan []byte {
	t.Helper()
	c := make(chan []byte, 1024)
	stop, err := b.Subscribe(context.Background(), topic, func(p []byte) { c <- p })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return c
}

func publish(t *testing.T, b bus.Bus, topic, payload string) {
	t.Helper()
	if err := b.Publish(context.Background(), topic, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c <-chan []byte) string {
	t.Helper()
	select {
	case p := <-c:
		return string(p)
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func testEverySubscriber(t *testing.T, buses []bus.Bus) {
	var all []<-chan []byte
	for _, b := range buses {
		all = append(all, subscribe(t, b, "news"), subscribe(t, b, "news"))
	}
	for i, b := range buses {
		want := fmt.Sprintf("from %d", i)
		publish(t, b, "news", want)
		for _, c := range all {
			if got := receive(t, c); got != want {
				t.Errorf("received %q; want %q, once each", got, want)
			}
		}
	}
}

func testTopics(t *testing.T, buses []bus.Bus) {
	a := subscribe(t, buses[len(buses)-1], t.Name()+"/a")
	publish(t, buses[0], t.Name()+"/b", "for b")
	publish(t, buses[0], t.Name()+"/a", "for a")
	if got := receive(t, a); got != "for a" {
		t.Errorf("received %q; want what was published to the topic", got)
	}
}

func testOrder(t *testing.T, buses []bus.Bus) {
	c := subscribe(t, buses[len(buses)-1], "n")
	const n = 100
	for i := range n {
		publish(t, buses[0], "n", fmt.Sprint(i))
	}
	for i := range n {
		if got := receive(t, c); got != fmt.Sprint(i) {
			t.Fatalf("received %s; want %d", got, i)
		}
	}
}

func testStop(t *testing.T, buses []bus.Bus) {
	b := buses[0]
	var stopped atomic.Bool
	entered, leave := make(chan struct{}, 1024), make(chan struct{})
	stop, err := b.Subscribe(context.Background(), t.Name(), func([]byte) {
		if stopped.Load() {
			t.Error("called after stop returned")
		}
		entered <- struct{}{}
		<-leave
	})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, t.Name(), "1")
	publish(t, b, t.Name(), "2")
	<-entered
	done := make(chan struct{})
	go func() {
		stop()
		stopped.Store(true)
		close(done)
	}()
	close(leave)
	<-done
	stop() // a second time is harmless
	other := subscribe(t, b, t.Name())
	publish(t, b, t.Name(), "3")
	receive(t, other)
}

func testContextEnds(t *testing.T, buses []bus.Bus) {
	b := buses[0]
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan []byte, 1024)
	stop, err := b.Subscribe(ctx, t.Name(), func(p []byte) { c <- p })
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, t.Name(), "1")
	receive(t, c)
	cancel()
	stop() // after which the end is certain
	other := subscribe(t, b, t.Name())
	publish(t, b, t.Name(), "2")
	receive(t, other)
	if len(c) > 0 {
		t.Errorf("received %q after the context ended", <-c)
	}
	if _, err := b.Subscribe(ctx, t.Name(), func([]byte) {}); err == nil {
		t.Error("Subscribe with an ended context: no error")
	}
}

func testPayloads(t *testing.T, buses []bus.Bus) {
	c := subscribe(t, buses[len(buses)-1], t.Name())
	all := make([]byte, bus.MaxPayload)
	for i := range all {
		all[i] = byte(i)
	}
	for _, want := range [][]byte{
		nil, {0}, []byte("text, it's \"quoted\" \\ é \U0001F600"), {0xff, 0xfe}, bytes.Repeat([]byte("x"), bus.MaxPayload), all, []byte("end"),
	} {
		if err := buses[0].Publish(context.Background(), t.Name(), want); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, c); got != string(want) {
			t.Errorf("received %d bytes that differ from the %d sent:\n%s", len(got), len(want), cmp.Diff(want, []byte(got)))
		}
	}
}

func testTooLong(t *testing.T, buses []bus.Bus) {
	if err := buses[0].Publish(context.Background(), t.Name(), make([]byte, bus.MaxPayload+1)); err == nil {
		t.Error("a payload over MaxPayload: no error")
	}
}

func testBadTopic(t *testing.T, buses []bus.Bus) {
	for _, topic := range []string{"", "two words", "line\nbreak", "\x00"} {
		if err := buses[0].Publish(context.Background(), topic, nil); err == nil {
			t.Errorf("Publish to %q: no error", topic)
		}
		if _, err := buses[0].Subscribe(context.Background(), topic, func([]byte) {}); err == nil {
			t.Errorf("Subscribe to %q: no error", topic)
		}
	}
}

func testSlowReceiver(t *testing.T, buses []bus.Bus) {
	b := buses[0]
	release := make(chan struct{})
	stop, err := b.Subscribe(context.Background(), t.Name(), func([]byte) { <-release })
	if err != nil {
		t.Fatal(err)
	}
	c := subscribe(t, b, t.Name())
	for i := range 1000 { // neither waits nor grows without bound
		publish(t, b, t.Name(), fmt.Sprint(i))
		receive(t, c)
	}
	close(release)
	stop()
}

func testOneAtATime(t *testing.T, buses []bus.Bus) {
	var inside atomic.Int32
	var n atomic.Int32
	got := make(chan struct{}, 4096)
	last := buses[len(buses)-1]
	stop, err := last.Subscribe(context.Background(), t.Name(), func([]byte) {
		if inside.Add(1) != 1 {
			t.Error("two calls of one subscription at a time")
		}
		n.Add(1)
		inside.Add(-1)
		got <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				publish(t, buses[0], t.Name(), "p")
			}
		})
	}
	wg.Wait()
	select {
	case <-got:
	case <-time.After(patience):
		t.Error("nothing came")
	}
}

func testNoAlias(t *testing.T, buses []bus.Bus) {
	first, second := subscribe(t, buses[0], t.Name()), subscribe(t, buses[0], t.Name())
	p := []byte("before")
	if err := buses[0].Publish(context.Background(), t.Name(), p); err != nil {
		t.Fatal(err)
	}
	copy(p, "AFTER!")
	got := <-first
	copy(got, "?")
	if s := receive(t, second); s != "before" || string(got) != "?efore" {
		t.Errorf("received %q and %q; want copies of what was published", got, s)
	}
}
