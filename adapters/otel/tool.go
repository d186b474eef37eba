package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/tool"
)

// observedTool is a tool.Tool under observation.
type observedTool struct {
	inner tool.Tool
	t     *Telemetry
	name  string
	label string
}

var _ tool.Tool = (*observedTool)(nil)

// WrapTool returns inner with a span "execute_tool {name}" and metrics for each call. It is cheap enough to wrap the
// same tool for every turn.
func WrapTool(inner tool.Tool, t *Telemetry) tool.Tool {
	name := inner.Spec().Name
	return &observedTool{inner: inner, t: t, name: name, label: t.tools.admit(name)}
}

// Spec implements tool.Tool.
func (o *observedTool) Spec() tool.Spec { return o.inner.Spec() }

// Call implements tool.Tool.
func (o *observedTool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	op := operation{start: time.Now()}
	if o.t.tracer != nil {
		ctx, op.span = o.t.tracer.Start(ctx, "execute_tool "+cut(o.name, maxName), trace.WithAttributes(o.describe(call)...))
	}
	defer o.t.tool.observe(&op, o.label)
	result, err := o.inner.Call(ctx, call)
	op.done(err)
	if err == nil && result.IsError {
		op.outcome = outcomeToolError
	}
	return result, err
}

func (o *observedTool) describe(call tool.Call) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 7)
	attrs = append(attrs,
		semconv.GenAIOperationNameExecuteTool, semconv.GenAIToolName(cut(o.name, maxText)), semconv.GenAIToolType("function"))
	for _, id := range []struct {
		key   attribute.Key
		value string
	}{
		{semconv.GenAIToolCallIDKey, call.Key},
		{semconv.GenAIConversationIDKey, call.SessionID},
		{semconv.GenAIAgentIDKey, call.AgentID},
		{"bureau.tenant.id", call.TenantID},
	} {
		if id.value != "" {
			attrs = append(attrs, id.key.String(cut(id.value, maxText)))
		}
	}
	return attrs
}
