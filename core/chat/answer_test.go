package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestTeller shows streams as the reader of one answer gets them.
func TestTeller(t *testing.T) {
	t.Parallel()
	ids := id.NewGenerator(time.Now)
	mine, other := id.New[id.EventKind](ids), id.New[id.EventKind](ids)
	first, second := id.New[id.EventKind](ids), id.New[id.EventKind](ids)
	event := func(seq int64, typ session.EventType, of id.Event, body any) session.Frame {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return session.Frame{Event: &session.Event{Seq: seq, ID: of, Type: typ, Data: data}}
	}
	said := func(seq int64, of id.Event, text string) session.Frame {
		return event(seq, session.AgentMessage, of, session.MessageBody{Content: session.Text(text)})
	}
	asks := func(seq int64, of id.Event) session.Frame {
		return event(seq, session.UserMessage, of, session.MessageBody{Content: session.Text("?")})
	}
	idle := func(seq int64, why session.StopType) session.Frame {
		return event(seq, session.SessionIdle, id.Event{}, session.IdleBody{StopReason: session.StopReason{Type: why}})
	}
	delta := func(after int64, of id.Event, text string) session.Frame {
		return session.Frame{Chunk: &session.Chunk{Kind: session.ChunkMessage, Phase: session.PhaseDelta, ID: of, Delta: text, After: after}}
	}
	thinks := delta(5, other, "hm")
	thinks.Chunk.Kind = session.ChunkThinking
	for name, tc := range map[string]struct {
		frames []session.Frame
		want   string
	}{
		"chunks, then the whole": {
			[]session.Frame{asks(5, mine), thinks, delta(5, first, "Hel"), delta(5, first, "lo"), said(7, first, "Hello!"), idle(8, session.StopEndTurn)},
			"Hel|lo|!",
		},
		"no chunks":         {[]session.Frame{asks(5, mine), said(7, first, "Hello!"), idle(8, session.StopEndTurn)}, "Hello!"},
		"the turn before":   {[]session.Frame{said(3, other, "x"), idle(4, session.StopEndTurn), asks(5, mine), delta(4, other, "late"), said(7, first, "y"), idle(8, session.StopEndTurn)}, "y"},
		"several messages":  {[]session.Frame{asks(5, mine), said(7, first, "a"), delta(7, second, "b"), said(9, second, "bc"), idle(10, session.StopEndTurn)}, "a|\n\n|b|c"},
		"said again":        {[]session.Frame{asks(5, mine), delta(5, first, "Hello w"), delta(5, second, "Hel"), delta(5, second, "lo world"), said(7, second, "Hello world"), idle(8, session.StopEndTurn)}, "Hello w|orld"},
		"other words":       {[]session.Frame{asks(5, mine), delta(5, first, "Grüße"), delta(5, second, "Hi"), said(7, second, "Hi"), idle(8, session.StopEndTurn)}, "Grüße|-5|Hi"},
		"fewer words":       {[]session.Frame{asks(5, mine), delta(5, first, "Hello"), said(7, second, "Hell"), idle(8, session.StopEndTurn)}, "Hello|-5|Hell"},
		"cut for good":      {[]session.Frame{asks(5, mine), said(7, first, "a"), delta(7, second, "b"), idle(8, session.StopRetriesExhausted)}, "a|\n\n|b|-3|!unknown_error"},
		"refused":           {[]session.Frame{asks(5, mine), idle(8, session.StopRefusal)}, "!refused"},
		"no budget":         {[]session.Frame{asks(5, mine), idle(8, session.StopBudgetReached)}, "!budget_reached"},
		"waits":             {[]session.Frame{asks(5, mine), said(7, first, "a"), idle(8, session.StopRequiresAction)}, "a|!approval_required"},
		"waits behind":      {[]session.Frame{idle(8, session.StopRequiresAction), asks(9, mine)}, "!waiting"},
		"interrupted":       {[]session.Frame{asks(5, mine), event(6, session.UserInterrupt, other, struct{}{}), idle(8, session.StopEndTurn)}, "!interrupted"},
		"deleted":           {[]session.Frame{asks(5, mine), event(6, session.SessionDeleted, other, struct{}{})}, "!session_ended"},
		"the next question": {[]session.Frame{asks(5, mine), said(7, first, "a"), asks(8, other), said(9, second, "b")}, "a"},
		"failed": {[]session.Frame{
			asks(5, mine), event(6, session.SessionError, other, session.ErrorBody{Error: session.ErrorDetail{
				Type: session.ErrTypeOverloaded, Message: "x", RetryStatus: session.RetryStatus{Type: session.Retrying},
			}}), event(7, session.SessionError, other, session.ErrorBody{Error: session.ErrorDetail{
				Type: session.ErrTypeBilling, Message: "x", RetryStatus: session.RetryStatus{Type: session.Exhausted},
			}}), idle(8, session.StopEndTurn),
		}, "!billing_error"},
	} {
		tell := teller{sent: mine}
		var got []string
		for _, f := range tc.frames {
			if tell.ended {
				break
			}
			pieces, err := tell.take(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pieces {
				switch p.Kind {
				case PieceText:
					got = append(got, p.Text)
				case PieceVoid:
					got = append(got, fmt.Sprint(-p.Void))
				case PieceProblem:
					got = append(got, "!"+p.Code)
				}
			}
		}
		if strings.Join(got, "|") != tc.want || !tell.ended {
			t.Errorf("%s: %q, ended %t; want %q", name, strings.Join(got, "|"), tell.ended, tc.want)
		}
	}
	// A turn that waited in the past is judged by what the session's row says.
	past := []session.Frame{asks(5, mine), idle(6, session.StopRequiresAction), event(7, session.SessionRunning, other, struct{}{})}
	for parked, want := range map[bool]int{true: 1, false: 0} {
		tell := teller{sent: mine, past: 7, parked: parked}
		var got []Piece
		for _, f := range past {
			pieces, err := tell.take(f)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.Concat(got, pieces)
		}
		if len(got) != want {
			t.Errorf("parked %t: %+v", parked, got)
		}
	}
}
