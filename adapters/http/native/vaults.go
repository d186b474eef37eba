package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// vaultWire is a vault on the wire. No secret is in it.
type vaultWire struct {
	ID           string            `json:"id" doc:"vlt_..."`
	Type         string            `json:"type" enum:"vault"`
	DisplayName  string            `json:"display_name"`
	Metadata     map[string]string `json:"metadata"`
	CredentialID *string           `json:"credential_id" doc:"The credential that was given with the vault itself, and that an update of the vault rotates."`
	CreatedAt    stamp             `json:"created_at"`
	UpdatedAt    stamp             `json:"updated_at"`
	ArchivedAt   *stamp            `json:"archived_at"`
}

func showVault(v secret.Vault) vaultWire {
	w := vaultWire{
		ID: v.ID.String(), Type: "vault", DisplayName: v.DisplayName, Metadata: v.Metadata, CredentialID: textOrNull(v.Inline.String()),
		CreatedAt: stampOf(v.CreatedAt), UpdatedAt: stampOf(v.UpdatedAt), ArchivedAt: stampPtr(v.ArchivedAt),
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	return w
}

// credentialWire is a credential on the wire. No secret is in it.
type credentialWire struct {
	ID          string             `json:"id" doc:"vcrd_..."`
	Type        string             `json:"type" enum:"vault_credential"`
	VaultID     string             `json:"vault_id"`
	DisplayName *string            `json:"display_name"`
	Metadata    map[string]string  `json:"metadata"`
	Auth        credentialAuthWire `json:"auth"`
	CreatedAt   stamp              `json:"created_at"`
	UpdatedAt   stamp              `json:"updated_at"`
	ArchivedAt  *stamp             `json:"archived_at"`
}

// credentialAuthWire has the fields of its type, and never a secret.
type credentialAuthWire struct {
	Type              string                 `json:"type" enum:"static_bearer,mcp_oauth,environment_variable"`
	MCPServerURL      string                 `json:"mcp_server_url,omitempty" doc:"Of static_bearer and mcp_oauth."`
	ExpiresAt         *stamp                 `json:"expires_at,omitempty" doc:"Of mcp_oauth: when the access token expires, if that is known."`
	Refresh           *credentialRefreshWire `json:"refresh,omitempty" doc:"Of mcp_oauth that can be refreshed."`
	SecretName        string                 `json:"secret_name,omitempty" doc:"Of environment_variable."`
	Networking        *credentialNetworkWire `json:"networking,omitempty" doc:"Of environment_variable."`
	InjectionLocation *injectionWire         `json:"injection_location,omitempty" doc:"Of environment_variable."`
}

type credentialRefreshWire struct {
	ClientID          string        `json:"client_id"`
	TokenEndpoint     string        `json:"token_endpoint"`
	TokenEndpointAuth tokenAuthWire `json:"token_endpoint_auth"`
	Resource          *string       `json:"resource"`
	Scope             *string       `json:"scope"`
}

type tokenAuthWire struct {
	Type string `json:"type" enum:"none,client_secret_basic,client_secret_post"`
}

type credentialNetworkWire struct {
	Type         string    `json:"type" enum:"unrestricted,limited"`
	AllowedHosts *[]string `json:"allowed_hosts,omitempty" doc:"Of limited."`
}

type injectionWire struct {
	Header bool `json:"header"`
	Body   bool `json:"body"`
}

func showCredential(c secret.Credential) credentialWire {
	w := credentialWire{
		ID: c.ID.String(), Type: "vault_credential", VaultID: c.Vault.String(), DisplayName: textOrNull(c.DisplayName), Metadata: c.Metadata,
		Auth:      credentialAuthWire{Type: string(c.Auth.Type), MCPServerURL: c.Auth.MCPServerURL, ExpiresAt: stampPtr(c.Auth.ExpiresAt)},
		CreatedAt: stampOf(c.CreatedAt), UpdatedAt: stampOf(c.UpdatedAt), ArchivedAt: stampPtr(c.ArchivedAt),
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	if r := c.Auth.Refresh; r != nil {
		w.Auth.Refresh = &credentialRefreshWire{
			ClientID: r.ClientID, TokenEndpoint: r.TokenEndpoint, TokenEndpointAuth: tokenAuthWire{string(r.TokenAuth)},
			Resource: textOrNull(r.Resource), Scope: textOrNull(r.Scope),
		}
	}
	if c.Auth.Type == secret.EnvironmentVariable {
		w.Auth.SecretName = c.Auth.SecretName
		w.Auth.Networking = &credentialNetworkWire{Type: "unrestricted"}
		if c.Auth.Networking.Limited {
			hosts := append([]string{}, c.Auth.Networking.AllowedHosts...)
			w.Auth.Networking = &credentialNetworkWire{"limited", &hosts}
		}
		w.Auth.InjectionLocation = &injectionWire{c.Auth.Injection.Header, c.Auth.Injection.Body}
	}
	return w
}

// validationWire tells whether a credential works.
type validationWire struct {
	Type            string              `json:"type" enum:"vault_credential_validation"`
	CredentialID    string              `json:"credential_id"`
	VaultID         string              `json:"vault_id"`
	Status          string              `json:"status" enum:"valid,invalid,unknown" doc:"unknown: the probe could not tell, for example because nobody answered."`
	HasRefreshToken bool                `json:"has_refresh_token"`
	Refresh         *refreshOutcomeWire `json:"refresh" doc:"What became of the refresh that a 401 led to; null when none was needed."`
	MCPProbe        *probeOutcomeWire   `json:"mcp_probe" doc:"The call that failed; null when the server took the token."`
	ValidatedAt     stamp               `json:"validated_at"`
}

type refreshOutcomeWire struct {
	Status       string            `json:"status" enum:"succeeded,failed,connect_error,no_refresh_token"`
	HTTPResponse *httpResponseWire `json:"http_response" doc:"With failed: what the token endpoint answered."`
}

type probeOutcomeWire struct {
	Method       string            `json:"method"`
	HTTPResponse *httpResponseWire `json:"http_response" doc:"null when no answer came."`
}

type httpResponseWire struct {
	StatusCode    int    `json:"status_code"`
	ContentType   string `json:"content_type"`
	Body          string `json:"body" doc:"Its beginning, without secrets."`
	BodyTruncated bool   `json:"body_truncated"`
}

func showAnswer(a *secret.Answer) *httpResponseWire {
	if a == nil {
		return nil
	}
	return &httpResponseWire{a.Status, a.ContentType, a.Body, a.Truncated}
}

func showValidation(v secret.Validation) validationWire {
	w := validationWire{
		Type: "vault_credential_validation", CredentialID: v.Credential.String(), VaultID: v.Vault.String(), Status: string(v.Verdict),
		HasRefreshToken: v.HasRefreshToken, ValidatedAt: stampOf(v.At),
	}
	if v.Refresh != nil {
		w.Refresh = &refreshOutcomeWire{string(v.Refresh.Status), showAnswer(v.Refresh.Answer)}
	}
	if v.Probe != nil {
		w.MCPProbe = &probeOutcomeWire{v.Probe.Method, showAnswer(v.Probe.Answer)}
	}
	return w
}

// authParam is the auth of a body. Which fields count depends on the type.
type authParam struct {
	Type              string                      `json:"type" enum:"static_bearer,mcp_oauth,environment_variable"`
	MCPServerURL      *string                     `json:"mcp_server_url,omitempty" doc:"Of static_bearer and mcp_oauth. It cannot be changed later."`
	Token             *string                     `json:"token,omitempty" doc:"Of static_bearer. It is never shown, like every secret here."`
	AccessToken       *string                     `json:"access_token,omitempty" doc:"Of mcp_oauth."`
	ExpiresAt         httpx.Opt[time.Time]        `json:"expires_at,omitempty" doc:"Of mcp_oauth: when the access token expires. null: not known."`
	Refresh           httpx.Opt[authRefreshParam] `json:"refresh,omitempty" doc:"Of mcp_oauth: how the access token is refreshed. null: not at all."`
	SecretName        *string                     `json:"secret_name,omitempty" doc:"Of environment_variable. It cannot be changed later."`
	SecretValue       *string                     `json:"secret_value,omitempty" doc:"Of environment_variable."`
	Networking        *credentialNetworkParam     `json:"networking,omitempty" doc:"Of environment_variable: where the value may be sent; anywhere when left out. Programs find the value itself: a session gets the variable only while its environment reaches no other host, and says when it is left out."`
	InjectionLocation *injectionParam             `json:"injection_location,omitempty" doc:"Of environment_variable: in which part of a request the value is meant to stand; headers only, when left out. Kept and shown, and not enforced."`
}

// authPatch is authParam in an update: the type may be left out.
type authPatch struct {
	Type              *string                     `json:"type,omitempty" enum:"static_bearer,mcp_oauth,environment_variable" doc:"The credential's own; it cannot be changed."`
	MCPServerURL      *string                     `json:"mcp_server_url,omitempty" doc:"The credential's own; it cannot be changed."`
	Token             *string                     `json:"token,omitempty"`
	AccessToken       *string                     `json:"access_token,omitempty"`
	ExpiresAt         httpx.Opt[time.Time]        `json:"expires_at,omitempty"`
	Refresh           httpx.Opt[authRefreshParam] `json:"refresh,omitempty"`
	SecretName        *string                     `json:"secret_name,omitempty" doc:"The credential's own; it cannot be changed."`
	SecretValue       *string                     `json:"secret_value,omitempty"`
	Networking        *credentialNetworkParam     `json:"networking,omitempty" doc:"Replaces it."`
	InjectionLocation *injectionParam             `json:"injection_location,omitempty" doc:"A part that is left out keeps its setting."`
}

type authRefreshParam struct {
	ClientID          *string           `json:"client_id,omitempty" doc:"Required at first; it cannot be changed later."`
	RefreshToken      *string           `json:"refresh_token,omitempty" doc:"Required at first."`
	TokenEndpoint     *string           `json:"token_endpoint,omitempty" doc:"Required at first; it cannot be changed later."`
	TokenEndpointAuth *tokenAuthParam   `json:"token_endpoint_auth,omitempty" doc:"Required at first."`
	Resource          *string           `json:"resource,omitempty" doc:"The resource indicator of RFC 8707."`
	Scope             httpx.Opt[string] `json:"scope,omitempty" doc:"null or empty clears it."`
}

type tokenAuthParam struct {
	Type         string  `json:"type" enum:"none,client_secret_basic,client_secret_post"`
	ClientSecret *string `json:"client_secret,omitempty" doc:"Of both client_secret types."`
}

type credentialNetworkParam struct {
	Type         string   `json:"type" enum:"unrestricted,limited"`
	AllowedHosts []string `json:"allowed_hosts,omitempty" doc:"Of limited: names, IPv4 addresses, or *.example.com for the subdomains of one; at most 16."`
}

type injectionParam struct {
	Header *bool `json:"header,omitempty"`
	Body   *bool `json:"body,omitempty"`
}

func textOf(t *string) string {
	if t == nil {
		return ""
	}
	return *t
}

func valueOf(t *string) *secret.Value {
	if t == nil {
		return nil
	}
	v := secret.NewValue(*t)
	return &v
}

// readNew reads the auth of a new credential.
func (p *authParam) readNew() (secret.Auth, secret.Secrets) {
	a := secret.Auth{Type: secret.AuthType(p.Type)}
	var s secret.Secrets
	switch a.Type {
	case secret.StaticBearer:
		a.MCPServerURL, s.Token = textOf(p.MCPServerURL), secret.NewValue(textOf(p.Token))
	case secret.MCPOAuth:
		a.MCPServerURL, s.Token = textOf(p.MCPServerURL), secret.NewValue(textOf(p.AccessToken))
		if p.ExpiresAt.Set && !p.ExpiresAt.Null {
			a.ExpiresAt = ptr(p.ExpiresAt.Value.UTC().Truncate(time.Microsecond))
		}
		if r := p.Refresh.Value; p.Refresh.Set && !p.Refresh.Null {
			a.Refresh = &secret.Refresh{
				ClientID: textOf(r.ClientID), TokenEndpoint: textOf(r.TokenEndpoint), Resource: textOf(r.Resource), Scope: r.Scope.Value,
			}
			s.RefreshToken = secret.NewValue(textOf(r.RefreshToken))
			if t := r.TokenEndpointAuth; t != nil {
				a.Refresh.TokenAuth = secret.TokenAuth(t.Type)
				if a.Refresh.TokenAuth != secret.TokenAuthNone {
					s.ClientSecret = secret.NewValue(textOf(t.ClientSecret))
				}
			}
		}
	case secret.EnvironmentVariable:
		a.SecretName, s.Token = textOf(p.SecretName), secret.NewValue(textOf(p.SecretValue))
		a.Injection = secret.Injection{Header: true}
		if n := p.Networking; n != nil {
			a.Networking = n.read()
		}
		if in := p.InjectionLocation; in != nil {
			if in.Header != nil {
				a.Injection.Header = *in.Header
			}
			if in.Body != nil {
				a.Injection.Body = *in.Body
			}
		}
	}
	return a, s
}

func (p *credentialNetworkParam) read() secret.Networking {
	return secret.Networking{Limited: p.Type == "limited", AllowedHosts: p.AllowedHosts}
}

// read reads the auth of an update. Of the names that the secret has in the types, the one that is given counts.
func (p *authPatch) read() *secret.AuthPatch {
	out := &secret.AuthPatch{
		Type: secret.AuthType(textOf(p.Type)), MCPServerURL: p.MCPServerURL, SecretName: p.SecretName, ClearExpires: p.ExpiresAt.Null,
		ClearRefresh: p.Refresh.Null,
	}
	for _, t := range []*string{p.Token, p.AccessToken, p.SecretValue} {
		if t != nil {
			out.Token = valueOf(t)
		}
	}
	if p.ExpiresAt.Set && !p.ExpiresAt.Null {
		out.ExpiresAt = ptr(p.ExpiresAt.Value.UTC().Truncate(time.Microsecond))
	}
	if r := p.Refresh.Value; p.Refresh.Set && !p.Refresh.Null {
		out.Refresh = &secret.RefreshPatch{
			ClientID: r.ClientID, TokenEndpoint: r.TokenEndpoint, Resource: r.Resource, RefreshToken: valueOf(r.RefreshToken),
		}
		if r.Scope.Set {
			out.Refresh.Scope = &r.Scope.Value
		}
		if t := r.TokenEndpointAuth; t != nil {
			out.Refresh.TokenAuth, out.Refresh.ClientSecret = secret.TokenAuth(t.Type), valueOf(t.ClientSecret)
		}
	}
	if p.Networking != nil {
		out.Networking = ptr(p.Networking.read())
	}
	if in := p.InjectionLocation; in != nil {
		out.Injection = &secret.InjectionPatch{Header: in.Header, Body: in.Body}
	}
	return out
}

// InlineSecret is the short way to give a vault one secret. Its type is exported because others embed it.
type InlineSecret struct {
	Token        *string `json:"token,omitempty" doc:"A secret of the vault's own; with mcp_server_url it is the token for that MCP server, else an environment variable."`
	Secret       *string `json:"secret,omitempty" doc:"Another name of token."`
	SecretValue  *string `json:"secret_value,omitempty" doc:"Another name of token."`
	MCPServerURL *string `json:"mcp_server_url,omitempty" doc:"What the secret is for."`
	SecretName   *string `json:"secret_name,omitempty" doc:"The environment variable that the secret is; named after the vault when left out."`
}

// value returns the secret, nil for none, and an error for several.
func (p *InlineSecret) value(auth bool) (*string, error) {
	var found *string
	n := 0
	for _, t := range []*string{p.Token, p.Secret, p.SecretValue} {
		if t != nil {
			found = t
			n++
		}
	}
	if n > 1 || n == 1 && auth {
		return nil, fault.Invalidf("token", "only one of auth, token, secret and secret_value can be given")
	}
	return found, nil
}

// credential is the new credential that the secret stands for.
func (p *InlineSecret) credential(value string) *secret.NewCredential {
	s := secret.Secrets{Token: secret.NewValue(value)}
	if p.MCPServerURL != nil {
		return &secret.NewCredential{Auth: secret.Auth{Type: secret.StaticBearer, MCPServerURL: *p.MCPServerURL}, Secrets: s}
	}
	return &secret.NewCredential{Secrets: s, Auth: secret.Auth{
		Type: secret.EnvironmentVariable, SecretName: textOf(p.SecretName), Injection: secret.Injection{Header: true},
	}}
}

type createVaultInput struct {
	Body struct {
		DisplayName *string       `json:"display_name,omitempty" doc:"1 to 255 characters. Required, here or as name."`
		Name        *string       `json:"name,omitempty" doc:"Another name of display_name."`
		Metadata    metadataParam `json:"metadata,omitempty" doc:"At most 16 pairs."`
		Auth        *authParam    `json:"auth,omitempty" doc:"The vault's first credential, if it is to have one at once."`
		InlineSecret
	}
}

type updateVaultInput struct {
	VaultInput
	Body struct {
		DisplayName *string                  `json:"display_name,omitempty" doc:"1 to 255 characters."`
		Name        *string                  `json:"name,omitempty" doc:"Another name of display_name."`
		Metadata    httpx.Opt[metadataPatch] `json:"metadata,omitempty" doc:"A patch: null removes a key."`
		Auth        *authPatch               `json:"auth,omitempty" doc:"Rotates the credential that the vault was created with."`
		InlineSecret
	}
}

// VaultInput names a vault. Its type is exported because others embed it.
type VaultInput struct {
	VaultID string `path:"vault_id" doc:"The id of a vault."`
}

func (in *VaultInput) vault() (id.Vault, error) { return id.Parse[id.VaultKind](in.VaultID) }

// CredentialInput names a credential of a vault. Its type is exported because others embed it.
type CredentialInput struct {
	VaultInput
	CredentialID string `path:"credential_id" doc:"The id of a credential."`
}

func (in *CredentialInput) ids() (id.Vault, id.Credential, error) {
	v, err := in.vault()
	if err != nil {
		return v, id.Credential{}, err
	}
	c, err := id.Parse[id.CredentialKind](in.CredentialID)
	return v, c, err
}

// ArchivedQuery is embedded in the input of a list that leaves archived items out. Its type is exported because others embed it.
type ArchivedQuery struct {
	httpx.PageQuery
	Archived        bool `query:"archived" doc:"Archived ones too."`
	IncludeArchived bool `query:"include_archived" doc:"Another name of archived."`
}

type listVaultsInput struct{ ArchivedQuery }

type listCredentialsInput struct {
	VaultInput
	ArchivedQuery
}

func (q *ArchivedQuery) secrets() secret.ListRequest {
	return secret.ListRequest{Request: q.Request(), Archived: q.Archived || q.IncludeArchived}
}

type createCredentialInput struct {
	VaultInput
	Body struct {
		DisplayName *string       `json:"display_name,omitempty" doc:"At most 255 characters."`
		Metadata    metadataParam `json:"metadata,omitempty" doc:"At most 16 pairs."`
		Auth        authParam     `json:"auth"`
	}
}

type updateCredentialInput struct {
	CredentialInput
	Body struct {
		DisplayName httpx.Opt[string]        `json:"display_name,omitempty" doc:"At most 255 characters; null clears it."`
		Metadata    httpx.Opt[metadataPatch] `json:"metadata,omitempty" doc:"A patch: null removes a key."`
		Auth        *authPatch               `json:"auth,omitempty" doc:"Changes what it names; its secrets rotate."`
	}
}

func (f *face) registerVaults() {
	const secretHelp = " Secrets are sealed, and no call ever answers them."

	httpx.Register(f.Face, httpx.Op{
		ID: "createVault", Method: http.MethodPost, Path: "/v1/vaults", Tag: "vaults", Status: http.StatusCreated,
		Example: `{"display_name":"CRM","token":"...","mcp_server_url":"https://mcp.example.com/mcp"}`,
		Summary: "Create a vault", Permission: account.VaultsWrite,
		Description: "A vault holds the credentials that sessions are given as a whole. One may be given at once, as auth or in short form." + secretHelp,
	}, f.createVault)

	httpx.Register(f.Face, httpx.Op{
		ID: "listVaults", Method: http.MethodGet, Path: "/v1/vaults", Tag: "vaults",
		Summary: "List vaults, newest first", Permission: account.VaultsRead,
	}, func(ctx context.Context, in *listVaultsInput) (*output[httpx.List[vaultWire]], error) {
		found, err := f.deps.Secrets.ListVaults(ctx, httpx.Scope(ctx), in.secrets())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showVault)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getVault", Method: http.MethodGet, Path: "/v1/vaults/{vault_id}", Tag: "vaults",
		Summary: "Read a vault", Permission: account.VaultsRead,
	}, func(ctx context.Context, in *VaultInput) (*output[vaultWire], error) {
		v, err := in.vault()
		if err != nil {
			return nil, err
		}
		return answerVault(f.deps.Secrets.GetVault(ctx, httpx.Scope(ctx), v))
	})

	for method, op := range map[string]string{http.MethodPatch: "patchVault", http.MethodPost: "updateVault", http.MethodPut: "putVault"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/vaults/{vault_id}", Tag: "vaults", Summary: "Change a vault, or rotate its secret",
			Example:     `{"display_name":"CRM of the branch"}`,
			Description: "Changes what the body names. POST, PATCH and PUT do the same." + secretHelp, Permission: account.VaultsWrite,
			Statuses: []int{http.StatusConflict},
		}, f.updateVault)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteVault", Method: http.MethodDelete, Path: "/v1/vaults/{vault_id}", Tag: "vaults",
		Summary: "Delete a vault with its credentials", Permission: account.VaultsWrite,
		Description: "Sessions that were given it go on without it.",
	}, func(ctx context.Context, in *VaultInput) (*output[httpx.Deleted], error) {
		v, err := in.vault()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Secrets.DeleteVault(ctx, httpx.Scope(ctx), v); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: v.String(), Type: "vault_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveVault", Method: http.MethodPost, Path: "/v1/vaults/{vault_id}/archive", Tag: "vaults",
		Summary: "Archive a vault with its credentials", Permission: account.VaultsWrite,
		Description: "The secrets of its credentials are removed. Archiving it again changes nothing.",
	}, func(ctx context.Context, in *VaultInput) (*output[vaultWire], error) {
		v, err := in.vault()
		if err != nil {
			return nil, err
		}
		return answerVault(f.deps.Secrets.ArchiveVault(ctx, httpx.Scope(ctx), v))
	})

	f.registerCredentials()
}

