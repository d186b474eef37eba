package otel

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/rule"
)

// The operations of rules.
const (
	ruleEvaluate = "evaluate"
	ruleValidate = "validate"
)

// evaluator is a rule.Evaluator under observation.
type evaluator struct {
	inner rule.Evaluator
	t     *Telemetry
	name  string
	label string
}

var _ rule.Evaluator = (*evaluator)(nil)

// WrapRule returns inner with a span "evaluate_rule {name}" or "validate_rule {name}" and metrics for each call.
// Verdicts are told, their reasons are not.
func WrapRule(inner rule.Evaluator, t *Telemetry) rule.Evaluator {
	name := inner.Describe().Name
	return &evaluator{inner: inner, t: t, name: cut(name, maxName), label: t.rules.admit(name)}
}

// Describe implements rule.Evaluator.
func (e *evaluator) Describe() rule.Description { return e.inner.Describe() }

// Validate implements rule.Evaluator.
func (e *evaluator) Validate(ctx context.Context, config json.RawMessage) error {
	o := operation{start: time.Now()}
	if e.t.tracer != nil {
		ctx, o.span = e.t.tracer.Start(ctx, "validate_rule "+e.name, trace.WithAttributes(attribute.String("bureau.rule.name", e.name)))
	}
	defer e.t.rule.observe(&o, e.label, ruleValidate)
	err := e.inner.Validate(ctx, config)
	o.done(err)
	return err
}

// Evaluate implements rule.Evaluator.
func (e *evaluator) Evaluate(ctx context.Context, in rule.Input) (rule.Verdict, error) {
	o := operation{start: time.Now()}
	if e.t.tracer != nil {
		attrs := make([]attribute.KeyValue, 0, 3)
		attrs = append(attrs, attribute.String("bureau.rule.name", e.name), attribute.String("bureau.act.action", string(in.Action)))
		if in.AgentID != "" {
			attrs = append(attrs, semconv.GenAIAgentID(in.AgentID))
		}
		ctx, o.span = e.t.tracer.Start(ctx, "evaluate_rule "+e.name, trace.WithAttributes(attrs...))
	}
	verdict := ""
	defer func() {
		// A verdict is no failure of the call, so the span ends well; the metric counts verdicts.
		outcome, took := o.end()
		if outcome == outcomeOK {
			outcome = verdict
		}
		e.t.rule.seconds.WithLabelValues(e.label, ruleEvaluate).Observe(took.Seconds())
		e.t.rule.calls.WithLabelValues(e.label, ruleEvaluate, outcome).Inc()
	}()
	v, err := e.inner.Evaluate(ctx, in)
	o.done(err)
	verdict = verdictLabel(v.Outcome)
	if err == nil && o.span != nil {
		o.span.SetAttributes(attribute.String("bureau.rule.verdict", verdict))
	}
	return v, err
}

// verdictLabel names a verdict; what a rule says beside the three that there are denies.
func verdictLabel(o rule.Outcome) string {
	switch o {
	case rule.Allow, rule.Approve, rule.Deny:
		return string(o)
	}
	return "unknown"
}
