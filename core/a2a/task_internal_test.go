package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

var ids = id.NewGenerator(time.Now)

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    session.TurnEnd
		state  State
		reason string // a part of it; "": none
		rule   string
	}{
		"answered":         {session.TurnEnd{Stop: session.StopEndTurn}, Completed, "", ""},
		"frozen":           {session.TurnEnd{Stopped: true, Reason: "by the operator", Rule: policy.RuleFrozen}, Rejected, "by the operator", policy.RuleFrozen},
		"refused by model": {session.TurnEnd{Stop: session.StopRefusal}, Rejected, "refuses", ""},
		"canceled":         {session.TurnEnd{Stopped: true, Reason: "by the peer"}, Canceled, "by the peer", ""},
		"budget":           {session.TurnEnd{Stop: session.StopBudgetReached}, Failed, "budget", ""},
		"out of retries":   {session.TurnEnd{Stop: session.StopRetriesExhausted}, Failed, "could not answer", ""},
		"denied": {session.TurnEnd{
			Stop: session.StopRetriesExhausted, Error: &session.ErrorDetail{Message: "denied by models", Rule: "models"},
		}, Failed, "denied by models", "models"},
		"frozen before it began": {session.TurnEnd{
			Stop: session.StopRetriesExhausted, Error: &session.ErrorDetail{Message: "denied: frozen", Rule: policy.RuleFrozen},
		}, Rejected, "frozen", policy.RuleFrozen},
	} {
		state, reason, rule := outcome(tc.end)
		if state != tc.state || !strings.Contains(reason, tc.reason) || (tc.reason == "") != (reason == "") || rule != tc.rule {
			t.Errorf("%s: %s, %q, %q", name, state, reason, rule)
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	terminal := map[State]bool{Completed: true, Failed: true, Canceled: true, Rejected: true}
	for _, s := range States() {
		if s.Terminal() != terminal[s] || s.Rests() != (terminal[s] || s == InputRequired) {
			t.Errorf("%s", s)
		}
	}
}

func event(e id.Event, kind session.EventType, text string) session.Event {
	data, err := json.Marshal(session.MessageBody{Content: session.Text(text)})
	if err != nil {
		panic(err)
	}
	return session.Event{ID: e, Type: kind, Data: data}
}

// TestTeller follows what a model says, whole and in pieces, cut off, and joined late.
func TestTeller(t *testing.T) {
	t.Parallel()
	one, two := id.New[id.EventKind](ids), id.New[id.EventKind](ids)
	start := func(e id.Event) func(*teller) []Update {
		return func(t *teller) []Update { return t.chunk(session.Chunk{ID: e, Phase: session.PhaseStart}) }
	}
	delta := func(e id.Event, s string) func(*teller) []Update {
		return func(t *teller) []Update { return t.chunk(session.Chunk{ID: e, Phase: session.PhaseDelta, Delta: s}) }
	}
	whole := func(e id.Event, s string) func(*teller) []Update {
		return func(t *teller) []Update { return t.whole(e, s) }
	}
	tool := func(t *teller) []Update { return t.flush(false) }
	end := func(t *teller) []Update { return t.flush(true) }
	for name, tc := range map[string]struct {
		steps []func(*teller) []Update
		want  []Chunk
	}{
		"in pieces": {
			[]func(*teller) []Update{start(one), delta(one, "a"), delta(one, "b"), whole(one, "ab"), end}, []Chunk{{"a", false, false}, {"b", true, true}},
		},
		"at once":    {[]func(*teller) []Update{whole(one, "ab"), end}, []Chunk{{"ab", false, true}}},
		"joined":     {[]func(*teller) []Update{delta(one, "b"), delta(one, "c"), whole(one, "abc"), end}, []Chunk{{"abc", false, true}}},
		"lost piece": {[]func(*teller) []Update{start(one), delta(one, "a"), delta(one, "c"), whole(one, "abc"), end}, []Chunk{{"a", false, false}, {"bc", true, true}}},
		"other words": {
			[]func(*teller) []Update{start(one), delta(one, "x"), delta(one, "y"), whole(one, "ab"), end}, []Chunk{{"x", false, false}, {"ab", false, true}},
		},
		"cut off": {
			[]func(*teller) []Update{start(one), delta(one, "x"), delta(one, "y"), start(two), delta(two, "ab"), whole(two, "ab"), end},
			[]Chunk{{"x", false, false}, {"y", true, false}, {"ab", false, true}},
		},
		"a tool in between": {
			[]func(*teller) []Update{start(one), delta(one, "wait"), whole(one, "wait"), tool, start(two), delta(two, "done"), whole(two, "done"), end},
			[]Chunk{{"wait", false, false}, {"done", false, true}},
		},
		"never whole": {[]func(*teller) []Update{start(one), delta(one, "x"), end}, []Chunk{{"x", false, false}}},
		"nothing":     {[]func(*teller) []Update{start(one), end}, nil},
	} {
		var state teller
		var got []Chunk
		for _, step := range tc.steps {
			for _, u := range step(&state) {
				got = append(got, *u.Chunk)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestTextOf(t *testing.T) {
	t.Parallel()
	if got, err := textOf(event(id.New[id.EventKind](ids), session.AgentMessage, "hello")); err != nil || got != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := textOf(session.Event{Data: json.RawMessage("[")}); err == nil {
		t.Error("what is no message is read")
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	empty := ""
	png := []byte("\x89PNG\r\n\x1a\n\xff")
	for name, tc := range map[string]struct {
		part Part
		want session.Block // Type alone when it is refused
		err  error
	}{
		"text":       {part: TextPart("hi"), want: session.Block{Type: session.BlockText, Text: "hi"}},
		"empty text": {part: Part{Text: &empty}, err: ErrInvalid},
		"data":       {part: Part{Data: json.RawMessage(`{ "a": 1 }`)}, want: session.Block{Type: session.BlockText, Text: `{"a":1}`}},
		"nothing":    {part: Part{}, err: ErrInvalid},
		"text file": {
			part: Part{Raw: []byte("x"), MediaType: "text/markdown; charset=utf-8", Filename: "a.md"},
			want: session.Block{Type: session.BlockDocument, Title: "a.md", Source: &session.Source{Type: session.SourceText, MediaType: "text/plain", Data: "x"}},
		},
		"unnamed text": {part: Part{Raw: []byte("x")}, want: session.Block{
			Type: session.BlockDocument, Source: &session.Source{Type: session.SourceText, MediaType: "text/plain", Data: "x"},
		}},
		"json file": {part: Part{Raw: []byte("{}"), MediaType: "application/ld+json"}, want: session.Block{
			Type: session.BlockDocument, Source: &session.Source{Type: session.SourceText, MediaType: "text/plain", Data: "{}"},
		}},
		"pdf by its bytes": {part: Part{Raw: []byte("%PDF-1"), MediaType: "application/octet-stream"}, want: session.Block{
			Type: session.BlockDocument, Source: &session.Source{Type: session.SourceBase64, MediaType: "application/pdf", Data: "JVBERi0x"},
		}},
		"image": {part: Part{Raw: png, MediaType: "image/png", Filename: "a.png"}, want: session.Block{
			Type: session.BlockImage, Source: &session.Source{Type: session.SourceBase64, MediaType: "image/png", Data: "iVBORw0KGgr/"},
		}},
		"image that is elsewhere": {part: Part{URL: "https://example.com/a", MediaType: "image/png"}, want: session.Block{
			Type: session.BlockImage, Source: &session.Source{Type: session.SourceURL, URL: "https://example.com/a"},
		}},
		"page that is elsewhere": {part: Part{URL: "https://example.com/a", Filename: "a"}, want: session.Block{
			Type: session.BlockText, Text: "[file a] https://example.com/a",
		}},
		"no web address":          {part: Part{URL: "file:///etc/passwd"}, err: ErrInvalid},
		"zip":                     {part: Part{Raw: []byte{1, 0xff}, MediaType: "application/zip"}, err: ErrContentType},
		"unnamed bytes":           {part: Part{Raw: png}, err: ErrContentType},
		"text that is none":       {part: Part{Raw: png, MediaType: "text/plain"}, err: ErrContentType},
		"sound that is elsewhere": {part: Part{URL: "https://example.com/a", MediaType: "audio/ogg"}, err: ErrContentType},
	} {
		got, err := content([]Part{tc.part})
		if tc.err != nil {
			if !errors.Is(err, tc.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff([]session.Block{tc.want}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		} else if err := session.CheckContent(got, "content"); err != nil {
			t.Errorf("%s: no session takes it: %v", name, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	one := Ask{Use: id.New[id.EventKind](ids), Kind: AskResult, Name: "a", typ: session.AgentCustomToolUse}
	two := Ask{Use: id.New[id.EventKind](ids), Kind: AskConfirmation, Name: "b", typ: session.AgentToolUse}
	parked := Ask{Use: id.New[id.EventKind](ids), Kind: AskApproval}
	data := func(text string, use Ask) Part {
		return Part{Data: json.RawMessage(strings.ReplaceAll(text, "$", use.Use.String()))}
	}
	result := session.Input{Type: session.UserCustomToolResult, ToolUse: one.Use, Content: session.Text("7")}
	allow := session.Input{Type: session.UserToolConfirmation, ToolUse: two.Use, Allow: true}
	deny := session.Input{Type: session.UserToolConfirmation, ToolUse: two.Use, DenyMessage: "too dear"}
	for name, tc := range map[string]struct {
		asks  []Ask
		parts []Part
		want  []session.Input // nil: refused
	}{
		"a result in words":      {[]Ask{one}, []Part{TextPart("7")}, []session.Input{result}},
		"a result as data":       {[]Ask{one, two}, []Part{data(`{"tool_use_id":"$","result":7}`, one)}, []session.Input{result}},
		"a text as data":         {[]Ask{one}, []Part{data(`{"tool_use_id":"$","result":"7"}`, one)}, []session.Input{result}},
		"both at once":           {[]Ask{one, two}, []Part{data(`{"tool_use_id":"$","result":7}`, one), data(`{"tool_use_id":"$","approve":true}`, two)}, []session.Input{result, allow}},
		"yes":                    {[]Ask{two}, []Part{TextPart(" Yes. ")}, []session.Input{allow}},
		"no, and why":            {[]Ask{two}, []Part{TextPart("No, too dear.")}, []session.Input{deny}},
		"denied by data":         {[]Ask{two}, []Part{data(`{"tool_use_id":"$","approve":false,"message":"too dear"}`, two)}, []session.Input{deny}},
		"an approval":            {[]Ask{parked}, []Part{TextPart("approve")}, []session.Input{{Type: session.UserToolConfirmation, ToolUse: parked.Use, Allow: true}}},
		"neither yes nor no":     {[]Ask{two}, []Part{TextPart("perhaps")}, nil},
		"yes, but":               {[]Ask{two}, []Part{TextPart("yes but only if it is cheap")}, nil},
		"words for two":          {[]Ask{one, two}, []Part{TextPart("7")}, nil},
		"another use":            {[]Ask{one}, []Part{data(`{"tool_use_id":"$","result":7}`, two)}, nil},
		"no use":                 {[]Ask{one}, []Part{data(`{"tool_use_id":"odd","result":7}`, two)}, nil},
		"a result that is none":  {[]Ask{one}, []Part{data(`{"tool_use_id":"$","approve":true}`, one)}, nil},
		"an approval of nothing": {[]Ask{two}, []Part{data(`{"tool_use_id":"$","result":7}`, two)}, nil},
		"to nothing":             {nil, []Part{TextPart("7")}, nil},
	} {
		blocks, err := content(tc.parts)
		if err != nil {
			t.Fatal(err)
		}
		got, err := answers(tc.asks, tc.parts, blocks)
		if tc.want == nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.Conflict {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b id.Event) bool { return a == b }),
			cmp.Comparer(func(a, b id.Thread) bool { return a == b }), cmp.Comparer(func(a, b id.Turn) bool { return a == b })); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	base := Message{ID: "1", Context: "c", Parts: []Part{TextPart("ab"), {Data: json.RawMessage(`{"a":1}`)}}}
	same := base
	same.Parts = []Part{TextPart("ab"), {Data: json.RawMessage(`{ "a": 1 }`)}}
	if base.digest() != same.digest() {
		t.Error("blanks tell messages apart")
	}
	for name, change := range map[string]func(*Message){
		"context":   func(m *Message) { m.Context = "" },
		"task":      func(m *Message) { m.Task = id.New[id.TurnKind](ids) },
		"text":      func(m *Message) { m.Parts = []Part{TextPart("a"), TextPart("b")} },
		"kind":      func(m *Message) { m.Parts = []Part{{URL: "ab"}, m.Parts[1]} },
		"reference": func(m *Message) { m.References = []id.Turn{id.New[id.TurnKind](ids)} },
	} {
		other := base
		if change(&other); other.digest() == base.digest() {
			t.Errorf("another %s is not seen", name)
		}
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{"text/plain": true, "TEXT/markdown": true, "text": true, "*/*": true, "image/png": false, "application/json": false} {
		if Accepts([]string{"image/gif", mode}) != want {
			t.Errorf("%s", mode)
		}
	}
	if !Accepts(nil) {
		t.Error("who says nothing accepts nothing")
	}
}

// ahead is a store whose task is further than the log was read.
type ahead struct {
	Tasks

	task Task
}

func (a ahead) Get(context.Context, account.Scope, id.Turn) (Task, error) { return a.task, nil }

// shelf holds the files of any task: one more each time that it is looked at.
type shelf struct {
	Outputs

	all []Output
}

func (s *shelf) Of(_ context.Context, _ account.Scope, tasks []id.Turn, _ int) ([]Output, error) {
	s.all = append(s.all, Output{Task: tasks[0], Path: strconv.Itoa(len(s.all)), File: id.New[id.FileKind](ids)})
	return s.all, nil
}

// TestFollowsInOrder has the row of a task say more than the log that was read so far: what the agent said and made comes before the end, and
// each file once.
func TestFollowsInOrder(t *testing.T) {
	t.Parallel()
	message, answer := id.New[id.EventKind](ids), id.New[id.EventKind](ids)
	for name, tc := range map[string]struct {
		row  Task
		last session.EventType
		want []State
	}{
		"ended":             {Task{State: Completed, FirstSeq: 1, LastSeq: 4}, session.SessionIdle, []State{Working, "file 0", "answer", "file 1", Completed}},
		"waits":             {Task{State: InputRequired, FirstSeq: 1}, session.SessionIdle, []State{Working, "file 0", "answer", InputRequired}},
		"failed in silence": {Task{State: Failed, FirstSeq: 1, LastSeq: 4}, session.SpanModelEnd, []State{Working, "file 0", "answer", "file 1", Failed}},
	} {
		tc.row.ID, tc.row.Event, tc.row.UpdatedAt = id.New[id.TurnKind](ids), message, time.Unix(2, 0)
		begun := tc.row
		begun.State, begun.FirstSeq, begun.LastSeq, begun.UpdatedAt = Submitted, 0, 0, time.Unix(1, 0)
		f := newFollow(&Service{d: Deps{Tasks: ahead{task: tc.row}, Outputs: &shelf{}}}, account.Scope{}, begun, nil, true)
		said := event(answer, session.AgentMessage, "hello")
		said.Seq = 3
		var got []State
		for _, e := range []session.Event{
			{Seq: 1, ID: message, Type: session.UserMessage}, {Seq: 2, Type: session.SessionRunning}, {Seq: 2, Type: session.AgentToolResult}, said, {Seq: 4, Type: tc.last},
		} {
			updates, err := f.take(t.Context(), session.Frame{Event: &e})
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range updates {
				switch {
				case u.Output != nil:
					got = append(got, State("file "+u.Output.Path))
				case u.Chunk != nil:
					got = append(got, "answer")
					if u.Chunk.Text != "hello" || u.Chunk.Last != tc.row.State.Terminal() {
						t.Errorf("%s: %+v", name, u.Chunk)
					}
				default:
					got = append(got, u.Task.State)
				}
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestFollowTellsWhatIsNew: what the reader has is not told again, until it is made anew.
func TestFollowTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	row := Task{ID: id.New[id.TurnKind](ids), State: Working, FirstSeq: 1}
	kept := &shelf{}
	f := newFollow(&Service{d: Deps{Outputs: kept}}, account.Scope{}, row, nil, true)
	read := func() (paths []string) {
		updates, err := f.take(t.Context(), session.Frame{Event: &session.Event{Seq: 2, Type: session.AgentToolResult}})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range updates {
			paths = append(paths, u.Output.Path)
		}
		return paths
	}
	had, err := kept.Of(t.Context(), account.Scope{}, []id.Turn{row.ID}, MaxOutputs)
	if err != nil {
		t.Fatal(err)
	}
	f.Told(had)
	if diff := cmp.Diff([]string{"1"}, read()); diff != "" {
		t.Error(diff)
	}
	kept.all[0].File = id.New[id.FileKind](ids)
	if diff := cmp.Diff([]string{"0", "2"}, read()); diff != "" {
		t.Error(diff)
	}
}
