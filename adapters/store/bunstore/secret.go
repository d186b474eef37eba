package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// VaultRepo keeps vaults. It implements secret.Vaults.
type VaultRepo struct{ s *Store }

// CredentialRepo keeps credentials. It implements secret.Credentials.
type CredentialRepo struct{ s *Store }

var (
	_ secret.Vaults      = (*VaultRepo)(nil)
	_ secret.Credentials = (*CredentialRepo)(nil)
)

// Vaults returns the repository of vaults.
func (s *Store) Vaults() *VaultRepo { return &VaultRepo{s} }

// Credentials returns the repository of credentials.
func (s *Store) Credentials() *CredentialRepo { return &CredentialRepo{s} }

const vaultColumns = "id, display_name, metadata, inline_credential_id, created_at, updated_at, archived_at"

func scanVault(tenant id.Tenant, row scanner) (secret.Vault, error) {
	v := secret.Vault{Tenant: tenant}
	var metadata rawJSON
	var created, updated, archived stamp
	if err := row.Scan(&v.ID, &v.DisplayName, &metadata, &v.Inline, &created, &updated, &archived); err != nil {
		return secret.Vault{}, err
	}
	if err := json.Unmarshal(metadata, &v.Metadata); err != nil {
		return secret.Vault{}, fmt.Errorf("bunstore: vault %s: %w", v.ID, err)
	}
	v.CreatedAt, v.UpdatedAt, v.ArchivedAt = created.Time(), updated.Time(), archived.pointer()
	return v, nil
}

// Insert implements secret.Vaults.
func (r *VaultRepo) Insert(ctx context.Context, sc account.Scope, v secret.Vault) error {
	metadata, err := encodeMetadata(v.Metadata)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO vaults (tenant_id, "+vaultColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			sc.Tenant, v.ID, v.DisplayName, metadata, v.Inline, at(v.CreatedAt), at(v.UpdatedAt), stampOf(v.ArchivedAt))
		return mapErr(err)
	})
}

// Get implements secret.Vaults.
func (r *VaultRepo) Get(ctx context.Context, sc account.Scope, vault id.Vault) (secret.Vault, error) {
	return r.get(ctx, r.s.read(ctx), sc, vault, "")
}

func (r *VaultRepo) get(ctx context.Context, db bun.IDB, sc account.Scope, vault id.Vault, lock string) (secret.Vault, error) {
	v, err := scanVault(sc.Tenant, db.QueryRowContext(ctx,
		"SELECT "+vaultColumns+" FROM vaults WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, vault))
	if errors.Is(err, sql.ErrNoRows) {
		return secret.Vault{}, id.NotFound[id.VaultKind](vault.String())
	}
	return v, mapErr(err)
}

// Lock implements secret.Vaults.
func (r *VaultRepo) Lock(ctx context.Context, sc account.Scope, vault id.Vault) (v secret.Vault, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		v, err = r.get(ctx, db, sc, vault, r.s.forUpdate())
		return err
	})
	return v, err
}

