package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Checkpoint says how far a tenant's trail reached at a moment, signed by the server. Kept where the server cannot reach it, it shows
// later that no entry up to it was changed or removed since, even if all hashes were computed anew.
type Checkpoint struct {
	Tenant    id.Tenant
	Count     int64  // sealed entries
	Head      string // the hash of the last one; Genesis while there is none
	CreatedAt time.Time
	KeyID     string // names the key; see KeyID
	Signature []byte // Ed25519 over Message
}

const checkpointFormat = "bureau-audit-checkpoint/1"

// Message returns what is signed: the line "bureau-audit-checkpoint/1", and the canonical JSON, as Canonical makes it, of {count,
// created_at, head, key_id, tenant_id}, with the tenant's UUID and a time in UTC with six digits after the second.
func (c Checkpoint) Message() []byte {
	b := []byte(checkpointFormat + "\n" + `{"count":` + formatInt(c.Count))
	b = appendMember(b, ',', "created_at", c.CreatedAt.UTC().Format(timeLayout))
	b = appendMember(b, ',', "head", c.Head)
	b = appendMember(b, ',', "key_id", c.KeyID)
	b = appendMember(b, ',', "tenant_id", c.Tenant.UUID().String())
	return append(b, '}')
}

// Verify checks the signature. ErrSignature when it is not that of the key, or the checkpoint names another key.
func (c Checkpoint) Verify(public ed25519.PublicKey) error {
	switch {
	case len(public) != ed25519.PublicKeySize:
		return ErrSignature.Withf("the public key has %d bytes, not %d", len(public), ed25519.PublicKeySize)
	case KeyID(public) != c.KeyID:
		return ErrSignature.Withf("the checkpoint was signed with the key %s, and this is %s", c.KeyID, KeyID(public))
	case !ed25519.Verify(public, c.Message(), c.Signature):
		return ErrSignature
	}
	return nil
}

// KeyID names a public key: "ed25519:" and the first eight bytes of its SHA-256 in hex.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return "ed25519:" + hex.EncodeToString(sum[:8])
}

// checkpointDoc is a checkpoint as files and the API hold it.
type checkpointDoc struct {
	Format    string `json:"format"`
	Tenant    string `json:"tenant_id"`
	Count     int64  `json:"count"`
	Head      string `json:"head"`
	CreatedAt string `json:"created_at"`
	KeyID     string `json:"key_id"`
	Signature string `json:"signature"`
}

// ParseCheckpoint reads a checkpoint as the API answers it: JSON with the members format, tenant_id in any spelling, count, head,
// created_at, key_id and signature in base64; others are passed over, since nothing vouches for them. ErrNotCheckpoint for anything
// else. It checks no signature.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	var doc checkpointDoc
	canonical, err := Canonical(text) // refuses members that are there twice
	if err != nil || json.Unmarshal(canonical, &doc) != nil || doc.Format != checkpointFormat {
		return Checkpoint{}, ErrNotCheckpoint
	}
	tenant, err := id.Parse[id.TenantKind](doc.Tenant)
	if err != nil {
		return Checkpoint{}, ErrNotCheckpoint.Withf("the checkpoint's tenant_id is not one")
	}
	at, err := time.Parse(time.RFC3339Nano, doc.CreatedAt)
	if err != nil || !at.Equal(at.Truncate(time.Microsecond)) {
		return Checkpoint{}, ErrNotCheckpoint.Withf("the checkpoint's created_at is not a time")
	}
	signature, err := base64.StdEncoding.DecodeString(doc.Signature)
	if err != nil || len(signature) != ed25519.SignatureSize {
		return Checkpoint{}, ErrNotCheckpoint.Withf("the checkpoint's signature is not one")
	}
	head, err := hex.DecodeString(doc.Head)
	if err != nil || len(head) != sha256.Size || doc.Head != strings.ToLower(doc.Head) || doc.Count < 0 || doc.Count == 0 && doc.Head != Genesis {
		return Checkpoint{}, ErrNotCheckpoint.Withf("the checkpoint's head or count is not one")
	}
	return Checkpoint{
		Tenant: tenant, Count: doc.Count, Head: doc.Head, CreatedAt: at.UTC(), KeyID: doc.KeyID, Signature: signature,
	}, nil
}

