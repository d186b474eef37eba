package eval

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Advance takes a run one step further, and makes the job for the next one. A step that has been done already, and a run that has ended or
// gone, are left alone. An error means that nothing of the step was stored, apart from trials that have begun; it can be tried again.
// What may take long goes on beside the jobs, until Run ends: no trial waits for another one's scripts and judges.
func (s *Service) Advance(ctx context.Context, ref Ref) error {
	sc := account.System(ref.Tenant)
	r, trials, err := s.begin(ctx, sc, ref)
	if err != nil || r.Status.Ended() || r.Step != ref.Step {
		return err
	}
	found := make([]finding, len(trials))
	var wg sync.WaitGroup
	begun := s.d.Clock.Now()
	for i, t := range trials {
		if t.Status == Running && !begun.Before(t.BusyUntil) {
			wg.Go(func() { found[i] = s.look(ctx, sc, r, t) })
		}
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err // what was found may be the end of ctx, and not of a trial
	}
	var busy []Trial
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		busy = nil
		var err error
		r, err = s.d.Repository.Lock(ctx, sc, ref.Run)
		if err != nil || r.Status.Ended() || r.Step != ref.Step {
			return unlessGone(err)
		}
		now := clock.Stored(s.d.Clock.Now())
		var changed []Trial
		for i, f := range found {
			if f.what == wait {
				continue
			}
			t := trials[i]
			if f.what == work {
				t = f.trial
				t.BusyUntil = now.Add(s.cfg.Lease)
				busy = append(busy, t)
			} else if err := s.apply(ctx, sc, &r, &t, f, now); err != nil {
				return err
			}
			changed = append(changed, t)
		}
		r.UpdatedAt = now
		r.Step++
		if r.Counts.Pending+r.Counts.Running == 0 {
			r.finish(now)
		} else if err := s.enqueue(ctx, r, s.next(trials, len(changed), now)); err != nil {
			return err
		}
		return s.d.Repository.Save(ctx, sc, r, changed)
	})
	if err != nil {
		return err
	}
	for _, t := range busy {
		s.launch(ctx, sc, r, t)
	}
	return nil
}

// next is when a run is to be looked at again: at once, which is the queue's own pace, but later when nothing has happened and all that
// goes on has done so for a while.
func (s *Service) next(trials []Trial, changed int, now time.Time) time.Time {
	if changed > 0 {
		return time.Time{}
	}
	for _, t := range trials {
		if t.Status == Running && t.StartedAt != nil && now.Sub(*t.StartedAt) < s.cfg.Brisk {
			return time.Time{}
		}
	}
	return now.Add(s.cfg.Interval)
}

// unlessGone makes nothing of the error for a run that was deleted.
func unlessGone(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// finish ends a run none of whose trials is live.
func (r *Run) finish(now time.Time) {
	r.Status, r.EndedAt = Completed, &now
	if r.Counts.Completed == 0 && r.Counts.Failed > 0 {
		r.Status, r.Error = Failed, "none of the trials could be brought to their end"
	}
}

// begin starts trials, each with its session, and returns the run with its live trials.
func (s *Service) begin(ctx context.Context, sc account.Scope, ref Ref) (r Run, trials []Trial, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if r, err = s.d.Repository.Lock(ctx, sc, ref.Run); err != nil {
			return err
		}
		if r.Status.Ended() || r.Step != ref.Step {
			return nil
		}
		if trials, err = s.d.Repository.Trials(ctx, sc, ref.Run, true); err != nil {
			return err
		}
		now := clock.Stored(s.d.Clock.Now())
		var changed []Trial
		for i := range trials {
			t := &trials[i]
			if t.Status != Pending || r.Counts.Running >= s.cfg.Concurrency {
				continue
			}
			if err := s.start(ctx, sc, &r, t, now); err != nil {
				return err
			}
			changed = append(changed, *t)
		}
		if len(changed) == 0 {
			return nil
		}
		r.UpdatedAt = now
		if r.Status == Pending {
			r.Status, r.StartedAt = Running, &now
		}
		return s.d.Repository.Save(ctx, sc, r, changed)
	})
	if fault.KindOf(err) == fault.NotFound {
		return Run{Status: Cancelled}, nil, nil // deleted meanwhile
	}
	return r, trials, err
}

// start makes the session of a trial. What keeps it from being made, as an archived environment does, fails the trial.
func (s *Service) start(ctx context.Context, sc account.Scope, r *Run, t *Trial, now time.Time) error {
	task := r.Tasks[t.Task]
	v, err := s.d.Sessions.Create(ctx, sc, session.CreateRequest{
		Agent: r.Agent, AgentVersion: r.AgentVersion, Environment: r.Environment, Title: fmt.Sprintf("Evaluation: %.200s, trial %d", task.ID, t.Number),
		Metadata: map[string]string{"eval_run_id": r.ID.String(), "eval_task_id": task.ID, "eval_trial": fmt.Sprint(t.Number)},
	})
	t.StartedAt = &now
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		r.Counts.move(*t, Failed)
		t.Status, t.Error, t.EndedAt = Failed, f.Message, &now
		return nil
	}
	if err != nil {
		return err
	}
	r.Counts.move(*t, Running)
	t.Status, t.Session = Running, v.ID
	return nil
}

