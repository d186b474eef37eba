package hostingtest

import (
	"errors"
	"iter"
	"testing"

	"github.com/bureau-agents/bureau/core/hosting"
)

// maxStreams is how many logs a tenant of the tests follows at once.
const maxStreams = 3

// logsLimited: each log that is followed costs the server something, also where the agent says nothing.
func logsLimited(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	s.start(t, a)
	query := hosting.LogQuery{Tail: 10, Follow: true}
	follow := func() (stop func()) {
		t.Helper()
		lines, err := s.Logs(e.ctx, e.sc, a, query)
		noError(t, err)
		next, stop := iter.Pull2(lines)
		if _, err, ok := next(); err != nil || !ok {
			t.Fatalf("the first line: %v %v", err, ok)
		}
		return stop
	}
	late, err := s.Logs(e.ctx, e.sc, a, query)
	noError(t, err)
	for range maxStreams {
		defer follow()()
	}
	if _, err := s.Logs(e.ctx, e.sc, a, query); !errors.Is(err, hosting.ErrTooManyStreams) {
		t.Errorf("one too many: %v", err)
	}
	for _, err := range late {
		if !errors.Is(err, hosting.ErrTooManyStreams) {
			t.Errorf("one that came before and begins now: %v", err)
		}
		break
	}
	if _, err := s.Logs(e.ctx, e.sc, a, hosting.LogQuery{Tail: 10}); err != nil {
		t.Errorf("one that does not follow: %v", err)
	}
}

// logsAgain: a stream that has ended makes room.
func logsAgain(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	s.start(t, a)
	for range maxStreams + 1 {
		lines, err := s.Logs(e.ctx, e.sc, a, hosting.LogQuery{Tail: 10, Follow: true})
		noError(t, err)
		for _, err := range lines {
			noError(t, err)
			break
		}
	}
}
