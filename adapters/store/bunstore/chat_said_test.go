package bunstore

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestChatSaid compares what is read of many conversations with what was said in them.
func TestChatSaid(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		ids := id.NewGenerator(time.Now)
		sc := account.System(id.New[id.TenantKind](ids))
		of := id.New[id.AgentKind](ids)
		r := rand.New(rand.NewPCG(1, 2))
		begin := clock.Stored(time.Now().Add(-time.Hour))
		whos := []chat.Who{{Agent: of, Channel: chat.API, Kind: chat.KindPeer, Name: "a"}, {Agent: of, Channel: chat.API, Kind: chat.KindKey, Name: "a"}, {Agent: of, Channel: chat.Slack, Kind: chat.KindPeer, Name: "a"}}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		type message struct {
			chat.Mark
			who chat.Who
		}
		var said []message
		var sessions []id.Session
		for i := range 24 {
			v := session.Session{ID: id.New[id.SessionKind](ids), Tenant: sc.Tenant, Agent: of, AgentVersion: 1, Private: true, Active: session.StatusIdle, CreatedAt: begin, UpdatedAt: begin}
			must(s.Sessions().Create(t.Context(), sc, v))
			who := whos[i%len(whos)]
			must(s.ChatSessions().Add(t.Context(), sc, chat.Session{ID: v.ID, Who: who, StartedAt: begin}))
			sessions = append(sessions, v.ID)
			when := begin
			for range r.IntN(6) {
				when = when.Add(time.Duration(r.IntN(4)) * time.Millisecond) // many at one time
				last, err := s.Sessions().Append(t.Context(), sc, session.Append{Session: v.ID, At: when, Said: 2, Events: []session.Event{
					{ID: id.New[id.EventKind](ids), Type: session.UserMessage, Data: []byte("{}")}, {ID: id.New[id.EventKind](ids), Type: session.SessionRunning, Data: []byte("{}")},
					{ID: id.New[id.EventKind](ids), Type: session.AgentMessage, Data: []byte("{}")},
				}})
				must(err)
				said = append(said, message{chat.Mark{At: when, Session: v.ID, Seq: last - 2}, who}, message{chat.Mark{At: when, Session: v.ID, Seq: last}, who})
			}
		}
		must(s.Sessions().Delete(t.Context(), sc, sessions[0], begin))
		said = slices.DeleteFunc(said, func(m message) bool { return m.Session == sessions[0] })
		slices.SortFunc(said, func(x, y message) int {
			return cmp.Or(y.At.Compare(x.At), compareIDs(y.Session, x.Session), cmp.Compare(y.Seq, x.Seq))
		})
		for name, q := range map[string]chat.SaidQuery{
			"all": {}, "one": {Session: sessions[7]}, "deleted": {Session: sessions[0]}, "peer": {Who: &whos[0]}, "key": {Who: &whos[1]}, "slack": {Who: &whos[2]},
			"since": {Since: begin.Add(5 * time.Millisecond)}, "one since": {Session: sessions[4], Since: begin.Add(3 * time.Millisecond)},
			"peer since": {Who: &whos[2], Since: begin.Add(4 * time.Millisecond)},
		} {
			var want []chat.Mark
			for _, m := range said {
				if (q.Session.IsZero() || m.Session == q.Session) && (q.Who == nil || m.who == *q.Who) && !m.At.Before(q.Since) {
					want = append(want, m.Mark)
				}
			}
			q.Agent = of
			n, err := s.ChatSessions().CountSaid(t.Context(), sc, q)
			must(err)
			var got []chat.Mark
			for q.Limit = 7; ; {
				page, err := s.ChatSessions().Said(t.Context(), sc, q)
				must(err)
				for _, e := range page {
					got = append(got, chat.Mark{At: e.ProcessedAt, Session: e.Session, Seq: e.Seq})
				}
				if len(page) < q.Limit {
					break
				}
				q.Before = &got[len(got)-1]
			}
			if !slices.Equal(want, got) || n != len(want) {
				t.Errorf("%s: %d messages in pages, %d counted; want %d", name, len(got), n, len(want))
			}
		}
		other := account.System(id.New[id.TenantKind](ids))
		if got, err := s.ChatSessions().Said(t.Context(), other, chat.SaidQuery{Agent: of, Session: sessions[7], Limit: 5}); err != nil || len(got) != 0 {
			t.Errorf("another tenant reads %d messages, %v", len(got), err)
		}
		if _, err := s.ChatSessions().Get(t.Context(), other, of, sessions[7]); err == nil {
			t.Error("another tenant finds a session")
		}
	})
}