func answerVault(v secret.Vault, err error) (*output[vaultWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(showVault(v)), nil
}

func (f *face) createVault(ctx context.Context, in *createVaultInput) (*output[vaultWire], error) {
	b := &in.Body
	n := secret.NewVault{DisplayName: textOf(b.DisplayName), Metadata: b.Metadata}
	if b.DisplayName == nil {
		n.DisplayName = textOf(b.Name)
	}
	value, err := b.value(b.Auth != nil)
	switch {
	case err != nil:
		return nil, err
	case b.Auth != nil:
		n.Inline = &secret.NewCredential{}
		n.Inline.Auth, n.Inline.Secrets = b.Auth.readNew()
	case value != nil:
		n.Inline = b.credential(*value)
	case b.MCPServerURL != nil || b.SecretName != nil:
		return nil, fault.Invalidf("token", "is required with mcp_server_url or secret_name")
	}
	return answerVault(f.deps.Secrets.CreateVault(ctx, httpx.Scope(ctx), n))
}

func (f *face) updateVault(ctx context.Context, in *updateVaultInput) (*output[vaultWire], error) {
	v, err := in.vault()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	p := secret.VaultPatch{DisplayName: b.DisplayName, Metadata: b.Metadata.Value}
	if b.DisplayName == nil {
		p.DisplayName = b.Name
	}
	value, err := b.value(b.Auth != nil)
	switch {
	case err != nil:
		return nil, err
	case b.Auth != nil:
		p.Inline = b.Auth.read()
		if b.Auth.Type != nil {
			whole := b.Auth.whole()
			p.New = &secret.NewCredential{}
			p.New.Auth, p.New.Secrets = whole.readNew()
		}
	case value != nil:
		p.Inline = &secret.AuthPatch{Token: valueOf(value), MCPServerURL: b.MCPServerURL, SecretName: b.SecretName}
		p.New = b.credential(*value)
	case b.MCPServerURL != nil || b.SecretName != nil:
		p.Inline = &secret.AuthPatch{MCPServerURL: b.MCPServerURL, SecretName: b.SecretName}
	}
	return answerVault(f.deps.Secrets.UpdateVault(ctx, httpx.Scope(ctx), v, p))
}

// whole is the patch as the auth of a new credential.
func (p *authPatch) whole() authParam {
	return authParam{
		textOf(p.Type), p.MCPServerURL, p.Token, p.AccessToken, p.ExpiresAt, p.Refresh, p.SecretName, p.SecretValue, p.Networking,
		p.InjectionLocation,
	}
}

func (f *face) registerCredentials() {
	const base = "/v1/vaults/{vault_id}/credentials"

	httpx.Register(f.Face, httpx.Op{
		ID: "createVaultCredential", Method: http.MethodPost, Path: base, Tag: "vaults", Status: http.StatusCreated,
		Example: `{"display_name":"CRM","auth":{"type":"static_bearer","token":"...","mcp_server_url":"https://mcp.example.com/mcp"}}`,
		Summary: "Add a credential to a vault", Permission: account.VaultsWrite,
		Description: "A vault has at most 20 credentials that are not archived, and one for each MCP server and each environment variable. " +
			"Secrets are sealed, and no call ever answers them.",
	}, func(ctx context.Context, in *createCredentialInput) (*output[credentialWire], error) {
		v, err := in.vault()
		if err != nil {
			return nil, err
		}
		n := secret.NewCredential{DisplayName: textOf(in.Body.DisplayName), Metadata: in.Body.Metadata}
		n.Auth, n.Secrets = in.Body.Auth.readNew()
		return answerCredential(f.deps.Secrets.CreateCredential(ctx, httpx.Scope(ctx), v, n))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listVaultCredentials", Method: http.MethodGet, Path: base, Tag: "vaults",
		Summary: "List the credentials of a vault, newest first", Permission: account.VaultsRead,
	}, func(ctx context.Context, in *listCredentialsInput) (*output[httpx.List[credentialWire]], error) {
		v, err := in.vault()
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Secrets.ListCredentials(ctx, httpx.Scope(ctx), v, in.secrets())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showCredential)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getVaultCredential", Method: http.MethodGet, Path: base + "/{credential_id}", Tag: "vaults",
		Summary: "Read a credential", Permission: account.VaultsRead,
	}, func(ctx context.Context, in *CredentialInput) (*output[credentialWire], error) {
		v, c, err := in.ids()
		if err != nil {
			return nil, err
		}
		return answerCredential(f.deps.Secrets.GetCredential(ctx, httpx.Scope(ctx), v, c))
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchVaultCredential", http.MethodPost: "updateVaultCredential", http.MethodPut: "putVaultCredential",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: base + "/{credential_id}", Tag: "vaults", Summary: "Change a credential, or rotate its secrets",
			Example: `{"auth":{"type":"static_bearer","token":"..."}}`,
			Description: "Changes what the body names. The type, mcp_server_url, secret_name, client_id and token_endpoint cannot be changed. " +
				"POST, PATCH and PUT do the same.",
			Permission: account.VaultsWrite, Statuses: []int{http.StatusConflict},
		}, f.updateCredential)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteVaultCredential", Method: http.MethodDelete, Path: base + "/{credential_id}", Tag: "vaults",
		Summary: "Delete a credential", Permission: account.VaultsWrite,
	}, func(ctx context.Context, in *CredentialInput) (*output[httpx.Deleted], error) {
		v, c, err := in.ids()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Secrets.DeleteCredential(ctx, httpx.Scope(ctx), v, c); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: c.String(), Type: "vault_credential_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveVaultCredential", Method: http.MethodPost, Path: base + "/{credential_id}/archive", Tag: "vaults",
		Summary: "Archive a credential", Permission: account.VaultsWrite,
		Description: "Its secrets are removed. Archiving it again changes nothing.",
	}, func(ctx context.Context, in *CredentialInput) (*output[credentialWire], error) {
		v, c, err := in.ids()
		if err != nil {
			return nil, err
		}
		return answerCredential(f.deps.Secrets.ArchiveCredential(ctx, httpx.Scope(ctx), v, c))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "validateVaultCredential", Method: http.MethodPost, Path: base + "/{credential_id}/mcp_oauth_validate", Tag: "vaults",
		Summary: "Try a credential on its MCP server", Permission: account.VaultsWrite,
		Description: "When the server refuses the token with 401, it is refreshed once and tried again. The new token is kept.",
	}, func(ctx context.Context, in *CredentialInput) (*output[validationWire], error) {
		v, c, err := in.ids()
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Secrets.Validate(ctx, httpx.Scope(ctx), v, c)
		if err != nil {
			return nil, err
		}
		return ok(showValidation(got)), nil
	})
}

func answerCredential(c secret.Credential, err error) (*output[credentialWire], error) {
	if err != nil {
		return nil, err
	}
	return ok(showCredential(c)), nil
}

func (f *face) updateCredential(ctx context.Context, in *updateCredentialInput) (*output[credentialWire], error) {
	v, c, err := in.ids()
	if err != nil {
		return nil, err
	}
	p := secret.Patch{Metadata: in.Body.Metadata.Value}
	if in.Body.DisplayName.Set {
		p.DisplayName = &in.Body.DisplayName.Value
	}
	if in.Body.Auth != nil {
		p.Auth = in.Body.Auth.read()
	}
	return answerCredential(f.deps.Secrets.UpdateCredential(ctx, httpx.Scope(ctx), v, c, p))
}
