package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/id"
)

type swarmMemberWire struct {
	ID        string  `json:"id" doc:"smem_..."`
	Type      string  `json:"type" enum:"swarm_member"`
	SwarmID   string  `json:"swarm_id"`
	User      string  `json:"user" doc:"As the person was added: the name or the id of an API key, or an e-mail address."`
	APIKeyID  *string `json:"api_key_id" doc:"The key that is meant; null for an address."`
	Role      string  `json:"role" enum:"owner,member" doc:"What the person is to the swarm. It allows nothing."`
	CreatedAt stamp   `json:"created_at"`
	UpdatedAt stamp   `json:"updated_at"`
}

func showSwarmMember(m swarm.Member) swarmMemberWire {
	w := swarmMemberWire{
		ID: m.ID.String(), Type: "swarm_member", SwarmID: m.Swarm.String(), User: m.Person.Who, APIKeyID: textOrNull(m.Person.Key.String()),
		Role: string(m.Role), CreatedAt: stampOf(m.CreatedAt), UpdatedAt: stampOf(m.UpdatedAt),
	}
	if m.Person.Who == m.Person.Key.UUID().String() {
		w.User = m.Person.Key.String()
	}
	return w
}

// SwarmMemberInput names a person of a swarm. Its type is exported because others embed it.
type SwarmMemberInput struct {
	SwarmID  string `path:"swarm_id" doc:"The swarm's id."`
	MemberID string `path:"member_id" doc:"The member's id."`
}

func (in *SwarmMemberInput) read() (id.Swarm, id.SwarmMember, error) {
	of, err := id.Parse[id.SwarmKind](in.SwarmID)
	if err != nil {
		return of, id.SwarmMember{}, err
	}
	m, err := id.Parse[id.SwarmMemberKind](in.MemberID)
	return of, m, err
}

type addSwarmMemberInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	Body    struct {
		User string `json:"user" minLength:"1" maxLength:"100" doc:"The id or the name of an API key, or the e-mail address of somebody who signs in."`
		Role string `json:"role,omitempty" enum:"owner,member" doc:"member when left out."`
	}
}

type updateSwarmMemberInput struct {
	SwarmMemberInput
	Body struct {
		Role string `json:"role" enum:"owner,member"`
	}
}

func (f *face) registerSwarmMembers() {
	const all, one = "/v1/swarms/{swarm_id}/members", "/v1/swarms/{swarm_id}/members/{member_id}"
	httpx.Register(f.Face, httpx.Op{
		ID: "addSwarmMember", Method: http.MethodPost, Path: all, Tag: "swarms", Status: http.StatusCreated, Summary: "Add a person to a swarm",
		Example: `{"user":"ada@example.com","role":"owner"}`,
		Description: "Adding somebody who is a member gives the role. Who loses the key is a member no more. Members are people; the agents of a swarm are " +
			"at `/v1/swarms/{swarm_id}/agents`.",
		Permission: account.SwarmsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *addSwarmMemberInput) (*output[swarmMemberWire], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		m, err := f.deps.People.Add(ctx, httpx.Scope(ctx), of, in.Body.User, swarm.Role(in.Body.Role))
		if err != nil {
			return nil, err
		}
		return ok(showSwarmMember(m)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSwarmMembers", Method: http.MethodGet, Path: all, Tag: "swarms", Summary: "List the people of a swarm, newest first",
		Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *listSwarmAgentsInput) (*output[httpx.List[swarmMemberWire]], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		found, err := f.deps.People.List(ctx, httpx.Scope(ctx), of, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showSwarmMember)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSwarmMember", Method: http.MethodGet, Path: one, Tag: "swarms", Summary: "Read a member of a swarm", Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *SwarmMemberInput) (*output[swarmMemberWire], error) {
		of, member, err := in.read()
		if err != nil {
			return nil, err
		}
		m, err := f.deps.People.Get(ctx, httpx.Scope(ctx), of, member)
		if err != nil {
			return nil, err
		}
		return ok(showSwarmMember(m)), nil
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchSwarmMember", http.MethodPost: "updateSwarmMember", http.MethodPut: "putSwarmMember",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: one, Tag: "swarms", Summary: "Change the role of a member of a swarm", Example: `{"role":"owner"}`,
			Description: "POST, PATCH and PUT do the same.", Permission: account.SwarmsWrite,
		}, func(ctx context.Context, in *updateSwarmMemberInput) (*output[swarmMemberWire], error) {
			of, member, err := in.read()
			if err != nil {
				return nil, err
			}
			m, err := f.deps.People.SetRole(ctx, httpx.Scope(ctx), of, member, swarm.Role(in.Body.Role))
			if err != nil {
				return nil, err
			}
			return ok(showSwarmMember(m)), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "removeSwarmMember", Method: http.MethodDelete, Path: one, Tag: "swarms", Summary: "Take a person out of a swarm",
		Permission: account.SwarmsWrite,
	}, func(ctx context.Context, in *SwarmMemberInput) (*output[httpx.Deleted], error) {
		of, member, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.People.Remove(ctx, httpx.Scope(ctx), of, member); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: member.String(), Type: "swarm_member_deleted"}), nil
	})
}
