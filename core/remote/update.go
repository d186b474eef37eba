package remote

import (
	"cmp"
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
)

// Update says what of a remote agent changes; nil leaves it. Its address does not: another address is another agent.
type Update struct {
	Name         *string // that of its tool, from the next turn on; the agent that stands for it keeps its own
	Description  *string // "" is the card's
	RequireValid *bool
	Credential   *CredentialUpdate
}

// CredentialUpdate changes what a remote agent is called with; nil leaves a part as it is. Where there is no credential yet, Kind and
// Secret are required.
type CredentialUpdate struct {
	// Remove has the agent called without one; then the others are nil.
	Remove    bool
	Kind      *CredentialKind
	Header    *string // of an APIKey; "" is X-API-Key
	Secret    *secret.Value
	AnyOrigin *bool
}

// Update changes a remote agent. A new credential counts from the next call on, in every process, and what was changed is in the audit
// trail, without the secret. Nothing is noted when nothing changes. ErrInvalid; ErrNameTaken.
func (s *Service) Update(ctx context.Context, sc account.Scope, remote id.RemoteAgent, u Update) (Remote, error) {
	r, err := s.d.Remotes.Get(ctx, sc, remote)
	if err != nil {
		return Remote{}, err
	}
	var f check.Faults
	u.check(&f)
	if err := f.Err(ErrInvalid); err != nil {
		return Remote{}, err
	}
	var sealed []byte
	if c := u.Credential; c != nil && c.Secret != nil {
		if sealed, err = s.d.Keeper.Seal(ctx, r.place(), []byte(c.Secret.Reveal())); err != nil {
			return Remote{}, err
		}
	}
	now := s.now()
	var out Remote
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		var was Remote
		var changed []string
		out, err = s.d.Remotes.Update(ctx, sc, remote, func(r *Remote) error {
			was = *r
			if changed, err = u.apply(r, sealed); err == nil && len(changed) > 0 {
				r.UpdatedAt = now
			}
			return err
		})
		if err != nil || len(changed) == 0 {
			return err
		}
		more := map[string]any{"changed": changed}
		if slices.Contains(changed, "name") {
			more["previous_name"] = was.Name
		}
		if slices.Contains(changed, "credential") {
			more["credential_type"], more["any_origin"] = string(out.Credential.Kind), out.Credential.AnyOrigin
		}
		return s.note(ctx, sc, "remote_agent_updated", out, more)
	})
	if err != nil {
		return Remote{}, err
	}
	return out, nil
}

func (u Update) check(f *check.Faults) {
	if u.Name != nil {
		checkName(f, *u.Name)
	}
	if u.Description != nil {
		f.Text("description", *u.Description, MaxDescription)
	}
	c := u.Credential
	if c == nil || c.Remove {
		return
	}
	if c.Secret != nil {
		checkSecret(f, *c.Secret)
	}
	if c.Kind != nil && *c.Kind != Bearer && *c.Kind != APIKey {
		f.Addf("credential.type", "must be bearer or api_key")
	}
	if c.Header != nil {
		checkHeader(f, *c.Header)
	}
}

// apply changes r and names what is another now. sealed is u's secret.
func (u Update) apply(r *Remote, sealed []byte) (changed []string, err error) {
	set := func(name string, differs bool) {
		if differs {
			changed = append(changed, name)
		}
	}
	if u.Name != nil {
		set("name", r.Name != *u.Name)
		r.Name = *u.Name
	}
	if u.Description != nil {
		set("description", r.Description != *u.Description)
		r.Description = *u.Description
	}
	if u.RequireValid != nil {
		set("require_valid", r.RequireValid != *u.RequireValid)
		r.RequireValid = *u.RequireValid
	}
	if u.Credential != nil {
		next, err := u.Credential.apply(r.Credential, sealed)
		if err != nil {
			return nil, err
		}
		set("credential", sealed != nil || !next.alike(r.Credential))
		r.Credential = next
	}
	return changed, nil
}

func (u CredentialUpdate) apply(c Credential, sealed []byte) (Credential, error) {
	if u.Remove {
		return Credential{}, nil
	}
	var f check.Faults
	if c.Kind == "" {
		if u.Kind == nil {
			f.Addf("credential.type", "is required: the agent has no credential yet")
		}
		if sealed == nil {
			f.Addf("credential.secret", "is required: the agent has no credential yet")
		}
	}
	if u.Kind != nil {
		c.Kind = *u.Kind
	}
	switch {
	case c.Kind == APIKey:
		if u.Header != nil {
			c.Header = *u.Header
		}
		c.Header = cmp.Or(c.Header, defaultHeader)
	case u.Header != nil && *u.Header != "":
		f.Addf("credential.header", "is for the type api_key")
	default:
		c.Header = ""
	}
	if sealed != nil {
		c.Sealed = sealed
	}
	if u.AnyOrigin != nil {
		c.AnyOrigin = *u.AnyOrigin
	}
	return c, f.Err(ErrInvalid)
}

// alike reports whether two credentials are shown in the same way; their secrets may differ.
func (c Credential) alike(o Credential) bool {
	return c.Kind == o.Kind && c.Header == o.Header && c.AnyOrigin == o.AnyOrigin
}
