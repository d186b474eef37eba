package eval

import (
	"github.com/bureau-agents/bureau/ports/money"
)

// Summary is what the trials of a task, or of a whole run, come to.
type Summary struct {
	Trials    int
	Completed int
	Failed    int
	Passed    int
	Score     *float64 // mean over the trials that have one; nil: none has
	PassRate  *float64 // passed ones of all that have ended, failed ones included; nil: none has, or nothing is judged
	Cost      *float64 // mean in dollars, judges apart, over the completed trials whose cost is known; nil: none is
	Steps     *float64 // mean over the completed trials
	Seconds   *float64 // mean over the completed trials
}

// Summarize sums up trials.
func Summarize(trials []Trial) Summary {
	s := Summary{Trials: len(trials)}
	var scores, costs, steps, seconds []float64
	judged := 0
	for _, t := range trials {
		switch t.Status {
		case Failed:
			s.Failed++
		case Completed:
			s.Completed++
			steps = append(steps, float64(t.Steps))
			if t.StartedAt != nil && t.EndedAt != nil {
				seconds = append(seconds, t.EndedAt.Sub(*t.StartedAt).Seconds())
			}
			if t.Cost != nil {
				costs = append(costs, dollars(*t.Cost))
			}
		}
		if t.Score != nil {
			scores = append(scores, *t.Score)
		}
		if t.Passed != nil {
			judged++
			if *t.Passed {
				s.Passed++
			}
		}
	}
	s.Score, s.Cost, s.Steps, s.Seconds = mean(scores), mean(costs), mean(steps), mean(seconds)
	if judged > 0 {
		rate := float64(s.Passed) / float64(judged+s.Failed)
		s.PassRate = &rate
	}
	return s
}

// dollars is for means, which are no amounts.
func dollars(p money.Pico) float64 { return float64(p) / 1e12 }

func mean(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	sum /= float64(len(values))
	return &sum
}

// Verdict says how a task has changed between two runs.
type Verdict string

// The verdicts. A change of the pass rate decides, then one of the score.
const (
	Improved  Verdict = "improvement"
	Regressed Verdict = "regression"
	Unchanged Verdict = "unchanged"
	OnlyBase  Verdict = "only_base"  // the other run does not have the task
	OnlyOther Verdict = "only_other" // the base does not have the task
	Unknown   Verdict = "unknown"    // one of the two has nothing to compare
)

// TaskComparison compares one task; the side that does not have it is nil.
type TaskComparison struct {
	Task        string
	Base, Other *Summary
	Verdict     Verdict
}

// Comparison compares two runs, task by task in the order of the base, then what only the other has.
type Comparison struct {
	Base, Other             Run
	BaseTotal, OtherTotal   Summary
	Tasks                   []TaskComparison
	Improvements, Worsening int
}

// compare compares two runs with their trials.
func compare(base, other Run, baseTrials, otherTrials []Trial) Comparison {
	c := Comparison{Base: base, Other: other, BaseTotal: Summarize(baseTrials), OtherTotal: Summarize(otherTrials)}
	by := func(r Run, trials []Trial) map[string]*Summary {
		split := make([][]Trial, len(r.Tasks))
		for _, t := range trials {
			split[t.Task] = append(split[t.Task], t)
		}
		out := map[string]*Summary{}
		for i, t := range r.Tasks {
			s := Summarize(split[i])
			out[t.ID] = &s
		}
		return out
	}
	bases, others := by(base, baseTrials), by(other, otherTrials)
	for _, t := range base.Tasks {
		tc := TaskComparison{Task: t.ID, Base: bases[t.ID], Other: others[t.ID]}
		tc.Verdict = verdict(tc.Base, tc.Other)
		switch tc.Verdict {
		case Improved:
			c.Improvements++
		case Regressed:
			c.Worsening++
		}
		c.Tasks = append(c.Tasks, tc)
	}
	for _, t := range other.Tasks {
		if bases[t.ID] == nil {
			c.Tasks = append(c.Tasks, TaskComparison{Task: t.ID, Other: others[t.ID], Verdict: OnlyOther})
		}
	}
	return c
}

func verdict(base, other *Summary) Verdict {
	if other == nil {
		return OnlyBase
	}
	for _, pair := range [][2]*float64{{base.PassRate, other.PassRate}, {base.Score, other.Score}} {
		if pair[0] == nil || pair[1] == nil {
			continue
		}
		const noise = 1e-9
		switch d := *pair[1] - *pair[0]; {
		case d > noise:
			return Improved
		case d < -noise:
			return Regressed
		}
	}
	if base.PassRate == nil && base.Score == nil || other.PassRate == nil && other.Score == nil {
		return Unknown
	}
	return Unchanged
}
