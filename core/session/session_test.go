package session

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	when := time.Now()
	waits, done := &StopReason{Type: StopRequiresAction}, &StopReason{Type: StopEndTurn}
	for name, tc := range map[string]struct {
		s    Session
		want Status
	}{
		"fresh":                    {Session{Active: StatusIdle}, StatusIdle},
		"accepted":                 {Session{Active: StatusIdle, Queued: 1}, StatusRunning},
		"accepted after a turn":    {Session{Active: StatusIdle, Queued: 1, StopReason: done}, StatusRunning},
		"running":                  {Session{Active: StatusRunning}, StatusRunning},
		"waits":                    {Session{Active: StatusIdle, StopReason: waits}, StatusIdle},
		"waits with a queue":       {Session{Active: StatusIdle, StopReason: waits, Queued: 3}, StatusIdle},
		"archived, whatever it is": {Session{Active: StatusRunning, Queued: 1, ArchivedAt: &when}, StatusTerminated},
	} {
		if got := tc.s.Status(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestActiveTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	since := now.Add(-2 * time.Second)
	s := Session{ActiveFor: time.Second, RunningSince: &since}
	if got := s.ActiveTime(now); got != 3*time.Second {
		t.Errorf("running: %s", got)
	}
	if got := s.ActiveTime(since.Add(-time.Hour)); got != time.Second {
		t.Errorf("a clock that went back: %s", got)
	}
}

func TestStopReasonJSON(t *testing.T) {
	t.Parallel()
	e := id.New[id.EventKind](id.NewGenerator(time.Now))
	for want, r := range map[string]StopReason{
		`{"type":"end_turn"}`: {Type: StopEndTurn},
		`{"type":"requires_action","event_ids":["` + e.UUID().String() + `"]}`: {Type: StopRequiresAction, Events: []id.Event{e}},
	} {
		b, err := json.Marshal(r)
		if err != nil || string(b) != want {
			t.Errorf("%s, %v; want %s", b, err, want)
		}
		var back StopReason
		if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(r, back, cmp.AllowUnexported(id.Event{})) {
			t.Errorf("%+v, %v", back, err)
		}
	}
}

func TestParseContent(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"hello"`: "hello", `[{"type":"text","text":"a"},{"type":"text","text":"b"}]`: "a\nb",
		`[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]`:                   "[image]",
		`[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"},"unknown":{"a":[]}}]`: "[document]",
		`[{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}]`:                        "[document]",
		`[{"type":"redacted"}]`: "[redacted]",
		`[{"type":"image","source":{"type":"file","file_id":"file_01h455vb4pex5vsknk084sn02q"}}]`:                                             "[image]",
		`[{"type":"search_result","source":"https://s","title":"T","content":[{"type":"text","text":"found"}],"citations":{"enabled":true}}]`: "[search result] T\nhttps://s\nfound",
	} {
		got, err := ParseContent(json.RawMessage(in), "content")
		if err != nil || PlainText(got) != want {
			t.Errorf("%s: %q, %v", in, PlainText(got), err)
		}
	}
	if _, err := ParseContent(json.RawMessage(`[{"type":"document","source":{"type":"file","file_id":"file_x"}}]`), "content"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an id that is none: %v", err)
	}
	if err := CheckContent([]Block{{Type: BlockSearchResult, Search: &SearchResult{}}}, "content"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a search result in a message: %v", err)
	}
	for in, path := range map[string]string{
		``: "content", `null`: "content", `""`: "content", `"  "`: "content", `[]`: "content", `{}`: "content", `7`: "content",
		`[{"text":"a"}]`: "content[0].type", `[{"type":"video"}]`: "content[0].type", `[{"type":"text"}]`: "content[0].text",
		`[{"type":"text","text":"a"},{"type":"image"}]`:                                           "content[1].source",
		`[{"type":"image","source":{"type":"base64","data":"aGk="}}]`:                             "content[0].source.media_type",
		`[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"?"}}]`:       "content[0].source.data",
		`[{"type":"image","source":{"type":"text","data":"x"}}]`:                                  "content[0].source.type",
		`[{"type":"image","source":{"type":"url","url":"file:///etc/passwd"}}]`:                   "content[0].source.url",
		`[{"type":"document","source":{"type":"folder"}}]`:                                        "content[0].source.type",
		`[{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"aGk="}}]`:   "content[0].source.media_type",
		`[{"type":"search_result","title":"t","content":[{"type":"text","text":"x"}]}]`:           "content[0].source",
		`[{"type":"search_result","source":"s","title":"t"}]`:                                     "content[0].content",
		`[{"type":"search_result","source":"s","content":[{"type":"image","text":"x"}]}]`:         "content[0].content[0].type",
		"[" + strings.Repeat(`{"type":"text","text":"a"},`, 1000) + `{"type":"text","text":"a"}]`: "content",
	} {
		_, err := ParseContent(json.RawMessage(in), "content")
		fe, ok := fault.As(err)
		if !ok || fe.Kind != fault.Invalid || len(fe.Fields) != 1 || fe.Fields[0].Path != path {
			t.Errorf("%.80s: %v, want a fault at %s", in, err, path)
		}
	}
}

// FuzzParseContent holds that what is accepted can be stored, read again, and shown to a model.
func FuzzParseContent(f *testing.F) {
	f.Add([]byte(`"hello"`))
	f.Add([]byte(`[{"type":"text","text":"a"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}]`))
	f.Add([]byte(`[{"type":"document","title":"t","source":{"type":"url","url":"https://x"}}]`))
	f.Add([]byte(`[{"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]},{"type":"redacted"}]`))
	f.Add([]byte(`[{"type":"image","source":{"type":"file","file_id":"file_01h455vb4pex5vsknk084sn02q"}}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		blocks, err := ParseContent(b, "content")
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
				t.Fatal(err)
			}
			return
		}
		data, err := encodeBody(MessageBody{blocks})
		if err != nil {
			t.Fatal(err)
		}
		var back MessageBody
		if err := (Event{Data: data}).Body(&back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(blocks, back.Content); d != "" {
			t.Error(d)
		}
		for _, bl := range blocks {
			if l := bl.LLM(); l.Text == "" && l.Media == nil {
				t.Errorf("%+v shows nothing", bl)
			}
		}
	})
}

// TestSlowReader fills a mailbox: a stream with a gap is dropped as a whole, later ones come again, and nobody waits.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := &subscriber{chunks: true, wake: make(chan struct{}, 1)}
	ids := id.NewGenerator(time.Now)
	first, second := id.New[id.EventKind](ids), id.New[id.EventKind](ids)
	for range maxPendingChunks + 10 {
		s.offer(Chunk{Kind: ChunkMessage, Phase: PhaseDelta, ID: first, Delta: "x"})
	}
	s.offer(Chunk{Kind: ChunkMessage, Phase: PhaseStart, ID: second})
	s.reach(7)
	s.reach(5)
	target, queue, err := s.take()
	if target != 7 || err != nil || len(queue) != 1 || queue[0].ID != second {
		t.Errorf("target %d, %d chunks, %v", target, len(queue), err)
	}
	quiet := &subscriber{wake: make(chan struct{}, 1)}
	quiet.offer(Chunk{ID: first})
	if _, queue, _ := quiet.take(); len(queue) != 0 {
		t.Error("chunks for a reader who wants none")
	}
}

func TestRelayMerges(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	v, e := id.New[id.SessionKind](ids), id.New[id.EventKind](ids)
	r := relayBox{wake: make(chan struct{}, 1)}
	text := strings.Repeat("ä€😀", 300)
	r.put(v, Chunk{Kind: ChunkMessage, Phase: PhaseStart, ID: e})
	for _, c := range strings.Split(text, "") {
		r.put(v, Chunk{Kind: ChunkMessage, Phase: PhaseDelta, ID: e, Delta: c})
	}
	r.put(v, Chunk{Kind: ChunkMessage, Phase: PhaseDelta, ID: e, Delta: text})
	r.put(v, Chunk{Kind: ChunkMessage, Phase: PhaseEnd, ID: e, Status: ChunkCompleted})
	items := r.wait(t.Context())
	if len(items) > 10 || items[0].Phase != PhaseStart || items[len(items)-1].Phase != PhaseEnd {
		t.Errorf("%d items", len(items))
	}
	var got strings.Builder
	for _, it := range items {
		if len(it.Delta) > chunkTextMax || !json.Valid([]byte(`"`+it.Delta+`"`)) {
			t.Errorf("a piece of %d bytes", len(it.Delta))
		}
		got.WriteString(it.Delta)
	}
	if got.String() != text+text {
		t.Error("the text is not whole")
	}
}
