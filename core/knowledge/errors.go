package knowledge

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. An entry that is not in the space is id.NotFound[id.KnowledgeKind]; an agent or a swarm that is not
// in the caller's tenant is not found likewise.
var (
	// ErrInvalid is returned for a request that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "knowledge_invalid", "the request is not valid")
	// ErrBusy is returned when deletions kept getting in the way of an ingestion.
	ErrBusy = fault.New(fault.Unavailable, "knowledge_busy", "the knowledge base is being changed; try again")
	// ErrEmbedder is returned when the embedder breaks its contract.
	ErrEmbedder = fault.New(fault.Internal, "knowledge_embedder_broken", "the embedder gave vectors that cannot be used")
)
