package swarm

import (
	"context"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Role says what a person is to a swarm. It allows nothing: what keys may do, their scopes say.
type Role string

// The roles.
const (
	RoleOwner  Role = "owner"  // answers for the swarm
	RoleMember Role = "member" // works with it
)

// Member is a person of a swarm.
type Member struct {
	ID     id.SwarmMember
	Tenant id.Tenant
	Swarm  id.Swarm
	Person account.Person
	Role   Role
	// CreatedAt is when the person was added, UpdatedAt when the role was changed last.
	CreatedAt, UpdatedAt time.Time
}

// MemberRepository keeps the people of swarms. Methods join the transaction in ctx. A member that is missing, of another swarm or of
// another tenant is id.NotFound[id.SwarmMemberKind]. A person whose key is deleted or revoked is a member no more.
type MemberRepository interface {
	// PutMember adds a member, or changes Role and UpdatedAt of the one who is the same person; it returns the member as stored.
	PutMember(ctx context.Context, sc account.Scope, m Member) (Member, error)
	// GetMember returns a member of a swarm.
	GetMember(ctx context.Context, sc account.Scope, swarm id.Swarm, member id.SwarmMember) (Member, error)
	// ListMembers lists the members of a swarm, newest first.
	ListMembers(ctx context.Context, sc account.Scope, swarm id.Swarm, req page.Request) (page.Page[Member], error)
	// DeleteMember removes a member.
	DeleteMember(ctx context.Context, sc account.Scope, swarm id.Swarm, member id.SwarmMember) error
	// ForgetMembers removes every member of a swarm.
	ForgetMembers(ctx context.Context, sc account.Scope, swarm id.Swarm) error
}

// Users finds out whom a caller means; account.Links does.
type Users interface {
	Person(ctx context.Context, sc account.Scope, user string) (account.Person, error)
}

// PeopleDeps is what People need; all are required.
type PeopleDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Swarms     Repository
	Repository MemberRepository
	Users      Users
	Trail      Trail
}

// People say who belongs to swarms. They are safe for concurrent use.
type People struct{ d PeopleDeps }

// NewPeople returns People, or an error that names the missing dependency.
func NewPeople(d PeopleDeps) (*People, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Swarms", d.Swarms == nil},
		{"Repository", d.Repository == nil}, {"Users", d.Users == nil}, {"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("swarm: PeopleDeps.%s is required", f.name)
		}
	}
	return &People{d}, nil
}

// Add makes a person a member: a key by its id or its name, or an e-mail address. "" is RoleMember. Adding somebody who is a member gives
// the role. Errors are those of Users, ErrInvalid and ErrMembersFull.
func (p *People) Add(ctx context.Context, sc account.Scope, swarm id.Swarm, user string, role Role) (Member, error) {
	if role == "" {
		role = RoleMember
	}
	if err := role.check(); err != nil {
		return Member{}, err
	}
	var out Member
	err := p.d.TX.Do(ctx, func(ctx context.Context) error {
		v, err := p.d.Swarms.Lock(ctx, sc, swarm)
		if err != nil {
			return err
		}
		person, err := p.d.Users.Person(ctx, sc, user)
		if err != nil {
			return err
		}
		now := clock.Stored(p.d.Clock.Now())
		m := Member{
			ID: id.New[id.SwarmMemberKind](p.d.IDs), Tenant: sc.Tenant, Swarm: swarm, Person: person, Role: role, CreatedAt: now, UpdatedAt: now,
		}
		if out, err = p.d.Repository.PutMember(ctx, sc, m); err != nil {
			return err
		}
		if out.ID == m.ID && v.Members >= MaxMembers {
			return ErrMembersFull.Withf("the swarm has %d members, the most there are", v.Members)
		}
		return p.note(ctx, sc, "swarm_member_added", out)
	})
	if err != nil {
		return Member{}, err
	}
	return out, nil
}

func (r Role) check() error {
	if r == RoleOwner || r == RoleMember {
		return nil
	}
	const what = "must be owner or member"
	return ErrInvalid.Withf("role: %s", what).WithFields(fault.Field{Path: "role", Message: what})
}

// Get returns a member of a swarm.
func (p *People) Get(ctx context.Context, sc account.Scope, swarm id.Swarm, member id.SwarmMember) (Member, error) {
	return p.d.Repository.GetMember(ctx, sc, swarm, member)
}

// List lists the members of a swarm, newest first.
func (p *People) List(ctx context.Context, sc account.Scope, swarm id.Swarm, req page.Request) (page.Page[Member], error) {
	if _, err := p.d.Swarms.Get(ctx, sc, swarm); err != nil {
		return page.Page[Member]{}, err
	}
	return p.d.Repository.ListMembers(ctx, sc, swarm, req)
}

// SetRole changes the role of a member. ErrInvalid.
func (p *People) SetRole(ctx context.Context, sc account.Scope, swarm id.Swarm, member id.SwarmMember, role Role) (Member, error) {
	if err := role.check(); err != nil {
		return Member{}, err
	}
	var out Member
	err := p.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := p.d.Swarms.Lock(ctx, sc, swarm); err != nil {
			return err
		}
		var err error
		if out, err = p.d.Repository.GetMember(ctx, sc, swarm, member); err != nil || out.Role == role {
			return err
		}
		out.Role, out.UpdatedAt = role, clock.Stored(p.d.Clock.Now())
		if out, err = p.d.Repository.PutMember(ctx, sc, out); err != nil {
			return err
		}
		return p.note(ctx, sc, "swarm_member_changed", out)
	})
	if err != nil {
		return Member{}, err
	}
	return out, nil
}

// Remove takes a person out of a swarm.
func (p *People) Remove(ctx context.Context, sc account.Scope, swarm id.Swarm, member id.SwarmMember) error {
	return p.d.TX.Do(ctx, func(ctx context.Context) error {
		m, err := p.d.Repository.GetMember(ctx, sc, swarm, member)
		if err != nil {
			return err
		}
		if err := p.d.Repository.DeleteMember(ctx, sc, swarm, member); err != nil {
			return err
		}
		return p.note(ctx, sc, "swarm_member_removed", m)
	})
}

// ForgetSwarm removes the members of a swarm that is being deleted, in the transaction of ctx. It implements Dependent.
func (p *People) ForgetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	return p.d.Repository.ForgetMembers(ctx, sc, swarm)
}

var _ Dependent = (*People)(nil)

func (p *People) note(ctx context.Context, sc account.Scope, action string, m Member) error {
	return p.d.Trail.Note(ctx, sc, action, id.Agent{}, map[string]any{
		"swarm_id": m.Swarm.UUID().String(), "member_id": m.ID.UUID().String(), "user": m.Person.Who, "role": string(m.Role),
	})
}
