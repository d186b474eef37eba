package memory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MaxOwn is how many of an agent's own stores are offered in its sessions: its oldest ones.
const MaxOwn = 8

// Given is a store that a session was given.
type Given struct {
	Store        id.MemoryStore
	Mount        string // where its sandbox shows it
	ReadOnly     bool
	Instructions string
}

// Attached is a store as an agent has it in a session.
type Attached struct {
	Store        Store
	Name         string // unique in the session: how tools call it
	Mount        string // where the sandbox shows it: below root, by Name, unless the session says otherwise
	ReadOnly     bool   // also when the store is archived
	Instructions string
	implied      bool // the agent's own, which is made when something is written to it
}

// Attach returns the stores of a session: those that it was given and that are there still, then the agent's own. An agent without any
// gets one that is made when something is first written to it. root is the folder that sandboxes show stores in.
func (s *Service) Attach(ctx context.Context, sc account.Scope, a agent.Agent, given []Given, root string) ([]Attached, error) {
	return s.attach(ctx, sc, a, given, root, false)
}

// AttachPrivate is Attach for a session whose memory is its own: of the agent's own stores those that somebody made for it can be read,
// since nobody whom it talks to has written to them, and the one that it made for itself is not there.
func (s *Service) AttachPrivate(ctx context.Context, sc account.Scope, a agent.Agent, given []Given, root string) ([]Attached, error) {
	return s.attach(ctx, sc, a, given, root, true)
}

func (s *Service) attach(ctx context.Context, sc account.Scope, a agent.Agent, given []Given, root string, private bool) ([]Attached, error) {
	var out []Attached
	add := func(at Attached) {
		name := slug(at.Store.Name)
		at.Name = name
		for n := 2; slices.ContainsFunc(out, func(o Attached) bool { return o.Name == at.Name }); n++ {
			at.Name = fmt.Sprintf("%s-%d", name, n)
		}
		if at.Mount == "" {
			base := root + "/" + at.Name
			at.Mount = base
			for n := 2; slices.ContainsFunc(out, func(o Attached) bool { return o.Mount == at.Mount }); n++ {
				at.Mount = fmt.Sprintf("%s-%d", base, n)
			}
		}
		at.ReadOnly = at.ReadOnly || at.Store.ArchivedAt != nil
		out = append(out, at)
	}
	for _, g := range given {
		st, err := s.d.Stores.Store(ctx, sc, g.Store)
		switch {
		case isNotFound(err):
			continue
		case err != nil:
			return nil, err
		}
		add(Attached{Store: st, Mount: g.Mount, ReadOnly: g.ReadOnly, Instructions: g.Instructions})
	}
	own, err := s.own(ctx, sc, a.ID)
	if err != nil {
		return nil, err
	}
	for _, st := range own {
		if private && st.ID == impliedID(a.ID) {
			continue
		}
		if !slices.ContainsFunc(out, func(o Attached) bool { return o.Store.ID == st.ID }) {
			add(Attached{Store: st, ReadOnly: private})
		}
	}
	if len(out) == 0 && !private {
		add(Attached{implied: true, Store: Store{
			ID: impliedID(a.ID), Tenant: sc.Tenant, Agent: a.ID, Name: cutRunes("Memory of "+a.Config.Name, MaxName),
			Description: "What the agent has noted by itself.",
		}})
	}
	return out, nil
}

// own returns the stores of an agent that are not archived, oldest first.
func (s *Service) own(ctx context.Context, sc account.Scope, of id.Agent) ([]Store, error) {
	var all []Store
	for req := (page.Request{Limit: 100}); ; {
		p, err := s.d.Stores.ListStores(ctx, sc, ListStores{Request: req, Agent: of})
		if err != nil {
			return nil, err
		}
		all = append(all, p.Items...)
		if req.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	slices.Reverse(all)
	return all[:min(len(all), MaxOwn)], nil
}

// impliedID is the id of the store that is made for an agent without one: always the same, so that two sessions do not make two.
func impliedID(of id.Agent) id.MemoryStore {
	sum := sha256.Sum256([]byte("memory store of " + of.UUID().String()))
	u := id.UUID(sum[:16])
	u[6] = u[6]&0x0f | 0x80 // version 8, RFC 9562
	u[8] = u[8]&0x3f | 0x80
	return id.Of[id.MemoryStoreKind](u)
}

// make makes the store that an agent without one writes to.
func (s *Service) make(ctx context.Context, sc account.Scope, at Attached) error {
	if !at.implied {
		return nil
	}
	st := at.Store
	st.CreatedAt = clock.Stored(s.d.Clock.Now())
	st.UpdatedAt = st.CreatedAt
	err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Stores.InsertStore(ctx, sc, st) })
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// slug makes one segment of a path of a name.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if len(out) > 100 {
		out = strings.Trim(out[:100], "-")
	}
	if out == "" {
		return "memory"
	}
	return out
}

func cutRunes(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// Prompt tells a model of the stores of its session; mounted says that its sandbox shows them. The store that is made when it is first
// written to is not told of: the tools speak for themselves.
func Prompt(have []Attached, mounted bool) string {
	var b strings.Builder
	for _, at := range have {
		if at.implied {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("You have memory stores, which keep texts from one session to the next. Look into them before you begin a task, with " +
				SearchTool + ", " + ListTool + " and " + ReadTool + ", and write down what should be remembered.\n")
		}
		b.WriteString("\n- " + at.Name)
		if mounted {
			b.WriteString(" (" + at.Mount + ")")
		}
		if at.ReadOnly {
			b.WriteString(", which you may only read")
		}
		if d := strings.Join(strings.Fields(at.Store.Description), " "); d != "" {
			b.WriteString(": " + d)
		}
		if i := strings.TrimSpace(at.Instructions); i != "" {
			b.WriteString("\n  " + strings.ReplaceAll(i, "\n", "\n  "))
		}
	}
	return b.String()
}
