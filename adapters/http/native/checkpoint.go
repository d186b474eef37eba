package native

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
)

type checkpointWire struct {
	Format    string `json:"format" enum:"bureau-audit-checkpoint/1"`
	TenantID  string `json:"tenant_id"`
	Count     int64  `json:"count" doc:"How many entries the trail has."`
	Head      string `json:"head" doc:"The hash of the last one."`
	CreatedAt stamp  `json:"created_at"`
	KeyID     string `json:"key_id"`
	Signature string `json:"signature" doc:"Ed25519, in base64, over the line bureau-audit-checkpoint/1 and the canonical JSON (RFC 8785) of {count, created_at, head, key_id, tenant_id}: the tenant's UUID, the time in UTC with six digits after the second."`
}

func showCheckpoint(c audit.Checkpoint) checkpointWire {
	return checkpointWire{
		Format: "bureau-audit-checkpoint/1", TenantID: c.Tenant.String(), Count: c.Count, Head: c.Head, CreatedAt: stampOf(c.CreatedAt),
		KeyID: c.KeyID, Signature: base64.StdEncoding.EncodeToString(c.Signature),
	}
}

type auditKeyWire struct {
	ID        string `json:"id" doc:"What key_id of a checkpoint names."`
	Type      string `json:"type" enum:"audit_key"`
	Algorithm string `json:"algorithm" enum:"ed25519"`
	PublicKey string `json:"public_key" doc:"32 bytes in base64."`
}

func showAuditKey(k ed25519.PublicKey) auditKeyWire {
	return auditKeyWire{audit.KeyID(k), "audit_key", "ed25519", base64.StdEncoding.EncodeToString(k)}
}

type auditKeysWire struct {
	Data []auditKeyWire `json:"data" nullable:"false" doc:"The key that signs now comes first."`
}

func (f *face) registerCheckpoints() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAuditCheckpoint", Method: http.MethodGet, Path: "/v1/audit/checkpoint", Tag: "audit",
		Summary: "Sign how far the audit trail reaches", Permission: account.AuditRead, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Kept where the server cannot reach it, a checkpoint shows later that nothing up to it was changed or removed, even if all " +
			"hashes were computed anew: `bureau audit verify FILE --checkpoint CHECKPOINT --key KEY` compares them without the server.",
	}, func(ctx context.Context, _ *struct{}) (*output[checkpointWire], error) {
		c, err := f.deps.Audit.Checkpoint(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(showCheckpoint(c)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAuditKeys", Method: http.MethodGet, Path: "/v1/audit/keys", Tag: "audit",
		Summary: "List the keys by which checkpoints are verified", Permission: account.AuditRead, Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*output[auditKeysWire], error) {
		keys, err := f.deps.Audit.Keys(ctx)
		if err != nil {
			return nil, err
		}
		out := auditKeysWire{Data: []auditKeyWire{}}
		for _, k := range keys {
			out.Data = append(out.Data, showAuditKey(k))
		}
		return ok(out), nil
	})
}
