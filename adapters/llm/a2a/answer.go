package a2a

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/ports/llm"
)

// answer gathers what an agent says.
type answer struct {
	text    strings.Builder
	said    map[vendor.ArtifactID]spoken // what was said of each artifact
	room    int                          // for what files say, in bytes
	files   []File
	task    vendor.TaskID
	context string
	state   vendor.TaskState
	last    spoken // of the last status
	whole   bool   // a message has come, which is an answer by itself
}

func newAnswer() *answer { return &answer{said: map[vendor.ArtifactID]spoken{}, room: maxFileTexts} }

// settled reports whether nothing more comes of itself: the task has ended, or waits, or there is none.
func (a *answer) settled() bool {
	switch a.state {
	case vendor.TaskStateInputRequired, vendor.TaskStateAuthRequired:
		return true
	}
	return a.task == "" || a.whole || a.state.Terminal()
}

// take returns the text that an event adds.
func (a *answer) take(event vendor.Event) string {
	switch e := event.(type) {
	case *vendor.Message:
		a.whole = true
		a.of(e.TaskID, e.ContextID)
		return a.say(a.textOf(e.Parts), spoken{}, true)
	case *vendor.Task:
		a.of(e.ID, e.ContextID)
		more := ""
		for _, artifact := range e.Artifacts {
			more += a.artifact(artifact, false)
		}
		return more + a.status(e.Status)
	case *vendor.TaskArtifactUpdateEvent:
		a.of(e.TaskID, e.ContextID)
		return a.artifact(e.Artifact, e.Append)
	case *vendor.TaskStatusUpdateEvent:
		a.of(e.TaskID, e.ContextID)
		return a.status(e.Status)
	}
	return ""
}

func (a *answer) of(task vendor.TaskID, context string) {
	a.task, a.context = cmp.Or(task, a.task), cmp.Or(context, a.context)
}

// artifact says what is new of an artifact: all of it, what is appended, or what its newest whole adds to what was said of it.
func (a *answer) artifact(artifact *vendor.Artifact, appended bool) string {
	if artifact == nil {
		return ""
	}
	said, begun := a.said[artifact.ID]
	if appended {
		more := a.textOf(artifact.Parts)
		a.said[artifact.ID] = said.and(more)
		return a.say(more, spoken{}, !begun)
	}
	files := len(a.files)
	whole := a.textOf(artifact.Parts)
	a.said[artifact.ID] = whole
	if begun && whole.continues(said) {
		a.files = a.files[:files] // they came with what was said before
		return a.say(whole, said, false)
	}
	return a.say(whole, spoken{}, true)
}

// skip has what a task says count as said.
func (a *answer) skip(task *vendor.Task) {
	a.of(task.ID, task.ContextID)
	for _, artifact := range task.Artifacts {
		if artifact != nil {
			a.said[artifact.ID] = a.textOf(artifact.Parts)
		}
	}
	if a.state = task.Status.State; task.Status.Message != nil {
		a.last = a.textOf(task.Status.Message.Parts)
	}
	a.files = nil
}

// status returns the text of a status that says something to the user; what an agent says while it works is not its answer.
func (a *answer) status(s vendor.TaskStatus) string {
	a.state = cmp.Or(s.State, a.state)
	if s.Message == nil {
		return ""
	}
	said := a.textOf(s.Message.Parts)
	repeated := said.text == a.last.text && slices.Equal(said.files, a.last.files)
	a.last = said
	if !repeated && (s.State == vendor.TaskStateCompleted || s.State == vendor.TaskStateInputRequired) {
		return a.say(said, spoken{}, true)
	}
	return ""
}

// say adds what s says behind what it says of before, in a paragraph of its own when it begins something.
func (a *answer) say(s, before spoken, begins bool) string {
	text := s.after(before, &a.room)
	if text == "" {
		return ""
	}
	if begins && a.text.Len() > 0 {
		text = "\n\n" + text
	}
	a.text.WriteString(text)
	return text
}

// The bounds of the files of an answer: of those that are kept, and of what is said of the texts among them, each and in all, in bytes.
const (
	maxFiles     = 20
	maxFileBytes = 5 << 20
	maxFileText  = 64 << 10
	maxFileTexts = 256 << 10
)

// textOf writes parts out: data as JSON, files by their names, and what text files say. Files that came with their contents are kept.
func (a *answer) textOf(parts []*vendor.Part) spoken {
	var b strings.Builder
	var said []fileSaid
	line := func(format string, args ...any) {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, format, args...)
	}
	for _, part := range parts {
		if part == nil {
			continue
		}
		switch content := part.Content.(type) {
		case vendor.Text:
			b.WriteString(string(content))
		case vendor.Data:
			if text, err := json.Marshal(content.Value); err == nil {
				line("%s", text)
			}
		case vendor.URL:
			line("[file %s%s]", oneLine(string(content)), named(part))
		case vendor.Raw:
			line("[file of %d bytes%s]", len(content), named(part))
			if text := fileText(part.MediaType, content); text != "" {
				said = append(said, fileSaid{b.Len(), text})
			}
			if len(a.files) < maxFiles && len(content) <= maxFileBytes {
				a.files = append(a.files, File{part.Filename, part.MediaType, content})
			}
		}
	}
	return spoken{b.String(), said}
}

// fileText is what a file says, if it is a text.
func fileText(mediaType string, content []byte) string {
	typ, _, _ := strings.Cut(strings.ToLower(mediaType), ";")
	switch typ = strings.TrimSpace(typ); {
	case !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0:
		return ""
	case strings.HasPrefix(typ, "text/"), strings.HasSuffix(typ, "+json"), strings.HasSuffix(typ, "+xml"):
	case slices.Contains([]string{"application/json", "application/xml", "application/yaml", "application/x-yaml"}, typ):
	default:
		return ""
	}
	if len(content) <= maxFileText {
		return string(content)
	}
	return strings.ToValidUTF8(string(content[:maxFileText]), "") + "\n[cut: the file is longer]"
}

func named(part *vendor.Part) string {
	out := ""
	for _, s := range []string{part.Filename, part.MediaType} {
		if s != "" {
			out += ", " + oneLine(s)
		}
	}
	return out
}

// response is the whole answer. A task that failed is an error.
func (a *answer) response(model string) (*llm.Response, error) {
	switch a.state {
	case vendor.TaskStateFailed, vendor.TaskStateRejected, vendor.TaskStateAuthRequired, vendor.TaskStateCanceled:
		why := cmp.Or(oneLine(a.last.text), "it does not say why")
		return nil, llm.ErrRefusedRequest.Withf("the agent's task is %s: %s", stateName(a.state), why)
	}
	if a.text.Len() == 0 {
		return nil, llm.ErrCutStream.Wrap(fmt.Errorf("a2a: the task is %q and says nothing", stateName(a.state)))
	}
	return &llm.Response{
		Blocks: []llm.Block{{Text: a.text.String()}}, StopReason: llm.StopEnd, Model: model, ProviderID: string(a.task),
	}, nil
}

// stateName spells a state as people do: "auth-required".
func stateName(s vendor.TaskState) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(string(s), "TASK_STATE_")), "_", "-")
}
