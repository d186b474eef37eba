package app

import (
	"context"
	"crypto/ed25519"

	"github.com/bureau-agents/bureau/adapters/plugin/signer"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/keeper"
)

func provideAudit(b base, s *bunstore.Store, k keeper.Keeper) (*audit.Service, error) {
	keys, err := signer.New(signer.Deps{Keys: s.Skills(), Keeper: k, Clock: b.Clock})
	if err != nil {
		return nil, err
	}
	return audit.NewService(audit.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Audit(), Seals: s.Audit(), Signer: auditSigner{keys},
	}, audit.Config{})
}

// auditSigner signs checkpoints with the operator's keys. What it signs begins with a line that no manifest begins with.
type auditSigner struct{ keys *signer.Signer }

func (a auditSigner) KeyID(ctx context.Context) (string, error) {
	all, err := a.Keys(ctx)
	if err != nil {
		return "", err
	}
	return audit.KeyID(all[0]), nil
}

func (a auditSigner) Sign(ctx context.Context, keyID string, message []byte) ([]byte, error) {
	sig, err := a.keys.Sign(ctx, message)
	if err == nil && sig.Key != keyID {
		err = audit.ErrNoSigner.Withf("the signing key has just been changed; try again")
	}
	return sig.Bytes, err
}

// Keys makes the first key when there is none.
func (a auditSigner) Keys(ctx context.Context) ([]ed25519.PublicKey, error) {
	found, err := a.keys.Keys(ctx)
	if err == nil && len(found) == 0 {
		if _, err = a.keys.Sign(ctx, nil); err == nil {
			found, err = a.keys.Keys(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	out := make([]ed25519.PublicKey, len(found))
	for i, k := range found {
		out[i] = k.Public
	}
	return out, nil
}
