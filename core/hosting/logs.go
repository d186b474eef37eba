package hosting

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"
	"unicode"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// MaxTail is the most lines that are read at once.
const MaxTail = 10_000

// Line is a line of an agent's log.
type Line struct {
	Time  time.Time
	Level string // "info", "warn", "error" as programs write it in brackets before the text; "info", or "stderr" after what is written there
	Text  string
}

// String is the line as people read it: time, level in brackets, text.
func (l Line) String() string {
	return l.Time.UTC().Format("2006-01-02T15:04:05.000Z") + " [" + l.Level + "] " + l.Text
}

// cutMark ends a line that was longer than runtime.MaxLogLine.
const cutMark = "..."

// lineOf reads the line of a program, and takes out of it what r knows. false: it is blank.
func lineOf(from runtime.LogLine, r *secret.Redactor) (Line, bool) {
	text := strings.ToValidUTF8(from.Text, "\uFFFD")
	if kept, long := strings.CutSuffix(text, cutMark); long && len(from.Text) > runtime.MaxLogLine-2*len(cutMark) {
		text = r.RedactCut(strings.TrimRight(kept, "\uFFFD")) + cutMark
	} else {
		text = r.Redact(text)
	}
	l := Line{Time: from.Time, Level: "info", Text: strings.TrimSpace(text)}
	if from.Stderr {
		l.Level = "stderr"
	}
	if strings.HasPrefix(l.Text, "[") {
		if level, rest, ok := strings.Cut(l.Text[1:], "] "); ok && isWord(level) {
			l.Level, l.Text = strings.ToLower(level), strings.TrimSpace(rest)
		}
	}
	l.Text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\t' { // what moves a reader's terminal, or ends the line
			return ' '
		}
		return c
	}, l.Text)
	return l, strings.TrimSpace(l.Text) != ""
}

// isWord reports whether s can be the name of a level.
func isWord(s string) bool {
	if s == "" || len(s) > 12 {
		return false
	}
	return strings.IndexFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }) < 0
}

// LogQuery chooses lines of a log.
type LogQuery struct {
	Tail   int  // the newest lines to begin with, 0 to MaxTail
	Follow bool // go on with new lines until ctx ends or the agent is destroyed; also over restarts, and before the first start
}

// redactAgain is how long a stream of lines goes by what it knew of an agent's secrets, unless a program is started that may have others.
const redactAgain = 2 * time.Second

// Logs returns the lines of an agent's log, oldest first, without its secrets. An agent that was never started has none. id.NotFound, and
// ErrElsewhere where another server has the instance, ErrTooManyStreams; an error that comes later is yielded last.
func (s *Service) Logs(ctx context.Context, sc account.Scope, a id.Agent, q LogQuery) (iter.Seq2[Line, error], error) {
	d, err := s.Get(ctx, sc, a)
	if err != nil {
		return nil, err
	}
	if d.Site != "" && (s.d.Host == nil || d.Site != s.d.Supervisor.Site()) {
		return nil, ErrElsewhere
	}
	if q.Follow && s.d.Host == nil {
		return nil, ErrOff
	}
	if q.Follow && !s.room(sc.Tenant, 0) {
		return nil, ErrTooManyStreams
	}
	q.Tail = max(0, min(q.Tail, MaxTail))
	return func(yield func(Line, error) bool) {
		if d.Site == "" && !q.Follow {
			return
		}
		reading := ctx
		if q.Follow {
			if !s.room(sc.Tenant, 1) {
				yield(Line{}, ErrTooManyStreams)
				return
			}
			defer s.room(sc.Tenant, -1)
			following, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.streams, cancel)()
			reading = following
		}
		if s.d.Supervisor.catchUp != nil {
			s.d.Supervisor.catchUp(reading, a)
		}
		s.read(reading, sc, a, q, yield)
	}, nil
}

// room counts a stream more or less of a tenant, and reports whether there is room: false for one more leaves the count.
func (s *Service) room(of id.Tenant, more int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more >= 0 && s.following[of] >= s.cfg.MaxStreams {
		return false
	}
	if s.following[of] += more; s.following[of] == 0 {
		delete(s.following, of)
	}
	return true
}

// CloseStreams ends every Logs that follows, of which the last thing yielded is ErrStopping, and those that come later.
func (s *Service) CloseStreams() { s.close() }

// read yields the lines of an instance's log, and waits for the instance where there is none to follow yet.
func (s *Service) read(ctx context.Context, sc account.Scope, a id.Agent, q LogQuery, yield func(Line, error) bool) {
	var redactor *secret.Redactor
	var known time.Time
	var starts int64
	for {
		for from, err := range s.d.Host.Logs(ctx, InstanceID(a), runtime.LogQuery{Tail: q.Tail, Follow: q.Follow}) {
			if errors.Is(err, runtime.ErrNoInstance) {
				break
			}
			if err == nil {
				now := s.d.Clock.Now()
				n, here := s.d.Supervisor.started(a)
				if redactor == nil || !here || n != starts || now.Sub(known) >= redactAgain {
					redactor, err = s.d.Secrets.Redactor(ctx, sc, a)
					known, starts = now, n
				}
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(Line{}, err)
					return
				}
				break
			}
			if line, ok := lineOf(from, redactor); ok && !yield(line, nil) {
				return
			}
		}
		if q.Follow && s.instance(ctx, sc, a) {
			continue
		}
		if q.Follow && s.streams.Err() != nil {
			yield(Line{}, ErrStopping)
		}
		return
	}
}

// instance waits until an agent may have an instance to follow; false: it never will, or ctx has ended.
func (s *Service) instance(ctx context.Context, sc account.Scope, a id.Agent) bool {
	told, done := s.d.Supervisor.watch(a)
	defer done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	select {
	case <-told:
	case <-tick.C:
	case <-ctx.Done():
		return false
	}
	d, err := s.Get(ctx, sc, a)
	return err == nil && (d.Site == "" || d.Site == s.d.Supervisor.Site())
}
