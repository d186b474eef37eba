// Package knowledge keeps the texts that agents answer from, and finds the ones that a question is about.
//
// Entries belong to a Space: an agent's own, or a swarm's, which its members share. No two entries of a space are twins, that
// is, have embeddings whose cosine similarity reaches the threshold, also when they arrive in one batch or at the same time.
// All entries of a space are embedded by the same embedder.
package knowledge
