package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/keeper"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX          tx.Runner
	Clock       clock.Clock
	IDs         id.Generator
	Logger      *slog.Logger
	Keeper      keeper.Keeper
	Vaults      Vaults
	Credentials Credentials
	Guard       Guard
	Exchanger   Exchanger
	Prober      Prober
	Audit       Auditor
}

// Config of a Service; the zero value is the default.
type Config struct {
	// PollEvery is how often a caller that waits for another process to refresh a token looks whether it has; 0 is 100 ms.
	PollEvery time.Duration
}

// Service keeps vaults and hands out what is in them. It is safe for concurrent use.
type Service struct {
	d   Deps
	cfg Config

	mu      sync.Mutex
	flights map[flightKey]*flight // refreshes that this process is at
}

// NewService returns a Service, or an error that names what is missing or wrong.
func NewService(d Deps, cfg Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Keeper", d.Keeper == nil},
		{"Vaults", d.Vaults == nil}, {"Credentials", d.Credentials == nil}, {"Guard", d.Guard == nil}, {"Exchanger", d.Exchanger == nil},
		{"Prober", d.Prober == nil}, {"Audit", d.Audit == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("secret: Deps.%s is required", f.name)
		}
	}
	if cfg.PollEvery < 0 {
		return nil, errors.New("secret: Config.PollEvery must not be negative")
	}
	if cfg.PollEvery == 0 {
		cfg.PollEvery = 100 * time.Millisecond
	}
	return &Service{d: d, cfg: cfg, flights: map[flightKey]*flight{}}, nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

func (s *Service) checker() *checker { return &checker{guard: s.d.Guard, now: s.now()} }

// NewVault asks for a vault.
type NewVault struct {
	DisplayName string
	Metadata    map[string]string
	// Inline becomes the vault's first credential, which VaultPatch.Inline rotates; nil is none. An EnvironmentVariable without a SecretName
	// is named after the vault.
	Inline *NewCredential
}

// CreateVault adds a vault, with its first credential if there is one. Returns ErrInvalid.
func (s *Service) CreateVault(ctx context.Context, sc account.Scope, n NewVault) (Vault, error) {
	now := s.now()
	v := Vault{
		ID: id.New[id.VaultKind](s.d.IDs), Tenant: sc.Tenant, DisplayName: n.DisplayName, Metadata: maps.Clone(n.Metadata),
		CreatedAt: now, UpdatedAt: now,
	}
	k := s.checker()
	k.Given("display_name", n.DisplayName, MaxName)
	metadata.Check(&k.Faults, n.Metadata)
	if err := k.Err(ErrInvalid); err != nil {
		return Vault{}, err
	}
	var inline *Record
	if n.Inline != nil {
		r, err := s.record(ctx, sc, v.ID, named(*n.Inline, v))
		if err != nil {
			return Vault{}, err
		}
		inline, v.Inline = &r, r.ID
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Vaults.Insert(ctx, sc, v); err != nil {
			return err
		}
		if err := s.note(ctx, sc, "vault_created", v.ID, id.Credential{}, nil); err != nil {
			return err
		}
		if inline == nil {
			return nil
		}
		return s.insert(ctx, sc, *inline)
	})
	if err != nil {
		return Vault{}, err
	}
	return v, nil
}

// GetVault returns a vault.
func (s *Service) GetVault(ctx context.Context, sc account.Scope, vault id.Vault) (Vault, error) {
	return s.d.Vaults.Get(ctx, sc, vault)
}

// ListVaults returns vaults, newest first.
func (s *Service) ListVaults(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Vault], error) {
	return s.d.Vaults.List(ctx, sc, req)
}

// CheckVaults returns id.NotFound[id.VaultKind] for the first of the vaults that the tenant has not, and ErrArchived for one that is
// archived: for whoever is about to give them to a session.
func (s *Service) CheckVaults(ctx context.Context, sc account.Scope, vaults []id.Vault) error {
	for _, v := range vaults {
		got, err := s.d.Vaults.Get(ctx, sc, v)
		if err != nil {
			return err
		}
		if got.ArchivedAt != nil {
			return ErrArchived.Withf("vault %s is archived", v)
		}
	}
	return nil
}

// VaultPatch changes a vault; zero fields leave as it is what they name.
type VaultPatch struct {
	DisplayName *string
	Metadata    map[string]*string // per key: nil removes it
	// Inline rotates the vault's own credential. Without one, or when it is archived or deleted, New becomes it.
	Inline *AuthPatch
	New    *NewCredential
}

