package secret

import "github.com/bureau-agents/bureau/ports/fault"

func field(path, message string) fault.Field { return fault.Field{Path: path, Message: message} }

// immutable is the error for a change of what cannot change.
func immutable(path string) error {
	const what = "cannot be changed; create another credential"
	return ErrImmutable.Withf("%s: %s", path, what).WithFields(field(path, what))
}

// same returns ErrImmutable when given names something else than is there.
func same(path string, given *string, there string) error {
	if given != nil && *given != there {
		return immutable(path)
	}
	return nil
}

// apply changes a and s. What is wrong with a part that does not belong to the type goes to k; the whole is checked afterwards.
func (p AuthPatch) apply(k *checker, a *Auth, s *Secrets) error {
	if p.Type != "" && p.Type != a.Type {
		return immutable("auth.type")
	}
	// The same server in another spelling is the same, as it is for the vault.
	if p.MCPServerURL != nil && (a.Type == EnvironmentVariable || normalURL(*p.MCPServerURL) != normalURL(a.MCPServerURL)) {
		return immutable("auth.mcp_server_url")
	}
	if err := same("auth.secret_name", p.SecretName, a.SecretName); err != nil {
		return err
	}
	if p.Token != nil {
		s.Token = *p.Token
	}
	if a.Type == EnvironmentVariable {
		if p.Networking != nil {
			a.Networking = *p.Networking
		}
		if in := p.Injection; in != nil {
			if in.Header != nil {
				a.Injection.Header = *in.Header
			}
			if in.Body != nil {
				a.Injection.Body = *in.Body
			}
		}
	}
	if a.Type != MCPOAuth {
		return nil
	}
	switch {
	case p.ClearExpires:
		a.ExpiresAt = nil
	case p.ExpiresAt != nil:
		k.expiry(p.ExpiresAt)
		a.ExpiresAt = p.ExpiresAt
	}
	switch {
	case p.ClearRefresh:
		a.Refresh, s.RefreshToken, s.ClientSecret = nil, Value{}, Value{}
	case p.Refresh != nil && a.Refresh == nil:
		p.Refresh.begin(a, s)
	case p.Refresh != nil:
		return p.Refresh.apply(k, a, s)
	}
	return nil
}

// begin says for the first time how a token is refreshed.
func (p *RefreshPatch) begin(a *Auth, s *Secrets) {
	text := func(t *string) string {
		if t == nil {
			return ""
		}
		return *t
	}
	a.Refresh = &Refresh{
		ClientID: text(p.ClientID), TokenEndpoint: text(p.TokenEndpoint), TokenAuth: p.TokenAuth, Resource: text(p.Resource), Scope: text(p.Scope),
	}
	if p.RefreshToken != nil {
		s.RefreshToken = *p.RefreshToken
	}
	if p.ClientSecret != nil {
		s.ClientSecret = *p.ClientSecret
	}
}

func (p *RefreshPatch) apply(k *checker, a *Auth, s *Secrets) error {
	r := *a.Refresh // stored values are shared
	for _, f := range []struct {
		path  string
		given *string
		there string
	}{
		{"auth.refresh.client_id", p.ClientID, r.ClientID},
		{"auth.refresh.token_endpoint", p.TokenEndpoint, r.TokenEndpoint},
		{"auth.refresh.resource", p.Resource, r.Resource},
	} {
		if err := same(f.path, f.given, f.there); err != nil {
			return err
		}
	}
	// Between basic and post the credential keeps its own way, whichever comes with a new secret.
	if p.TokenAuth != "" && (p.TokenAuth == TokenAuthNone) != (r.TokenAuth == TokenAuthNone) {
		return immutable("auth.refresh.token_endpoint_auth.type")
	}
	if p.Scope != nil {
		r.Scope = *p.Scope
	}
	if p.RefreshToken != nil {
		s.RefreshToken = *p.RefreshToken
	}
	if p.ClientSecret != nil {
		if r.TokenAuth == TokenAuthNone {
			k.Addf("auth.refresh.token_endpoint_auth.client_secret", "the credential's token endpoint takes no client secret")
		}
		s.ClientSecret = *p.ClientSecret
	}
	a.Refresh = &r
	return nil
}