// action is what is to be done with a trial.
type action int

const (
	wait action = iota
	say         // send the next message
	work        // prepare or score it, which may take long
	fail
	complete
)

// finding is what one look at a trial found.
type finding struct {
	what    action
	reason  string // of fail
	results []Result
	trial   Trial // with what was measured
}

func failed(t Trial, format string, args ...any) finding {
	return finding{what: fail, reason: shorten(fmt.Sprintf(format, args...), 2000), trial: t}
}

// look takes a running trial as far as it goes without waiting for its session.
func (s *Service) look(ctx context.Context, sc account.Scope, r Run, t Trial) finding {
	task := r.Tasks[t.Task]
	v, err := s.d.Sessions.Get(ctx, sc, t.Session)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return failed(t, "the session was deleted")
		}
		return s.later(ctx, t, err)
	}
	t.Tokens, t.Cost = v.Usage.Tokens.TotalInput()+v.Usage.Tokens.Output, nil
	if v.Usage.Unpriced == 0 {
		cost := v.Usage.Cost
		t.Cost = &cost
	}
	late := t.StartedAt != nil && s.d.Clock.Now().Sub(*t.StartedAt) >= task.Timeout
	switch {
	case v.ArchivedAt != nil:
		return failed(t, "the session was archived")
	case v.Status() != session.StatusIdle:
		if late {
			return failed(t, "the trial took longer than %s", task.Timeout)
		}
		return finding{}
	case t.Sent == 0 && (len(task.Files) > 0 || task.Script != ""):
		return finding{what: work, trial: t}
	case t.Sent == 0:
		return finding{what: say, trial: t}
	}
	evidence, err := s.observe(ctx, sc, task, &t)
	if err != nil {
		return s.later(ctx, t, err)
	}
	evidence.Cost = t.Cost
	if v.StopReason == nil || v.StopReason.Type != session.StopEndTurn {
		return failed(t, "%s", s.stopped(ctx, sc, v))
	}
	switch {
	case t.Sent < len(task.Messages):
		if late {
			return failed(t, "the trial took longer than %s", task.Timeout)
		}
		return finding{what: say, trial: t}
	case task.Scorer == nil:
		return finding{what: complete, trial: t}
	case task.Scorer.isSlow():
		return finding{what: work, trial: t}
	}
	return s.judge(ctx, sc, r, task, t, evidence)
}

// later leaves a trial as it is after an error that says nothing about it.
func (s *Service) later(ctx context.Context, t Trial, err error) finding {
	if ctx.Err() == nil {
		s.d.Logger.WarnContext(ctx, "a trial could not be looked at", "session_id", t.Session, "error", err)
	}
	return finding{}
}

// prepare makes the sandbox what the task wants it to be, within timeout.
func (s *Service) prepare(ctx context.Context, sc account.Scope, task Task, t Trial, timeout time.Duration) finding {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := s.setUp(timed, sc, task, t, timeout)
	if timed.Err() != nil && ctx.Err() == nil {
		return failed(t, "the trial took longer than %s", task.Timeout)
	}
	return f
}

func (s *Service) setUp(ctx context.Context, sc account.Scope, task Task, t Trial, timeout time.Duration) finding {
	for _, f := range task.Files {
		if err := s.d.Sandboxes.Write(ctx, sc, t.Session, f.Path, f.Content); err != nil {
			return s.unprepared(ctx, t, "the file "+f.Path, err)
		}
	}
	if task.Script == "" {
		return finding{}
	}
	output, ok, err := s.d.Sandboxes.Run(ctx, sc, t.Session, task.Script, timeout)
	if err != nil {
		return s.unprepared(ctx, t, "the setup script", err)
	}
	if !ok {
		return failed(t, "the setup script failed: %s", output)
	}
	return finding{}
}

func (s *Service) unprepared(ctx context.Context, t Trial, what string, err error) finding {
	if ctx.Err() != nil {
		return finding{}
	}
	if f, ok := fault.As(err); ok {
		return failed(t, "%s: %s", what, f.Message)
	}
	s.d.Logger.WarnContext(ctx, "a trial could not be prepared", "session_id", t.Session, "error", err)
	return failed(t, "%s could not be set up", what)
}