// UpdateVault changes a vault. Returns ErrInvalid, ErrArchived, and the errors of UpdateCredential and CreateCredential.
func (s *Service) UpdateVault(ctx context.Context, sc account.Scope, vault id.Vault, p VaultPatch) (Vault, error) {
	old, err := s.d.Vaults.Get(ctx, sc, vault)
	if err != nil {
		return Vault{}, err
	}
	// The secret comes first: a body with a bad one must not change the name.
	var inline *Record
	if p.Inline != nil || p.New != nil {
		if old.ArchivedAt != nil {
			return Vault{}, ErrArchived.Withf("vault %s is archived", vault)
		}
		k := s.checker()
		checkVaultPatch(k, old, p)
		if err := k.Err(ErrInvalid); err != nil {
			return Vault{}, err
		}
		if inline, err = s.rotateInline(ctx, sc, old, p); err != nil {
			return Vault{}, err
		}
	}
	var next Vault
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		next, err = s.d.Vaults.Lock(ctx, sc, vault)
		if err != nil {
			return err
		}
		if next.ArchivedAt != nil {
			return ErrArchived.Withf("vault %s is archived", vault)
		}
		k := s.checker()
		checkVaultPatch(k, next, p)
		if err := k.Err(ErrInvalid); err != nil {
			return err
		}
		if p.DisplayName != nil {
			next.DisplayName = *p.DisplayName
		}
		next.Metadata = metadata.Merge(next.Metadata, p.Metadata)
		next.UpdatedAt = s.now()
		if inline != nil {
			next.Inline = inline.ID
			if err := s.insertLocked(ctx, sc, *inline); err != nil {
				return err
			}
		}
		if err := s.d.Vaults.Update(ctx, sc, next); err != nil {
			return err
		}
		return s.note(ctx, sc, "vault_updated", vault, id.Credential{}, nil)
	})
	if err != nil {
		return Vault{}, err
	}
	return next, nil
}

func checkVaultPatch(k *checker, v Vault, p VaultPatch) {
	if p.DisplayName != nil {
		k.Given("display_name", *p.DisplayName, MaxName)
	}
	metadata.Check(&k.Faults, metadata.Merge(v.Metadata, p.Metadata))
}

// rotateInline changes the vault's own credential, or returns the record of a new one.
func (s *Service) rotateInline(ctx context.Context, sc account.Scope, v Vault, p VaultPatch) (*Record, error) {
	if !v.Inline.IsZero() {
		there, err := s.d.Credentials.Get(ctx, sc, v.ID, v.Inline)
		switch {
		case err == nil && there.ArchivedAt == nil:
			if p.Inline == nil {
				return nil, nil
			}
			_, err := s.UpdateCredential(ctx, sc, v.ID, v.Inline, Patch{Auth: p.Inline})
			return nil, err
		case err != nil && !errors.Is(err, id.NotFound[id.CredentialKind]("")):
			return nil, err
		}
	}
	if p.New == nil {
		const what = "the vault has no secret of its own; say what the secret is for"
		return nil, ErrInvalid.Withf("auth: %s", what).WithFields(field("auth", what))
	}
	if p.DisplayName != nil {
		v.DisplayName = *p.DisplayName
	}
	r, err := s.record(ctx, sc, v.ID, named(*p.New, v))
	return &r, err
}

// named gives a variable that has no name the vault's, as programs spell it: "GitHub token" is GITHUB_TOKEN.
func named(n NewCredential, v Vault) NewCredential {
	if n.Auth.Type != EnvironmentVariable || n.Auth.SecretName != "" {
		return n
	}
	name := strings.Trim(strings.Map(func(c rune) rune {
		if c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return unicode.ToUpper(c)
		}
		return '_'
	}, v.DisplayName), "_")
	if name == "" || unicode.IsDigit(rune(name[0])) {
		name = "SECRET_" + name
	}
	n.Auth.SecretName = strings.TrimRight(name, "_")
	return n
}

// ArchiveVault archives a vault and its credentials, whose secrets are removed. Archiving it again changes nothing.
func (s *Service) ArchiveVault(ctx context.Context, sc account.Scope, vault id.Vault) (Vault, error) {
	var v Vault
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if v, err = s.d.Vaults.Lock(ctx, sc, vault); err != nil || v.ArchivedAt != nil {
			return err
		}
		now := s.now()
		v.ArchivedAt, v.UpdatedAt = &now, now
		if err := s.d.Vaults.Update(ctx, sc, v); err != nil {
			return err
		}
		if err := s.d.Credentials.Archive(ctx, sc, vault, now); err != nil {
			return err
		}
		return s.note(ctx, sc, "vault_archived", vault, id.Credential{}, nil)
	})
	if err != nil {
		return Vault{}, err
	}
	return v, nil
}

// DeleteVault removes a vault with its credentials. Sessions that were given it go on without it.
func (s *Service) DeleteVault(ctx context.Context, sc account.Scope, vault id.Vault) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Vaults.Delete(ctx, sc, vault); err != nil {
			return err
		}
		return s.note(ctx, sc, "vault_deleted", vault, id.Credential{}, nil)
	})
}

