package a2a

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"

	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/ports/id"
)

// states pairs our states with the protocol's.
var states = map[tasks.State]a2a.TaskState{
	tasks.Submitted:     a2a.TaskStateSubmitted,
	tasks.Working:       a2a.TaskStateWorking,
	tasks.InputRequired: a2a.TaskStateInputRequired,
	tasks.Completed:     a2a.TaskStateCompleted,
	tasks.Failed:        a2a.TaskStateFailed,
	tasks.Canceled:      a2a.TaskStateCanceled,
	tasks.Rejected:      a2a.TaskStateRejected,
}

// stateFrom returns our state for one of the protocol's; "" for those that no task is ever in.
func stateFrom(s a2a.TaskState) tasks.State {
	for ours, theirs := range states {
		if theirs == s {
			return ours
		}
	}
	return ""
}

// answerID is the id of the artifact that is a task's answer.
const answerID = "answer"

// taskOf shows a task. base is the server's address, for the files that come without their bytes; "" is not known.
func taskOf(t tasks.Task, c tasks.Content, base string) *a2a.Task {
	out := &a2a.Task{
		ID: a2a.TaskID(t.ID.String()), ContextID: t.Context, Status: statusOfTask(t, c.Asks), Metadata: object(t.Metadata),
	}
	for _, s := range c.History {
		out.History = append(out.History, messageOf(t, s))
	}
	if c.Answer != nil {
		out.Artifacts = append(out.Artifacts, &a2a.Artifact{ID: answerID, Name: answerID, Parts: a2a.ContentParts{a2a.NewTextPart(c.Answer.Text)}})
	}
	out.Artifacts = append(out.Artifacts, artifactsOf(t, c.Outputs, base)...)
	return out
}

func chunkOf(info a2a.TaskInfo, c tasks.Chunk) *a2a.TaskArtifactUpdateEvent {
	return &a2a.TaskArtifactUpdateEvent{
		TaskID: info.TaskID, ContextID: info.ContextID, Append: c.Append, LastChunk: c.Last,
		Artifact: &a2a.Artifact{ID: answerID, Name: answerID, Parts: a2a.ContentParts{a2a.NewTextPart(c.Text)}},
	}
}

func messageOf(t tasks.Task, s tasks.Said) *a2a.Message {
	m := &a2a.Message{
		ID: s.ID, TaskID: a2a.TaskID(t.ID.String()), ContextID: t.Context, Role: a2a.MessageRoleUser, Metadata: object(s.Metadata),
		Extensions: s.Extensions,
	}
	if s.Agent {
		m.Role = a2a.MessageRoleAgent
	}
	for _, r := range s.References {
		m.ReferenceTasks = append(m.ReferenceTasks, a2a.TaskID(r))
	}
	for _, p := range s.Parts {
		m.Parts = append(m.Parts, partOf(p))
	}
	return m
}

func partOf(p tasks.Part) *a2a.Part {
	out := &a2a.Part{Filename: p.Filename, MediaType: p.MediaType, Metadata: object(p.Metadata)}
	var v any
	switch {
	case p.Text != nil:
		out.Content = a2a.Text(*p.Text)
	case p.Data != nil && json.Unmarshal(p.Data, &v) == nil:
		out.Content = a2a.Data{Value: v}
	case p.URL != "":
		out.Content = a2a.URL(p.URL)
	default: // bytes are not repeated
		out.Content = a2a.Text(strings.TrimSpace("[file " + p.Filename + "]" + " of " + strconv.FormatInt(p.Size, 10) + " bytes"))
	}
	return out
}

// object reads a JSON object; nil for none.
func object(raw json.RawMessage) map[string]any {
	var out map[string]any
	if len(raw) == 0 || json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}

// statusOfTask says where a task stands. What it waits for is told in words, and as data that an answer can be made of.
func statusOfTask(t tasks.Task, asks []tasks.Ask) a2a.TaskStatus {
	at := t.UpdatedAt.UTC()
	out := a2a.TaskStatus{State: states[t.State], Timestamp: &at}
	var parts a2a.ContentParts
	switch {
	case t.State == tasks.InputRequired:
		for _, a := range asks {
			parts = append(parts, askParts(a)...)
		}
		if parts == nil {
			parts = a2a.ContentParts{a2a.NewTextPart("The task waits for somebody.")}
		}
	case t.Reason != "":
		parts = a2a.ContentParts{a2a.NewTextPart(t.Reason)}
	default:
		return out
	}
	out.Message = &a2a.Message{
		ID:   t.ID.String() + "-" + string(t.State) + "-" + strconv.FormatInt(at.UnixMicro(), 36),
		Role: a2a.MessageRoleAgent, TaskID: a2a.TaskID(t.ID.String()), ContextID: t.Context, Parts: parts,
	}
	return out
}

