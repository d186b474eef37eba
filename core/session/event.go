package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// EventType names a kind of event, as the Managed Agents API spells it.
type EventType string

// The types that are stored.
const (
	UserMessage          EventType = "user.message"
	UserInterrupt        EventType = "user.interrupt"
	UserToolConfirmation EventType = "user.tool_confirmation"
	UserCustomToolResult EventType = "user.custom_tool_result"
	UserToolResult       EventType = "user.tool_result"
	SystemMessage        EventType = "system.message"
	AgentMessage         EventType = "agent.message"
	AgentThinking        EventType = "agent.thinking"
	AgentToolUse         EventType = "agent.tool_use"
	AgentToolResult      EventType = "agent.tool_result"
	AgentMCPToolUse      EventType = "agent.mcp_tool_use"
	AgentMCPToolResult   EventType = "agent.mcp_tool_result"
	AgentCustomToolUse   EventType = "agent.custom_tool_use"
	SessionRunning       EventType = "session.status_running"
	SessionIdle          EventType = "session.status_idle"
	SessionTerminated    EventType = "session.status_terminated"
	SessionUpdated       EventType = "session.updated"
	SessionUsage         EventType = "session.usage"
	SessionError         EventType = "session.error"
	SessionDeleted       EventType = "session.deleted"
	SessionWarning       EventType = "session.warning" // an extension: not part of the spec's union
	SpanModelStart       EventType = "span.model_request_start"
	SpanModelEnd         EventType = "span.model_request_end"
)

// InSpec reports whether the type is part of the closed union that official clients parse. Others are shown only to readers
// who ask for extensions.
func (t EventType) InSpec() bool {
	return t != SessionWarning && t != SpanCompactionStart && t != SpanCompactionEnd
}

// Event is one entry of a session's log.
type Event struct {
	Seq  int64 // from 1, without gaps; 0 while a message is queued
	ID   id.Event
	Type EventType
	// Ref is the event that this one answers: the tool use of a result or a confirmation, the start of a span's end. Zero for
	// other types.
	Ref id.Event
	// Data is the event's body, a JSON object in the shape of the API, without id, type, time and the id of Ref. Ids in it are
	// UUIDs. It is never nil.
	Data        json.RawMessage
	ProcessedAt time.Time // zero while a message is queued
}

// RefName returns how the API calls Ref in an event of type t; "" for types without one.
func (t EventType) RefName() string {
	switch t {
	case AgentToolResult, UserToolConfirmation, UserToolResult:
		return "tool_use_id"
	case UserCustomToolResult:
		return "custom_tool_use_id"
	case AgentMCPToolResult:
		return "mcp_tool_use_id"
	case SpanModelEnd:
		return "model_request_start_id"
	case SpanOutcomeEnd:
		return "outcome_evaluation_start_id"
	case SpanCompactionEnd:
		return "compaction_summarize_start_id"
	}
	return ""
}

// IsToolUse reports whether events of the type open a tool use.
func (t EventType) IsToolUse() bool {
	return t == AgentToolUse || t == AgentMCPToolUse || t == AgentCustomToolUse
}

// IsToolResult reports whether events of the type close one.
func (t EventType) IsToolResult() bool {
	return t == AgentToolResult || t == AgentMCPToolResult || t == UserCustomToolResult || t == UserToolResult
}

// The bodies of events, in the shape in which they are stored and shown.
type (
	// MessageBody is that of user.message, agent.message and system.message.
	MessageBody struct {
		Content []Block `json:"content"`
	}
	// ThinkingBody is that of agent.thinking. Blocks is what the provider wants back unchanged.
	ThinkingBody struct {
		Text   string          `json:"text,omitempty"`
		Blocks []ThinkingBlock `json:"blocks,omitempty"`
	}
	// ThinkingBlock is llm.Thinking.
	ThinkingBlock struct {
		Text      string `json:"text,omitempty"`
		Signature string `json:"signature,omitempty"`
		Redacted  string `json:"redacted,omitempty"`
	}
	// ToolUseBody is that of agent.tool_use, agent.mcp_tool_use and agent.custom_tool_use.
	ToolUseBody struct {
		MCPServer  string          `json:"mcp_server_name,omitempty"`
		Name       string          `json:"name"`
		Input      json.RawMessage `json:"input"`
		Permission string          `json:"evaluated_permission,omitempty"` // PermissionAllow, PermissionAsk or PermissionDeny; "" for custom tools
		Evaluation *EvaluationBody `json:"evaluation,omitempty"`           // nil for custom tools, and for tools that the agent does not have
	}
	// EvaluationBody says where a ToolUseBody's Permission comes from.
	EvaluationBody struct {
		Type      string         `json:"type"`                           // always_allow, always_ask, or auto: the server's policies have judged
		Permitted *JudgementBody `json:"evaluated_permission,omitempty"` // of auto
	}
	// JudgementBody is what policies say of a call.
	JudgementBody struct {
		Type   string `json:"type"`                  // PermissionAsk or PermissionDeny
		Reason string `json:"reason_code,omitempty"` // "policy"
	}
	// ToolResultBody is that of every type of result.
	ToolResultBody struct {
		Content []Block `json:"content"`
		IsError bool    `json:"is_error"`
	}
	// ConfirmationBody is that of user.tool_confirmation.
	ConfirmationBody struct {
		Result      string `json:"result"` // PermissionAllow or PermissionDeny
		DenyMessage string `json:"deny_message,omitempty"`
	}
	// IdleBody is that of session.status_idle.
	IdleBody struct {
		StopReason  StopReason `json:"stop_reason"`
		StopDetails *string    `json:"stop_details"`
	}
	// ErrorBody is that of session.error.
	ErrorBody struct {
		Error ErrorDetail `json:"error"`
	}
	// ErrorDetail says what went wrong in a turn.
	ErrorDetail struct {
		Type        ErrorType   `json:"type"`
		Message     string      `json:"message"`
		RetryStatus RetryStatus `json:"retry_status"`
		Rule        string      `json:"rule,omitempty"` // the policy field or rule that refused, if one did
		// MCPServer belongs to the ErrTypeMCP types: the server's name.
		MCPServer string `json:"mcp_server_name,omitempty"`
		// RepositoryURL belongs to the ErrTypeRepository types.
		RepositoryURL string `json:"repository_url,omitempty"`
	}
	// RetryStatus says whether the server tries again.
	RetryStatus struct {
		Type RetryState `json:"type"`
	}
	// WarningBody is that of session.warning.
	WarningBody struct {
		Source  string `json:"source"`
		Message string `json:"message"`
	}
	// SpanStartBody is that of span.model_request_start.
	SpanStartBody struct {
		Model    string `json:"model,omitempty"`
		Provider string `json:"provider,omitempty"`
	}
	// SpanEndBody is that of span.model_request_end.
	SpanEndBody struct {
		Usage        ModelUsage `json:"model_usage"`
		IsError      *bool      `json:"is_error"` // nil or false: the model answered
		Model        string     `json:"model,omitempty"`
		FinishReason string     `json:"finish_reason,omitempty"`
		ProviderID   string     `json:"provider_response_id,omitempty"`
		Error        string     `json:"error_message,omitempty"`
	}
	// ModelUsage counts tokens as the API does.
	ModelUsage struct {
		Input         int64 `json:"input_tokens"`
		Output        int64 `json:"output_tokens"`
		CacheRead     int64 `json:"cache_read_input_tokens"`
		CacheCreation int64 `json:"cache_creation_input_tokens"`
	}
)