// CreateCredential adds a credential to a vault. Returns ErrInvalid, ErrTooMany, ErrDuplicate, ErrArchived.
func (s *Service) CreateCredential(ctx context.Context, sc account.Scope, vault id.Vault, n NewCredential) (Credential, error) {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return Credential{}, err
	}
	r, err := s.record(ctx, sc, vault, n)
	if err != nil {
		return Credential{}, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		v, err := s.d.Vaults.Lock(ctx, sc, vault)
		if err != nil {
			return err
		}
		if v.ArchivedAt != nil {
			return ErrArchived.Withf("vault %s is archived", vault)
		}
		return s.insertLocked(ctx, sc, r)
	})
	if err != nil {
		return Credential{}, err
	}
	return r.Credential, nil
}

// record checks and seals a new credential. It is done outside of transactions: a keeper may be far away.
func (s *Service) record(ctx context.Context, sc account.Scope, vault id.Vault, n NewCredential) (Record, error) {
	k := s.checker()
	if n.DisplayName != "" {
		k.Given("display_name", n.DisplayName, MaxName)
	}
	metadata.Check(&k.Faults, n.Metadata)
	k.auth(n.Auth, n.Secrets)
	k.expiry(n.Auth.ExpiresAt)
	if err := k.Err(ErrInvalid); err != nil {
		return Record{}, err
	}
	now := s.now()
	r := Record{
		Credential: Credential{
			ID: id.New[id.CredentialKind](s.d.IDs), Tenant: sc.Tenant, Vault: vault, DisplayName: n.DisplayName, Metadata: maps.Clone(n.Metadata),
			Auth: n.Auth, CreatedAt: now, UpdatedAt: now,
		},
		Subject: subjectOf(n.Auth), Version: 1, SecretVersion: 1,
	}
	var err error
	r.Sealed, err = s.seal(ctx, sc, r.ID, n.Secrets)
	return r, err
}

// insertLocked adds a credential to a vault that is locked.
func (s *Service) insertLocked(ctx context.Context, sc account.Scope, r Record) error {
	live, err := s.d.Credentials.Live(ctx, sc, []id.Vault{r.Vault})
	if err != nil {
		return err
	}
	if len(live) >= MaxCredentials {
		return ErrTooMany.Withf("the vault has %d credentials; that is the most", len(live))
	}
	for _, other := range live {
		if other.Subject == r.Subject {
			return duplicate(r)
		}
	}
	return s.insert(ctx, sc, r)
}

func (s *Service) insert(ctx context.Context, sc account.Scope, r Record) error {
	if err := s.d.Credentials.Insert(ctx, sc, r); err != nil {
		if errors.Is(err, ErrDuplicate) {
			return duplicate(r)
		}
		return err
	}
	return s.note(ctx, sc, "vault_credential_created", r.Vault, r.ID, map[string]any{"auth_type": string(r.Auth.Type)})
}

func duplicate(r Record) error {
	if r.Auth.Type == EnvironmentVariable {
		return ErrDuplicate.Withf("the vault has a credential for the variable %s already", r.Auth.SecretName)
	}
	return ErrDuplicate.Withf("the vault has a credential for this MCP server already")
}

// GetCredential returns a credential of a vault.
func (s *Service) GetCredential(
	ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential,
) (Credential, error) {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return Credential{}, err
	}
	r, err := s.d.Credentials.Get(ctx, sc, vault, credential)
	return r.Credential, err
}

// ListCredentials returns the credentials of a vault, newest first.
func (s *Service) ListCredentials(
	ctx context.Context, sc account.Scope, vault id.Vault, req ListRequest,
) (page.Page[Credential], error) {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return page.Page[Credential]{}, err
	}
	return s.d.Credentials.List(ctx, sc, vault, req)
}

// UpdateCredential changes a credential, its secrets included. Returns ErrInvalid, ErrImmutable, ErrArchived, ErrVersion.
func (s *Service) UpdateCredential(
	ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential, p Patch,
) (Credential, error) {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return Credential{}, err
	}
	r, err := s.change(ctx, sc, vault, credential, "vault_credential_updated", func(r *Record) error {
		if r.ArchivedAt != nil {
			return ErrArchived.Withf("credential %s is archived", credential)
		}
		k := s.checker()
		if p.DisplayName != nil {
			if r.DisplayName = *p.DisplayName; r.DisplayName != "" {
				k.Given("display_name", r.DisplayName, MaxName)
			}
		}
		r.Metadata = metadata.Merge(r.Metadata, p.Metadata)
		metadata.Check(&k.Faults, r.Metadata)
		r.UpdatedAt = s.now()
		if p.Auth == nil {
			return k.Err(ErrInvalid)
		}
		return s.changeAuth(ctx, sc, k, r, *p.Auth)
	})
	return r.Credential, err
}

