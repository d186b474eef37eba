package eval

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// slowSandbox notes how long scripts may take, and takes as long.
type slowSandbox struct {
	given time.Duration
	hangs bool
}

func (*slowSandbox) Write(context.Context, account.Scope, id.Session, string, string) error {
	return nil
}

func (s *slowSandbox) Run(ctx context.Context, _ account.Scope, _ id.Session, _ string, timeout time.Duration) (string, bool, error) {
	s.given = timeout
	if s.hangs {
		<-ctx.Done()
		return "", false, ctx.Err()
	}
	return "", true, nil
}

// TestSetUpScript holds a set-up script to the time that its trial has left, and to nothing shorter.
func TestSetUpScript(t *testing.T) {
	t.Parallel()
	box := &slowSandbox{}
	s := &Service{d: Deps{Sandboxes: box, Clock: clock.Func(time.Now)}}
	started := time.Now()
	task := Task{Script: "make", Timeout: 9 * time.Minute, Messages: []string{"hi"}}
	if f := s.long(t.Context(), account.Scope{}, Run{Tasks: []Task{task}}, Trial{StartedAt: &started}); f.what != say {
		t.Errorf("%+v", f)
	}
	if box.given > task.Timeout || box.given < task.Timeout-time.Minute {
		t.Errorf("the script was given %s", box.given)
	}
	box.hangs = true
	started = started.Add(50*time.Millisecond - task.Timeout)
	if f := s.long(t.Context(), account.Scope{}, Run{Tasks: []Task{task}}, Trial{StartedAt: &started}); f.what != fail || !strings.Contains(f.reason, "longer than 9m0s") {
		t.Errorf("%+v", f)
	}
}