// Update implements secret.Vaults.
func (r *VaultRepo) Update(ctx context.Context, sc account.Scope, v secret.Vault) error {
	metadata, err := encodeMetadata(v.Metadata)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE vaults SET display_name = ?, metadata = ?, inline_credential_id = ?, updated_at = ?, archived_at = ?
			WHERE tenant_id = ? AND id = ?`,
			v.DisplayName, metadata, v.Inline, at(v.UpdatedAt), stampOf(v.ArchivedAt), sc.Tenant, v.ID)
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		return id.NotFound[id.VaultKind](v.ID.String())
	})
}

// List implements secret.Vaults.
func (r *VaultRepo) List(ctx context.Context, sc account.Scope, req secret.ListRequest) (page.Page[secret.Vault], error) {
	q, args := "SELECT "+vaultColumns+" FROM vaults WHERE tenant_id = ?", []any{sc.Tenant}
	if !req.Archived {
		q += " AND archived_at IS NULL"
	}
	return newestFirst(ctx, r.s.read(ctx), req.Request, func(row scanner) (secret.Vault, error) { return scanVault(sc.Tenant, row) },
		func(v secret.Vault) id.Vault { return v.ID }, q, args...)
}

// Delete implements secret.Vaults.
func (r *VaultRepo) Delete(ctx context.Context, sc account.Scope, vault id.Vault) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		// The vault goes first: whoever adds a credential holds its row.
		res, err := db.ExecContext(ctx, "DELETE FROM vaults WHERE tenant_id = ? AND id = ?", sc.Tenant, vault)
		n, err := affected(res, err)
		if err != nil {
			return err
		}
		if n == 0 {
			return id.NotFound[id.VaultKind](vault.String())
		}
		_, err = db.ExecContext(ctx, "DELETE FROM vault_credentials WHERE tenant_id = ? AND vault_id = ?", sc.Tenant, vault)
		return mapErr(err)
	})
}

// authDoc is how the column auth holds secret.Auth.
type authDoc struct {
	Type         string          `json:"type"`
	MCPServerURL string          `json:"mcp_server_url,omitempty"`
	ExpiresAt    *time.Time      `json:"expires_at,omitempty"`
	Refresh      *authRefreshDoc `json:"refresh,omitempty"`
	SecretName   string          `json:"secret_name,omitempty"`
	Limited      bool            `json:"limited,omitempty"`
	AllowedHosts []string        `json:"allowed_hosts,omitempty"`
	Header       bool            `json:"header,omitempty"`
	Body         bool            `json:"body,omitempty"`
}

type authRefreshDoc struct {
	ClientID      string `json:"client_id"`
	TokenEndpoint string `json:"token_endpoint"`
	TokenAuth     string `json:"token_auth"`
	Resource      string `json:"resource,omitempty"`
	Scope         string `json:"scope,omitempty"`
}

func encodeAuth(a secret.Auth) (string, error) {
	d := authDoc{
		Type: string(a.Type), MCPServerURL: a.MCPServerURL, ExpiresAt: a.ExpiresAt, SecretName: a.SecretName,
		Limited: a.Networking.Limited, AllowedHosts: a.Networking.AllowedHosts, Header: a.Injection.Header, Body: a.Injection.Body,
	}
	if f := a.Refresh; f != nil {
		d.Refresh = &authRefreshDoc{f.ClientID, f.TokenEndpoint, string(f.TokenAuth), f.Resource, f.Scope}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("bunstore: credential: %w", err)
	}
	return string(b), nil
}

func decodeAuth(raw []byte) (secret.Auth, error) {
	var d authDoc
	if err := json.Unmarshal(raw, &d); err != nil {
		return secret.Auth{}, err
	}
	a := secret.Auth{
		Type: secret.AuthType(d.Type), MCPServerURL: d.MCPServerURL, ExpiresAt: d.ExpiresAt, SecretName: d.SecretName,
		Networking: secret.Networking{Limited: d.Limited, AllowedHosts: d.AllowedHosts},
		Injection:  secret.Injection{Header: d.Header, Body: d.Body},
	}
	if f := d.Refresh; f != nil {
		a.Refresh = &secret.Refresh{
			ClientID: f.ClientID, TokenEndpoint: f.TokenEndpoint, TokenAuth: secret.TokenAuth(f.TokenAuth), Resource: f.Resource, Scope: f.Scope,
		}
	}
	return a, nil
}

const (
	credentialColumns = "id, vault_id, display_name, metadata, auth, created_at, updated_at, archived_at" //nolint:gosec // names of columns
	recordColumns     = credentialColumns + ", subject, sealed, version, secret_version, refresh_until, refresh_failed"
)

func scanCredential(tenant id.Tenant, row scanner, more ...any) (secret.Credential, error) {
	c := secret.Credential{Tenant: tenant}
	var metadata, auth rawJSON
	var created, updated, archived stamp
	dest := append([]any{&c.ID, &c.Vault, &c.DisplayName, &metadata, &auth, &created, &updated, &archived}, more...)
	if err := row.Scan(dest...); err != nil {
		return secret.Credential{}, err
	}
	if err := json.Unmarshal(metadata, &c.Metadata); err != nil {
		return secret.Credential{}, fmt.Errorf("bunstore: credential %s: %w", c.ID, err)
	}
	var err error
	if c.Auth, err = decodeAuth(auth); err != nil {
		return secret.Credential{}, fmt.Errorf("bunstore: credential %s: %w", c.ID, err)
	}
	c.CreatedAt, c.UpdatedAt, c.ArchivedAt = created.Time(), updated.Time(), archived.pointer()
	return c, nil
}

func scanRecord(tenant id.Tenant, row scanner) (secret.Record, error) {
	var r secret.Record
	var until stamp
	var err error
	r.Credential, err = scanCredential(tenant, row, &r.Subject, &r.Sealed, &r.Version, &r.SecretVersion, &until, &r.RefreshFailed)
	r.RefreshUntil = until.Time()
	return r, err
}

func credentialErr(err error, credential id.Credential) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.CredentialKind](credential.String())
	}
	return mapErr(err)
}

// Insert implements secret.Credentials.
func (r *CredentialRepo) Insert(ctx context.Context, sc account.Scope, c secret.Record) error {
	metadata, err := encodeMetadata(c.Metadata)
	if err != nil {
		return err
	}
	auth, err := encodeAuth(c.Auth)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO vault_credentials (tenant_id, "+recordColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, c.ID, c.Vault, c.DisplayName, metadata, auth, at(c.CreatedAt), at(c.UpdatedAt), stampOf(c.ArchivedAt),
			c.Subject, c.Sealed, c.Version, c.SecretVersion, at(c.RefreshUntil), c.RefreshFailed)
		if isUnique(err) {
			return secret.ErrDuplicate
		}
		return mapErr(err)
	})
}

// Get implements secret.Credentials.
func (r *CredentialRepo) Get(
	ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential,
) (secret.Record, error) {
	q, args := "SELECT "+recordColumns+" FROM vault_credentials WHERE tenant_id = ? AND id = ?", []any{sc.Tenant, credential}
	if !vault.IsZero() {
		q += " AND vault_id = ?"
		args = append(args, vault)
	}
	rec, err := scanRecord(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, q, args...))
	if err != nil {
		return secret.Record{}, credentialErr(err, credential)
	}
	return rec, nil
}

// Update implements secret.Credentials.
func (r *CredentialRepo) Update(ctx context.Context, sc account.Scope, c secret.Record) error {
	metadata, err := encodeMetadata(c.Metadata)
	if err != nil {
		return err
	}
	auth, err := encodeAuth(c.Auth)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE vault_credentials SET display_name = ?, metadata = ?, auth = ?, updated_at = ?, archived_at = ?,
			sealed = ?, version = ?, secret_version = ?, refresh_until = ?, refresh_failed = ?
			WHERE tenant_id = ? AND id = ? AND version = ?`,
			c.DisplayName, metadata, auth, at(c.UpdatedAt), stampOf(c.ArchivedAt), c.Sealed, c.Version, c.SecretVersion,
			at(c.RefreshUntil), c.RefreshFailed, sc.Tenant, c.ID, c.Version-1)
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		if _, err := r.Get(ctx, sc, id.Vault{}, c.ID); err != nil {
			return err
		}
		return secret.ErrVersion
	})
}

