package valar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func kinds(t *testing.T, r request) []string {
	t.Helper()
	var body struct{ Events []NewEvent }
	if err := json.Unmarshal([]byte(r.body), &body); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	out := make([]string, len(body.Events))
	for i, e := range body.Events {
		out[i] = e.EventType
	}
	return out
}

func batchesOf(t *testing.T, f *fake) (sizes []int) {
	t.Helper()
	for _, r := range f.seen() {
		sizes = append(sizes, len(kinds(t, r)))
	}
	return sizes
}

func logSome(b *Batcher, agent string, n int) {
	for i := range n {
		b.Log(NewEvent{AgentID: agent, EventType: fmt.Sprint("e", i)})
	}
}

func closeWell(t *testing.T, b *Batcher) {
	t.Helper()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := b.Pending(); n != 0 {
		t.Errorf("%d events are pending", n)
	}
}

var stored = answer{status: 201, body: `{"created":0,"events":[]}`}

func TestBatcherWaitsForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(stored)
		b := f.client(t).NewBatcher(BatcherConfig{})
		start := time.Now()
		payload := map[string]int{"n": 1}
		b.Log(NewEvent{AgentID: agentID, EventType: "e0", Payload: payload})
		payload["n"] = 2 // too late to be seen
		time.Sleep(time.Second)
		b.Log(NewEvent{AgentID: agentID, EventType: "e1"})
		time.Sleep(10 * time.Second)
		s := f.seen()
		if len(s) != 1 || s[0].at.Sub(start) != DefaultInterval || !strings.Contains(s[0].body, `{"n":1}`) {
			t.Fatalf("%+v", s)
		}
		if s[0].body != `{"events":[{"agent_id":"`+agentID+`","event_type":"e0","payload":{"n":1}},{"agent_id":"`+agentID+`","event_type":"e1"}]}` {
			t.Error(s[0].body)
		}
		start = time.Now()
		logSome(b, agentID, enough)
		synctest.Wait()
		if s = f.seen(); len(s) != 2 || s[1].at != start {
			t.Errorf("a hundred wait: %+v", s)
		}
		closeWell(t, b)
		closeWell(t, b)
		if b.Log(NewEvent{}); b.Dropped() != 1 {
			t.Errorf("dropped %d", b.Dropped())
		}
	})
}

func TestBatcherFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(stored)
		b := f.client(t).NewBatcher(BatcherConfig{Interval: time.Hour})
		start := time.Now()
		if err := b.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		for range 3 {
			logSome(b, agentID, 2)
			if err := b.Flush(t.Context()); err != nil {
				t.Error(err)
			}
		}
		logSome(b, agentID, 1001)
		closeWell(t, b)
		if got := batchesOf(t, f); len(got) < 6 || got[0]+got[1]+got[2] != 6 || slices.Max(got) > MaxBatch || time.Since(start) > time.Second {
			t.Errorf("batches of %v after %v", got, time.Since(start))
		}
	})
}

func TestBatcherBoundsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(stored)
		b := f.client(t).NewBatcher(BatcherConfig{Interval: time.Hour})
		for _, size := range []int{1, batchBytes, 1, 1} {
			b.Log(NewEvent{AgentID: agentID, EventType: "e", Payload: map[string]string{"text": strings.Repeat("x", size)}})
		}
		closeWell(t, b)
		if got := batchesOf(t, f); !slices.Equal(got, []int{1, 1, 2}) {
			t.Errorf("batches of %v", got)
		}
	})
}

func TestBatcherWhileTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for range 20 {
			f.answers = append(f.answers, answer{err: errBroken}, answer{status: 503})
		}
		f.answers = append(f.answers, stored)
		var lost []string
		b := f.client(t).NewBatcher(BatcherConfig{Capacity: 150, OnDrop: func(events []NewEvent, why error) {
			for _, e := range events {
				lost = append(lost, e.EventType)
			}
			if !errors.Is(why, ErrCrowded) {
				t.Error(why)
			}
		}})
		b.Log(NewEvent{AgentID: agentID, EventType: "first"})
		time.Sleep(10 * time.Second)
		before := len(f.seen())
		logSome(b, agentID, 153) // more than enough, and no reason to hurry
		synctest.Wait()
		if n := len(f.seen()); n != before {
			t.Errorf("%d requests in no time", n-before)
		}
		time.Sleep(10 * time.Minute)
		if b.Pending() != 0 || b.Dropped() != 4 || !slices.Equal(lost, []string{"e0", "e1", "e2", "e3"}) {
			t.Errorf("%d pending, %d dropped: %v", b.Pending(), b.Dropped(), lost)
		}
		s := f.seen()
		for _, r := range s[:41] { // of the first batch, so that it is stored once
			if r.header.Get("Idempotency-Key") != s[0].header.Get("Idempotency-Key") || r.body != s[0].body {
				t.Error("another request")
			}
		}
		closeWell(t, b)
	})
}

func TestBatcherObeysRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(refusal(429, "slow", "Retry-After", "600"), stored)
		b := f.client(t).NewBatcher(BatcherConfig{})
		b.Log(NewEvent{AgentID: agentID})
		time.Sleep(time.Hour)
		if s := f.seen(); len(s) != 2 || s[1].at.Sub(s[0].at) != 10*time.Minute {
			t.Errorf("%+v", s)
		}
		closeWell(t, b)
	})
}

func TestBatcherCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, a := range map[string]answer{"away": {err: errBroken}, "hanging": {hang: true}} {
			f := serve(a)
			b := f.client(t).NewBatcher(BatcherConfig{})
			logSome(b, agentID, 3)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			start := time.Now()
			err := b.Close(ctx)
			cancel()
			if err == nil || !strings.Contains(err.Error(), "3 events") || b.Dropped() != 3 || b.Pending() != 0 || time.Since(start) > 5*time.Second {
				t.Errorf("%s: %v, %d dropped after %v", name, err, b.Dropped(), time.Since(start))
			}
		}
	})
}

// refusing decides about batches by their events.
func refusing(t *testing.T, status int, bad func(NewEvent) bool) (*fake, func() []string) {
	t.Helper()
	var took []string
	f := &fake{}
	f.decide = func(r request) answer {
		if r.method == http.MethodGet {
			return refusal(404, "no such agent")
		}
		var body struct{ Events []NewEvent }
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			t.Error(err)
		}
		if slices.ContainsFunc(body.Events, bad) {
			return refusal(status, "no")
		}
		for _, e := range body.Events {
			took = append(took, e.EventType)
		}
		return stored
	}
	return f, func() []string {
		f.mu.Lock()
		defer f.mu.Unlock()
		slices.Sort(took)
		return took
	}
}

func TestBatcherSifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := serve(answer{status: 422, body: `{"detail":[{"loc":["body","events",1,"level"],"msg":"m","type":"t"},{"loc":["body"],"msg":"m","type":"t"}]}`}, stored)
		b := f.client(t).NewBatcher(BatcherConfig{})
		logSome(b, agentID, 3)
		closeWell(t, b)
		if s := f.seen(); len(s) != 2 || !slices.Equal(kinds(t, s[1]), []string{"e0", "e2"}) || b.Dropped() != 1 {
			t.Errorf("%+v", s)
		}

		f, took := refusing(t, 422, func(e NewEvent) bool { return e.EventType == "e13" })
		b = f.client(t).NewBatcher(BatcherConfig{})
		logSome(b, agentID, 40)
		closeWell(t, b)
		if len(took()) != 39 || slices.Contains(took(), "e13") || b.Dropped() != 1 || len(f.seen()) > 16 {
			t.Errorf("%d requests for %v", len(f.seen()), took())
		}

		f, took = refusing(t, 404, func(e NewEvent) bool { return e.AgentID == otherID })
		b = f.client(t).NewBatcher(BatcherConfig{})
		for i := range 90 {
			b.Log(NewEvent{AgentID: []string{agentID, otherID}[i%2], EventType: "e"})
		}
		closeWell(t, b)
		if len(took()) != 45 || b.Dropped() != 45 || len(f.seen()) > 8 {
			t.Errorf("%d requests for %v", len(f.seen()), took())
		}

		for _, status := range []int{301, 401, 403, 405} {
			f := serve(refusal(status, "no"))
			b := f.client(t).NewBatcher(BatcherConfig{})
			logSome(b, agentID, 5)
			closeWell(t, b)
			if len(f.seen()) != 1 || b.Dropped() != 5 {
				t.Errorf("%d: %d requests", status, len(f.seen()))
			}
		}

		b = serve(stored).client(t).NewBatcher(BatcherConfig{})
		b.Log(NewEvent{Payload: make(chan int)})
		if b.Dropped() != 1 {
			t.Error("a channel is no JSON")
		}
		closeWell(t, b)
	})
}

func TestBatcherOfManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, took := refusing(t, 422, func(NewEvent) bool { return false })
		b := f.client(t).NewBatcher(BatcherConfig{})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				logSome(b, agentID, 200)
				if err := b.Flush(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		closeWell(t, b)
		if len(took()) != 1600 || b.Dropped() != 0 {
			t.Errorf("%d events are stored", len(took()))
		}
	})
}
