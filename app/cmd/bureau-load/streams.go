package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	// busySessions hold conversations at the same time, and each of them has readers subscribers.
	busySessions = 50
	readers      = 10
	// stalled is how many subscribers of each session stop reading in the second measurement.
	stalled = 2
)

// streams measures what subscribers of many busy sessions see: first alone, then beside others that have stopped reading.
func (b *bench) streams(ctx context.Context) error {
	agent, err := b.agent(ctx, "offline")
	if err != nil {
		return err
	}
	sessions := make([]string, busySessions)
	for i := range sessions {
		if sessions[i], err = b.session(ctx, agent); err != nil {
			return err
		}
	}
	for _, idle := range []int{0, stalled} {
		what := fmt.Sprintf("events to %d subscribers of %d sessions", busySessions*readers, busySessions)
		if idle > 0 {
			what = fmt.Sprintf("  and to %d more that do not read", busySessions*idle)
		}
		if err := b.converse(ctx, what, sessions, idle); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) session(ctx context.Context, agent string) (string, error) {
	var m made
	err := b.server.Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": agent}, &m)
	return m.ID, err
}

// converse talks in all sessions for a span, message after answer, and prints when the subscribers got the events.
func (b *bench) converse(ctx context.Context, what string, sessions []string, idle int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var subs []*subscriber
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	for _, session := range sessions {
		for range idle {
			conn, err := b.mute(session)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
		}
		for range readers {
			s, err := subscribe(ctx, b.server.URL, b.server.Key, session)
			if err != nil {
				return err
			}
			subs = append(subs, s)
			reading.Go(s.read)
		}
	}
	before, err := b.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.chat(ctx, sessions, began.Add(b.span), subs); err != nil {
		return err
	}
	span := time.Since(began)
	after, err := b.cpu()
	if err != nil {
		return err
	}
	seen := sample{span: span, cpu: after - before}
	appended := 0
	for i, s := range subs {
		times := s.taken()
		seen.times = append(seen.times, times...)
		if i%readers == 0 {
			appended += len(times)
		} else if n := len(subs[i-i%readers].taken()); len(times) != n {
			return fmt.Errorf("one subscriber of a session got %d events and another %d", len(times), n)
		}
	}
	slices.Sort(seen.times)
	b.say(what, "%s", seen)
	b.say("  events appended meanwhile", "%7.0f/s", float64(appended)/span.Seconds())
	return b.memory("  memory, streams open")
}

// chat sends the next message of each session when the first of its subscribers has seen the end of the turn before, until the time
// is over, and waits for all of them to see the last.
func (b *bench) chat(ctx context.Context, sessions []string, until time.Time, subs []*subscriber) error {
	errs := make([]error, len(sessions))
	var talking sync.WaitGroup
	for i, session := range sessions {
		talking.Go(func() {
			for sent := 1; time.Now().Before(until); sent++ {
				if errs[i] = b.server.Call(ctx, "POST", "/v1/sessions/"+session+"/events", "", map[string]any{"events": []any{
					map[string]any{"type": "user.message", "content": "What is 6 times 7?"},
				}}, nil); errs[i] != nil {
					return
				}
				for _, s := range subs[i*readers : (i+1)*readers] {
					if errs[i] = s.idle(ctx); errs[i] != nil {
						return
					}
				}
			}
		})
	}
	talking.Wait()
	return errors.Join(errs...)
}

// subscriber reads one stream.
type subscriber struct {
	res   *http.Response
	ended chan struct{} // gets one entry for each turn that is over

	mu    sync.Mutex
	times []time.Duration // from an event's time to its arrival
	at    []time.Time     // of arrival
}

// streaming has as many connections as there are streams.
var streaming = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// subscribe opens a stream; it ends with ctx.
func subscribe(ctx context.Context, server, key, session string) (*subscriber, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/v1/sessions/"+session+"/events/stream", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Api-Key", key)
	res, err := streaming.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the stream answers %s", res.Status), res.Body.Close())
	}
	return &subscriber{res: res, ended: make(chan struct{}, 1024)}, nil
}

var (
	processedAt = []byte(`"processed_at":"`)
	idleEvent   = []byte("event: session.status_idle")
)

// read reads until the stream ends.
func (s *subscriber) read() {
	defer s.res.Body.Close()
	lines := bufio.NewScanner(s.res.Body)
	lines.Buffer(make([]byte, 64<<10), 1<<20)
	idle := false
	for lines.Scan() {
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("event: ")) {
			idle = bytes.Equal(line, idleEvent)
			continue
		}
		i := bytes.Index(line, processedAt)
		if i < 0 {
			continue
		}
		rest := line[i+len(processedAt):]
		end := bytes.IndexByte(rest, '"')
		made, err := time.Parse(time.RFC3339, string(rest[:max(end, 0)]))
		if err != nil {
			continue
		}
		now := time.Now()
		s.mu.Lock()
		s.times, s.at = append(s.times, now.Sub(made)), append(s.at, now)
		s.mu.Unlock()
		if idle {
			s.ended <- struct{}{}
		}
	}
}

// idle waits for the end of a turn.
func (s *subscriber) idle(ctx context.Context) error {
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Second):
		return errors.New("a subscriber did not see the end of a turn within 30 s")
	}
}

func (s *subscriber) taken() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.times)
}

func (s *subscriber) arrivals() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

// mute subscribes and never reads, not even the answer's header.
func (b *bench) mute(session string) (net.Conn, error) {
	conn, err := net.Dial("tcp", b.server.URL[len("http://"):])
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "GET /v1/sessions/%s/events/stream?include=chunks HTTP/1.1\r\nHost: load\r\nX-Api-Key: %s\r\n\r\n", session, b.server.Key)
	return conn, err
}

// crossTurns is how many turns are watched from two processes.
const crossTurns = 300

// replicas measures how much later than a subscriber of the process that runs a turn one of another process sees its events.
func (b *bench) replicas(ctx context.Context) error {
	if b.database == "" {
		return nil // processes share Postgres alone
	}
	other, err := b.server.StartReplica(ctx, filepath.Join(b.dir, "replica"))
	if err != nil {
		return err
	}
	defer other.Kill()
	agent, err := b.agent(ctx, "offline")
	if err != nil {
		return err
	}
	session, err := b.session(ctx, agent)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	near, err := subscribe(ctx, b.server.URL, b.server.Key, session)
	if err != nil {
		return err
	}
	reading.Go(near.read)
	far, err := subscribe(ctx, other.URL, other.Key, session)
	if err != nil {
		return err
	}
	reading.Go(far.read)
	for range crossTurns {
		if err := b.server.Call(ctx, "POST", "/v1/sessions/"+session+"/events", "", map[string]any{"events": []any{
			map[string]any{"type": "user.message", "content": "What is 6 times 7?"},
		}}, nil); err != nil {
			return err
		}
		if err := errors.Join(near.idle(ctx), far.idle(ctx)); err != nil {
			return err
		}
	}
	here, there := near.arrivals(), far.arrivals()
	if len(here) != len(there) {
		return fmt.Errorf("the process that runs the turns showed %d events and the other %d", len(here), len(there))
	}
	var added sample
	for i := range here {
		added.times = append(added.times, there[i].Sub(here[i]))
	}
	slices.Sort(added.times)
	b.say("events seen from another process, added delay", "%9s  p50 %-8s p99 %-8s max %s", "", added.at(0.5), added.at(0.99), added.at(1))
	return nil
}
