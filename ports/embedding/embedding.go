// Package embedding is the port to models that turn text into vectors.
package embedding

import (
	"context"
	"math"

	"github.com/bureau-agents/bureau/ports/fault"
)

// Embedder turns texts into vectors whose cosine similarity tells how alike the texts are. Implementations are safe for
// concurrent use.
type Embedder interface {
	// Embed returns one vector per text, in order, each of Info().Dimensions components, L2-normalised and never zero. No text is
	// empty. Errors are *fault.Error; RateLimited and Unavailable may be tried again.
	Embed(ctx context.Context, texts []string) ([]Vector, error)
	// Info identifies the model. Vectors of different Info.Name are never compared. It is constant.
	Info() Info
}

// ErrUnavailable is returned when the embedding provider cannot be reached or refuses for now.
var ErrUnavailable = fault.New(fault.Unavailable, "embedder_unavailable", "the embedding provider is not available")

// Info identifies an embedder.
type Info struct {
	Name       string // provider and model: "hashing-384", "openai/text-embedding-3-small"
	Dimensions int
}

// Vector is an embedding.
type Vector []float32

// Cosine returns the cosine similarity of two vectors of one length, in [-1, 1], computed in float64 so that every store gives
// the same verdict near a threshold. A zero vector has similarity 0 to everything.
func Cosine(a, b Vector) float64 {
	var dot, na, nb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		dot += x * y
		na += x * x
		nb += y * y
	}
	if na == 0 || nb == 0 {
		return 0
	}
	return max(-1, min(1, dot/math.Sqrt(na*nb)))
}