// stopped says why a session stopped short of the end of its turn.
func (s *Service) stopped(ctx context.Context, sc account.Scope, v session.Session) string {
	if v.StopReason == nil {
		return "the turn was interrupted"
	}
	switch v.StopReason.Type {
	case session.StopRequiresAction:
		return "the session waits for an answer to a tool use, which nobody gives in an evaluation"
	case session.StopRefusal:
		return "the model refused to answer"
	}
	reason := "the session stopped: " + string(v.StopReason.Type)
	events, _, err := s.d.Sessions.Events(ctx, sc, v.ID, session.EventQuery{Types: []session.EventType{session.SessionError}, Desc: true, Limit: 1})
	if err != nil || len(events) == 0 {
		return reason
	}
	var body session.ErrorBody
	if err := events[0].Body(&body); err != nil {
		return reason
	}
	return reason + ": " + body.Error.Message
}

// observe reads what a session's log says, and counts it in t.
func (s *Service) observe(ctx context.Context, sc account.Scope, task Task, t *Trial) (Evidence, error) {
	e := Evidence{Messages: task.Messages, Tools: map[string]int{}}
	t.Tools, t.Steps = 0, 0
	q := session.EventQuery{Limit: 500, Types: []session.EventType{
		session.UserMessage, session.AgentMessage, session.AgentToolUse, session.AgentMCPToolUse, session.AgentCustomToolUse, session.SpanModelStart,
	}}
	for {
		events, more, err := s.d.Sessions.Events(ctx, sc, t.Session, q)
		if err != nil {
			return Evidence{}, err
		}
		for _, v := range events {
			q.AfterSeq = v.Seq
			switch {
			case v.Type == session.UserMessage:
				e.Answer = ""
			case v.Type == session.SpanModelStart:
				e.Steps++
			case v.Type.IsToolUse():
				var body session.ToolUseBody
				if err := v.Body(&body); err != nil {
					return Evidence{}, err
				}
				e.Tools[body.Name]++
				t.Tools++
			default:
				var body session.MessageBody
				if err := v.Body(&body); err != nil {
					return Evidence{}, err
				}
				for _, b := range body.Content {
					if e.Answer != "" && b.Text != "" {
						e.Answer += "\n"
					}
					e.Answer += b.Text
				}
			}
		}
		if !more || len(events) == 0 {
			t.Steps = e.Steps
			return e, nil
		}
	}
}

// judge scores a trial whose turns have ended.
func (s *Service) judge(ctx context.Context, sc account.Scope, r Run, task Task, t Trial, e Evidence) finding {
	x := &examiner{
		judge: s.asJudge(sc, r, t),
		script: func(ctx context.Context, of Scorer) (string, bool, error) {
			timeout := of.Timeout
			if timeout == 0 {
				timeout = time.Minute
			}
			return s.d.Sandboxes.Run(ctx, sc, t.Session, of.Script, timeout)
		},
	}
	results, err := x.score(ctx, *task.Scorer, "scorer", e)
	switch {
	case ctx.Err() != nil:
		return finding{}
	case err != nil:
		if _, ok := fault.As(err); !ok && !errors.Is(err, errVerdict) {
			s.d.Logger.WarnContext(ctx, "a trial could not be scored", "session_id", t.Session, "error", err)
			return failed(t, "the trial could not be scored")
		}
		return failed(t, "the trial could not be scored: %s", message(err))
	}
	if x.judged && !x.unknown {
		t.JudgeCost = &x.cost
	}
	return finding{what: complete, results: results, trial: t}
}

// message is what callers are told of an error.
func message(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Message
	}
	return err.Error()
}

// apply stores what was found about a trial; it runs in the transaction that holds the run.
func (s *Service) apply(ctx context.Context, sc account.Scope, r *Run, t *Trial, f finding, now time.Time) error {
	of := t.Session
	*t = f.trial
	t.BusyUntil = time.Time{}
	switch f.what {
	case say:
		err := s.say(ctx, sc, of, r.Tasks[t.Task].Messages[t.Sent])
		if err == nil {
			t.Sent++
			return nil
		}
		known, ok := fault.As(err)
		if !ok || known.Kind == fault.Internal || known.Kind == fault.Unavailable {
			return err
		}
		f.what, f.reason = fail, known.Message
	case complete:
		r.Counts.move(*t, Completed)
		t.Status, t.Results = Completed, f.results
		if len(f.results) > 0 {
			score, passed := f.results[0].Score, f.results[0].Passed
			t.Score, t.Passed = &score, &passed
			r.Counts.Scored++
			if passed {
				r.Counts.Passed++
			}
		}
	}
	if f.what == fail {
		r.Counts.move(*t, Failed)
		t.Status, t.Error = Failed, f.reason
	}
	t.EndedAt = &now
	return s.closeSession(ctx, sc, of)
}

func (s *Service) say(ctx context.Context, sc account.Scope, of id.Session, text string) error {
	_, err := s.d.Sessions.Send(ctx, sc, of, []session.Input{{
		Type: session.UserMessage, Content: []session.Block{{Type: session.BlockText, Text: text}},
	}})
	return err
}
