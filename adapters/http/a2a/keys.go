package a2a

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
)

// keysPath is where the keys are that the server signs cards by.
const keysPath = "/.well-known/jwks.json"

// contentKeys is the media type of a JWK Set (RFC 7517, 8.5.2).
const contentKeys = "application/jwk-set+json"

// registerKeys serves Deps.SigningKeys. A server that signs nothing has an empty set: its keys are known, and none of them.
func (f *face) registerKeys() {
	text := f.deps.SigningKeys
	if text == nil {
		text = []byte(`{"keys":[]}`)
	}
	sum := sha256.Sum256(text)
	tag := hex.EncodeToString(sum[:16])
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "listSigningKeys", Method: http.MethodGet, Path: keysPath, Summary: "List the keys by which cards are signed", PublicRate: cardRate,
		Produces: contentKeys, Hidden: true,
	}, func(context.Context, *struct{}) (httpx.Stream, error) {
		return func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cache-Control", "public, max-age="+cardAge)
			h.Set("ETag", `"`+tag+`"`)
			if matches(r.Header.Values("If-None-Match"), tag) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			h.Set("Content-Type", contentKeys)
			h.Set("X-Content-Type-Options", "nosniff")
			w.WriteHeader(http.StatusOK)
			if r.Method != http.MethodHead {
				_, _ = w.Write(text) // the caller went away; there is nobody to tell
			}
		}, nil
	})
}
