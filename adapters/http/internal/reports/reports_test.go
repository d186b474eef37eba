package reports

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	agent  = "01890a5d-ac96-774b-bcce-b302099a8057"
	parent = "rep_01h455vb4pex5vsknk084sn02q"
)

var ids = cmp.Options{
	cmp.Comparer(func(a, b id.Report) bool { return a == b }), cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
	cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
}

// usual reads a batch as it is read the usual way.
func usual(body []byte) ([]telemetry.NewEvent, error) {
	var b struct{ Events []NewEvent }
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	return ReadAll(b.Events)
}

// TestBatch has what is plainly right, and what is left to the usual way.
func TestBatch(t *testing.T) {
	t.Parallel()
	full := `{"agent_id":"` + agent + `","event_type":"a \u00e9\n","source":"s","level":"error","trace_id":"t","parent_event_id":"` + parent +
		`","payload":{"a":[1,{"b":"}"}]}}`
	for body, plain := range map[string]bool{
		`{"events":[` + full + `]}`: true,
		` {"events" : [` + full + `, {"event_type":"x","agent_id":"agent_01h455vb4pex5vsknk084sn02q"}] } `:                                            true,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","source":null,"level":null,"trace_id":null,"parent_event_id":null,"payload":null}]}`: true,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":{}}]}`:                                                                     true,
		`{"events":[]}`: false, `{}`: false, `[]`: false, `{"events":null}`: false, `{"events":[null]}`: false, `{"other":1,"events":[` + full + `]}`: false,
		`{"events":[{"agent_id":"` + agent + `"}]}`:                                                      false,
		`{"events":[{"event_type":"x"}]}`:                                                                false,
		`{"events":[{"agent_id":"` + agent + `","event_type":" "}]}`:                                     false,
		`{"events":[{"agent_id":"` + agent + `","event_type":null}]}`:                                    false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","more":1}]}`:                            false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","more":null}]}`:                         false,
		`{"events":[{"agent_id":"` + agent + `","Event_Type":"x"}]}`:                                     false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","level":"fatal"}]}`:                     false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":[]}]}`:                        false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":"{}"}]}`:                      false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"x","parent_event_id":"y"}]}`:               false,
		`{"events":[{"agent_id":"none","event_type":"x"}]}`:                                              false,
		`{"events":[{"agent_id":7,"event_type":"x"}]}`:                                                   false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"` + strings.Repeat("x", 201) + `"}]}`:      false,
		`{"events":[{"agent_id":"` + agent + `","event_type":"` + strings.Repeat("\u00e9", 200) + `"}]}`: true,
		`{"events":[` + strings.Repeat(full+",", 499) + full + `]}`:                                      true,
		`{"events":[` + strings.Repeat(full+",", 500) + full + `]}`:                                      false,
	} {
		got, ok := Batch([]byte(body))
		if ok != plain {
			t.Errorf("%.300s: %v, want %v", body, ok, plain)
		}
		if !ok {
			continue
		}
		want, err := usual([]byte(body))
		if err != nil {
			t.Fatalf("%.300s: %v", body, err)
		}
		if diff := cmp.Diff(want, got, ids); diff != "" {
			t.Errorf("%.300s (-want +got):\n%s", body, diff)
		}
	}
	one, ok := One([]byte(full))
	if batch, _ := Batch([]byte(`{"events":[` + full + `]}`)); !ok || cmp.Diff(batch[0], one, ids) != "" {
		t.Errorf("one: %+v, %v", one, ok)
	}
	if _, ok := One([]byte(full + "1")); ok {
		t.Error("what follows is passed over")
	}
}

// FuzzBatch compares the two ways to read a batch: what the fast one takes, the usual one takes for the same.
func FuzzBatch(f *testing.F) {
	item := `{"agent_id":"` + agent + `","event_type":"x\\","source":"s","level":"error","trace_id":"t","parent_event_id":"` + parent + `","payload":{"a":[1]}}`
	f.Add([]byte(`{"events":[` + item + `,` + item + `]}`))
	f.Add([]byte(`{"events":[{"agent_id":"` + agent + `","event_type":"x","payload":null,"level":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if httpx.CheckJSON(body, false) != nil {
			return
		}
		got, ok := Batch(body)
		if !ok {
			return
		}
		want, err := usual(body)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if diff := cmp.Diff(want, got, ids); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", body, diff)
		}
	})
}

// TestAppend reads what is written.
func TestAppend(t *testing.T) {
	t.Parallel()
	sp := Spelling{Begin: `"type":"event",`, Agent: id.Agent.String, Report: id.Report.String}
	a, err := id.Parse[id.AgentKind](agent)
	if err != nil {
		t.Fatal(err)
	}
	r, err := id.Parse[id.ReportKind](parent)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 23, 59, 59, 7_000_000, time.UTC)
	events := []telemetry.Event{
		{ID: r, Agent: a, Type: "x", Level: telemetry.LevelInfo, At: at},
		{
			ID: r, Agent: a, Type: "q\"\\\n\u00e9<\u2028\U0001F600", Source: "s", Level: telemetry.LevelCritical, TraceID: "t", Parent: r, At: at.In(time.FixedZone("", 3600)),
			Payload: json.RawMessage(`{"a": 1.0}`),
		},
	}
	written := sp.AppendAll([]byte("["), events)
	if one := sp.Append(nil, &events[0]); !strings.Contains(string(written), string(one)) {
		t.Errorf("%s is not in %s", one, written)
	}
	var got any
	if err := json.Unmarshal(append(written, ']'), &got); err != nil {
		t.Fatalf("%v: %s", err, written)
	}
	want := []any{
		map[string]any{
			"type": "event", "id": parent, "agent_id": a.String(), "event_type": "x", "source": nil, "level": "info", "trace_id": nil,
			"parent_event_id": nil, "payload": nil, "created_at": "2026-11-21T23:59:59.007Z",
		},
		map[string]any{
			"type": "event", "id": parent, "agent_id": a.String(), "event_type": events[1].Type, "source": "s", "level": "critical", "trace_id": "t",
			"parent_event_id": parent, "payload": map[string]any{"a": 1.0}, "created_at": "2026-11-21T23:59:59.007Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