func askParts(a tasks.Ask) a2a.ContentParts {
	data := map[string]any{"type": string(a.Kind), "tool_use_id": a.Use.String()}
	var text string
	switch a.Kind {
	case tasks.AskResult:
		text = fmt.Sprintf("The result of your tool %q is needed. Answer with it, naming this task.", a.Name)
	case tasks.AskConfirmation:
		text = fmt.Sprintf("May the agent use the tool %q? Answer yes or no, naming this task.", a.Name)
	default:
		text = "An approval is needed from whoever runs the agent, or from you if your key may give it: answer yes or no, naming this task."
	}
	if a.Name != "" {
		data["name"] = a.Name
		if in := object(a.Input); in != nil {
			data["input"] = in
		}
	}
	return a2a.ContentParts{a2a.NewTextPart(text), a2a.NewDataPart(data)}
}

// message reads what a request says.
func (h *handler) message(ctx context.Context, req *a2a.SendMessageRequest) (m tasks.Message, history int, err error) {
	history = -1
	in := req.Message
	if in == nil {
		return m, 0, a2a.NewError(a2a.ErrInvalidParams, "message: is required")
	}
	if in.Role != a2a.MessageRoleUser {
		return m, 0, a2a.NewError(a2a.ErrInvalidParams, "message.role: must be the user's")
	}
	m = tasks.Message{Agent: callOf(ctx).agent, ID: in.ID, Context: in.ContextID, Extensions: in.Extensions}
	if c := req.Config; c != nil {
		if history, err = historyOf(c.HistoryLength, -1); err != nil {
			return m, 0, err
		}
		if !tasks.Accepts(c.AcceptedOutputModes) {
			return m, 0, a2a.NewError(a2a.ErrUnsupportedContentType, "this agent answers in text, which acceptedOutputModes does not name")
		}
		if m.Then, err = h.pushed(ctx, c.PushConfig); err != nil {
			return m, 0, err
		}
	}
	if in.TaskID != "" {
		if m.Task, err = taskID(in.TaskID); err != nil {
			return m, 0, err
		}
	}
	for i, r := range in.ReferenceTasks {
		task, err := id.Parse[id.TurnKind](string(r))
		if err != nil {
			return m, 0, a2a.NewError(a2a.ErrInvalidParams, fmt.Sprintf("message.referenceTaskIds[%d]: names no task of yours with this agent", i))
		}
		m.References = append(m.References, task)
	}
	if m.Metadata, err = raw(in.Metadata); err != nil {
		return m, 0, err
	}
	if m.TaskMetadata, err = raw(req.Metadata); err != nil {
		return m, 0, err
	}
	for i, p := range in.Parts {
		part, err := partFrom(p)
		if err != nil {
			return m, 0, a2a.NewError(a2a.ErrInvalidParams, fmt.Sprintf("message.parts[%d]: %v", i, err))
		}
		m.Parts = append(m.Parts, part)
	}
	return m, history, nil
}

// raw writes an object; nil for none.
func raw(object map[string]any) (json.RawMessage, error) {
	if len(object) == 0 {
		return nil, nil
	}
	return json.Marshal(object)
}

var errNoPart = fmt.Errorf("must be an object")

func partFrom(p *a2a.Part) (out tasks.Part, err error) {
	if p == nil {
		return out, errNoPart
	}
	out = tasks.Part{Filename: p.Filename, MediaType: p.MediaType}
	if out.Metadata, err = raw(p.Metadata); err != nil {
		return out, err
	}
	switch v := p.Content.(type) {
	case a2a.Text:
		text := string(v)
		out.Text = &text
	case a2a.Data:
		out.Data, err = json.Marshal(v.Value)
	case a2a.Raw:
		out.Raw = v
	case a2a.URL:
		out.URL = string(v)
	}
	return out, err
}