// ParsePublicKey reads an Ed25519 public key: 32 bytes in base64 or hex.
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	text = strings.TrimSpace(text)
	b, err := hex.DecodeString(text)
	if err != nil {
		b, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, errors.New("an Ed25519 public key has 32 bytes, in base64 or hex")
	}
	return b, nil
}

// Signer holds the server's signing keys. app wires adapters/plugin/signer.
type Signer interface {
	// KeyID names the key that signs now.
	KeyID(ctx context.Context) (string, error)
	// Sign signs with the key of that name.
	Sign(ctx context.Context, keyID string, message []byte) ([]byte, error)
	// Keys returns all keys, the one that signs now first. Older ones go on verifying what they signed.
	Keys(ctx context.Context) ([]ed25519.PublicKey, error)
}

// Checkpoint signs how far the tenant's trail reaches now. It verifies nothing: that is for whoever compares it with the trail later.
// ErrNoSigner without a signer.
func (s *Service) Checkpoint(ctx context.Context, sc account.Scope) (Checkpoint, error) {
	if s.d.Signer == nil {
		return Checkpoint{}, ErrNoSigner
	}
	end, err := s.sealed(ctx, sc)
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{Tenant: sc.Tenant, Count: end.Count, Head: end.Head, CreatedAt: s.d.Clock.Now().UTC().Truncate(time.Millisecond)}
	if c.KeyID, err = s.d.Signer.KeyID(ctx); err != nil {
		return Checkpoint{}, err
	}
	c.Signature, err = s.d.Signer.Sign(ctx, c.KeyID, c.Message())
	return c, err
}

// Keys returns the public keys by which checkpoints are verified, the one that signs now first.
func (s *Service) Keys(ctx context.Context) ([]ed25519.PublicKey, error) {
	if s.d.Signer == nil {
		return nil, ErrNoSigner
	}
	return s.d.Signer.Keys(ctx)
}

// MarshalJSON writes what ParseCheckpoint reads.
func (c Checkpoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(checkpointDoc{
		checkpointFormat, c.Tenant.String(), c.Count, c.Head, c.CreatedAt.UTC().Format(time.RFC3339Nano), c.KeyID,
		base64.StdEncoding.EncodeToString(c.Signature),
	})
}

// anchors checks a chain against checkpoints as it is walked.
type anchors []Checkpoint

// at returns how the chain contradicts a checkpoint at a place of it, or nil.
func (as anchors) at(tenant id.Tenant, c Chain, entry id.AuditEntry) *Broken {
	for _, a := range as {
		if a.Count != c.Count {
			continue
		}
		if a.Tenant != tenant {
			return &Broken{Index: max(c.Count, 1), ID: entry, Reason: "the checkpoint is of another tenant"}
		}
		if a.Head != c.Head {
			return &Broken{Index: max(c.Count, 1), ID: entry, Reason: fmt.Sprintf(
				"its hash is not the head that the checkpoint of %s has there: an entry up to here was changed, and the hashes computed anew",
				a.CreatedAt.UTC().Format(time.RFC3339))}
		}
	}
	return nil
}

// beyond returns which checkpoint reaches further than the end of the chain, as a fault, or nil.
func (as anchors) beyond(end Chain) *Broken {
	for _, a := range as {
		if a.Count > end.Count {
			return &Broken{Index: end.Count + 1, Reason: fmt.Sprintf(
				"the checkpoint of %s has %d entries: those after entry %d were removed, or the export is older",
				a.CreatedAt.UTC().Format(time.RFC3339), a.Count, end.Count)}
		}
	}
	return nil
}

// decodeExportHeader reads the first line of an export.
func decodeExportHeader(line []byte) (exportHeader, Chain, error) {
	var h exportHeader
	dec := json.NewDecoder(bytes.NewReader(line))
	if err := dec.Decode(&h); err != nil || h.Format != exportFormat {
		return h, Chain{}, ErrNotExport
	}
	from := Chain{Count: h.After, Head: Genesis}
	if h.After < 0 || h.After > h.Count || (h.After == 0) != (h.Prev == "") {
		return h, Chain{}, ErrNotExport.Withf("the header does not say where the export begins")
	}
	if h.After > 0 {
		from.Head = h.Prev
	}
	return h, from, nil
}