// changeAuth applies a patch to a record.
func (s *Service) changeAuth(ctx context.Context, sc account.Scope, k *checker, r *Record, p AuthPatch) error {
	secrets, err := s.open(ctx, sc, r)
	if err != nil {
		return err
	}
	before := secrets
	if err := p.apply(k, &r.Auth, &secrets); err != nil {
		return err
	}
	k.auth(r.Auth, secrets)
	if err := k.Err(ErrInvalid); err != nil {
		return err
	}
	if secrets == before {
		return nil
	}
	r.SecretVersion++
	r.RefreshUntil, r.RefreshFailed = time.Time{}, false
	r.Sealed, err = s.seal(ctx, sc, r.ID, secrets)
	return err
}

// attempts is how often a change is tried when others come between its reading and its writing.
const attempts = 8

// change reads a credential, lets fn change it, and writes it, again from the start when somebody else wrote it meanwhile. No lock is
// held while fn runs. action is what the audit trail calls it; "" tells nobody.
func (s *Service) change(
	ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential, action string, fn func(r *Record) error,
) (Record, error) {
	for range attempts {
		r, err := s.d.Credentials.Get(ctx, sc, vault, credential)
		if err != nil {
			return Record{}, err
		}
		if err := fn(&r); err != nil {
			return Record{}, err
		}
		r.Version++
		err = s.d.TX.Do(ctx, func(ctx context.Context) error {
			if err := s.d.Credentials.Update(ctx, sc, r); err != nil || action == "" {
				return err
			}
			return s.note(ctx, sc, action, r.Vault, r.ID, nil)
		})
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, ErrVersion) {
			return Record{}, err
		}
	}
	return Record{}, ErrVersion
}

// ArchiveCredential archives a credential and removes its secrets. Archiving it again changes nothing.
func (s *Service) ArchiveCredential(
	ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential,
) (Credential, error) {
	was, err := s.GetCredential(ctx, sc, vault, credential)
	if err != nil || was.ArchivedAt != nil {
		return was, err
	}
	r, err := s.change(ctx, sc, vault, credential, "vault_credential_archived", func(r *Record) error {
		if r.ArchivedAt == nil {
			now := s.now()
			r.ArchivedAt, r.UpdatedAt = &now, now
			r.Sealed, r.RefreshUntil, r.RefreshFailed = nil, time.Time{}, false
			r.SecretVersion++
		}
		return nil
	})
	return r.Credential, err
}

// DeleteCredential removes a credential.
func (s *Service) DeleteCredential(ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential) error {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return err
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Credentials.Delete(ctx, sc, vault, credential); err != nil {
			return err
		}
		return s.note(ctx, sc, "vault_credential_deleted", vault, credential, nil)
	})
}

// note tells the audit trail. No secret gets there.
func (s *Service) note(
	ctx context.Context, sc account.Scope, action string, vault id.Vault, credential id.Credential, more map[string]any,
) error {
	m := map[string]any{"vault_id": vault.UUID().String()}
	if !credential.IsZero() {
		m["credential_id"] = credential.UUID().String()
	}
	maps.Copy(m, more)
	return s.d.Audit.Record(ctx, sc, action, m)
}

// sealedDoc is what is sealed.
type sealedDoc struct {
	Token        string `json:"token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// place is what a credential's secrets are bound to.
func place(sc account.Scope, credential id.Credential) string {
	return sc.Tenant.UUID().String() + "/vault_credentials/" + credential.UUID().String() + "/sealed"
}

func (s *Service) seal(ctx context.Context, sc account.Scope, credential id.Credential, secrets Secrets) ([]byte, error) {
	plain, err := json.Marshal(sealedDoc{secrets.Token.text, secrets.RefreshToken.text, secrets.ClientSecret.text}) //nolint:gosec // it is sealed at once
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return s.d.Keeper.Seal(ctx, place(sc, credential), plain)
}

func (s *Service) open(ctx context.Context, sc account.Scope, r *Record) (Secrets, error) {
	plain, err := s.d.Keeper.Open(ctx, place(sc, r.ID), r.Sealed)
	if err != nil {
		return Secrets{}, err
	}
	var doc sealedDoc
	if err := json.Unmarshal(plain, &doc); err != nil {
		return Secrets{}, fmt.Errorf("secret: credential %s: what was sealed cannot be read", r.ID) // the cause would quote it
	}
	return Secrets{NewValue(doc.Token), NewValue(doc.RefreshToken), NewValue(doc.ClientSecret)}, nil
}