// List implements secret.Credentials.
func (r *CredentialRepo) List(
	ctx context.Context, sc account.Scope, vault id.Vault, req secret.ListRequest,
) (page.Page[secret.Credential], error) {
	q, args := "SELECT "+credentialColumns+" FROM vault_credentials WHERE tenant_id = ? AND vault_id = ?", []any{sc.Tenant, vault}
	if !req.Archived {
		q += " AND archived_at IS NULL"
	}
	return newestFirst(ctx, r.s.read(ctx), req.Request, func(row scanner) (secret.Credential, error) { return scanCredential(sc.Tenant, row) },
		func(c secret.Credential) id.Credential { return c.ID }, q, args...)
}

// Delete implements secret.Credentials.
func (r *CredentialRepo) Delete(ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "DELETE FROM vault_credentials WHERE tenant_id = ? AND vault_id = ? AND id = ?",
			sc.Tenant, vault, credential)
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		return id.NotFound[id.CredentialKind](credential.String())
	})
}

// Live implements secret.Credentials.
func (r *CredentialRepo) Live(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]secret.Record, error) {
	var out []secret.Record
	for _, vault := range vaults { // a handful
		found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (secret.Record, error) { return scanRecord(sc.Tenant, row) },
			"SELECT "+recordColumns+" FROM vault_credentials WHERE tenant_id = ? AND vault_id = ? AND archived_at IS NULL ORDER BY id",
			sc.Tenant, vault)
		if err != nil {
			return nil, err
		}
		out = slices.Concat(out, found)
	}
	return out, nil
}

// Archive implements secret.Credentials.
func (r *CredentialRepo) Archive(ctx context.Context, sc account.Scope, vault id.Vault, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE vault_credentials SET archived_at = ?, updated_at = ?, sealed = NULL,
			version = version + 1, secret_version = secret_version + 1, refresh_until = NULL, refresh_failed = FALSE
			WHERE tenant_id = ? AND vault_id = ? AND archived_at IS NULL`, at(when), at(when), sc.Tenant, vault)
		return mapErr(err)
	})
}
