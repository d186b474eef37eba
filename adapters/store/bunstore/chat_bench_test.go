package bunstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// BenchmarkChatHistory reads the last 50 messages, and counts all, of one conversation and of all conversations of an agent, by how many
// messages the conversation has.
func BenchmarkChatHistory(b *testing.B) {
	for _, db := range []struct {
		name string
		open func() *Store
	}{
		{"sqlite", func() *Store { return openSQLiteStore(b) }},
		{"postgres", func() *Store { return openStore(b, Config{URL: postgresURL(b), PoolSize: 8}) }},
	} {
		for _, n := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", db.name, n), func(b *testing.B) {
				s := db.open()
				ids := id.NewGenerator(time.Now)
				sc := account.System(id.New[id.TenantKind](ids))
				of := id.New[id.AgentKind](ids)
				one := longTalk(b, s, sc, ids, of, n)
				q := chat.SaidQuery{Agent: of, Limit: 51}
				for name, session := range map[string]id.Session{"one": one, "all": {}} {
					b.Run(name, func(b *testing.B) {
						q.Session = session
						for b.Loop() {
							got, err := s.ChatSessions().Said(b.Context(), sc, q)
							total, cerr := s.ChatSessions().CountSaid(b.Context(), sc, q)
							if err != nil || cerr != nil || len(got) != 51 || total < n {
								b.Fatalf("%d of %d messages: %v, %v", len(got), total, err, cerr)
							}
						}
					})
				}
			})
		}
	}
}

// longTalk makes a conversation with n messages, and twenty with ten.
func longTalk(tb testing.TB, s *Store, sc account.Scope, ids id.Generator, of id.Agent, n int) id.Session {
	tb.Helper()
	now := time.Now().Add(-time.Hour)
	talk := func(n int) id.Session {
		v := session.Session{ID: id.New[id.SessionKind](ids), Tenant: sc.Tenant, Agent: of, AgentVersion: 1, Private: true, Active: session.StatusIdle, CreatedAt: now, UpdatedAt: now}
		err := s.Do(context.Background(), func(ctx context.Context) error {
			if err := s.Sessions().Create(ctx, sc, v); err != nil {
				return err
			}
			if err := s.ChatSessions().Add(ctx, sc, chat.Session{ID: v.ID, Who: chat.Who{Agent: of, Channel: chat.API, Kind: chat.KindPeer, Name: v.ID.String()}, StartedAt: now}); err != nil {
				return err
			}
			for range n / 2 {
				now = now.Add(time.Millisecond)
				_, err := s.Sessions().Append(ctx, sc, session.Append{Session: v.ID, At: now, Said: 2, Events: []session.Event{
					{ID: id.New[id.EventKind](ids), Type: session.UserMessage, Data: []byte(`{"content":[{"type":"text","text":"What is the answer to this?"}]}`)},
					{ID: id.New[id.EventKind](ids), Type: session.SessionRunning, Data: []byte("{}")},
					{ID: id.New[id.EventKind](ids), Type: session.SpanModelStart, Data: []byte("{}")},
					{ID: id.New[id.EventKind](ids), Type: session.AgentMessage, Data: []byte(`{"content":[{"type":"text","text":"It is forty-two, as ever."}]}`)},
					{ID: id.New[id.EventKind](ids), Type: session.SpanModelEnd, Data: []byte("{}")},
					{ID: id.New[id.EventKind](ids), Type: session.SessionIdle, Data: []byte("{}")},
				}})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			tb.Fatal(err)
		}
		return v.ID
	}
	one := talk(n)
	for range 20 {
		talk(10)
	}
	return one
}