// The values of ToolUseBody.Permission and ConfirmationBody.Result.
const (
	PermissionAllow = "allow"
	PermissionAsk   = "ask"
	PermissionDeny  = "deny"
)

// ErrorType classifies a session.error.
type ErrorType string

// The types that this server uses.
const (
	ErrTypeUnknown       ErrorType = "unknown_error"
	ErrTypeOverloaded    ErrorType = "model_overloaded_error"
	ErrTypeRateLimited   ErrorType = "model_rate_limited_error"
	ErrTypeRequestFailed ErrorType = "model_request_failed_error"
	ErrTypeBilling       ErrorType = "billing_error"
	ErrTypeToolUseLimit  ErrorType = "tool_use_limit_reached_error"

	ErrTypeMCPConnection     ErrorType = "mcp_connection_failed_error"
	ErrTypeMCPAuthentication ErrorType = "mcp_authentication_failed_error"

	ErrTypeRepositoryAuth      ErrorType = "repository_authentication_error"
	ErrTypeRepositoryForbidden ErrorType = "repository_forbidden_error"
	ErrTypeRepositoryNotFound  ErrorType = "repository_not_found_error"
	ErrTypeRepositoryCheckout  ErrorType = "repository_checkout_error"
	ErrTypeRepositoryClone     ErrorType = "repository_clone_error"
)

// RetryState says what happens after an error.
type RetryState string

// The states. The API knows "terminal" besides, for errors that end a session, which none here does.
const (
	Retrying  RetryState = "retrying"
	Exhausted RetryState = "exhausted" // the turn is over; the session takes the next message
)

// StopType says why a session became idle.
type StopType string

// The types.
const (
	StopEndTurn          StopType = "end_turn"
	StopRequiresAction   StopType = "requires_action"
	StopRetriesExhausted StopType = "retries_exhausted"
	StopBudgetReached    StopType = "budget_reached"
	StopRefusal          StopType = "refusal"
)

// StopReason is why a session is idle.
type StopReason struct {
	Type StopType
	// Events are the tool uses that wait for somebody; StopRequiresAction only.
	Events []id.Event
}

type stopReasonJSON struct {
	Type   StopType `json:"type"`
	Events []string `json:"event_ids,omitempty"`
}

// MarshalJSON writes the stored form, with UUIDs.
func (r StopReason) MarshalJSON() ([]byte, error) {
	j := stopReasonJSON{Type: r.Type}
	for _, e := range r.Events {
		j.Events = append(j.Events, e.UUID().String())
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *StopReason) UnmarshalJSON(b []byte) error {
	var j stopReasonJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*r = StopReason{Type: j.Type}
	for _, s := range j.Events {
		e, err := id.Parse[id.EventKind](s)
		if err != nil {
			return err
		}
		r.Events = append(r.Events, e)
	}
	return nil
}

// UsageOf counts tokens the API's way.
func UsageOf(u llm.Usage) ModelUsage {
	return ModelUsage{Input: u.Input, Output: u.Output, CacheRead: u.CacheRead, CacheCreation: u.CacheWrite5m + u.CacheWrite1h}
}

// encodeBody returns the stored form of a body; nil is the empty object.
func encodeBody(body any) (json.RawMessage, error) {
	if body == nil {
		return json.RawMessage("{}"), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, fmt.Errorf("session: encode %T: %w", body, err)
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// Body decodes the event's Data into one of this package's bodies.
func (e Event) Body(into any) error {
	if err := json.Unmarshal(e.Data, into); err != nil {
		return fmt.Errorf("session: event %s: %w", e.ID, err)
	}
	return nil
}
