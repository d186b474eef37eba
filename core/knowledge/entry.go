package knowledge

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Limits of what is ingested and asked; characters are Unicode code points.
const (
	MaxChunks        = 100  // per call
	MaxText          = 4000 // characters of a text, and of a question
	MaxSource        = 512  // characters
	MaxMetadataBytes = 16 << 10
	MaxHits          = 100
	DefaultHits      = 10
)

// DefaultThreshold is the cosine similarity, 1 minus the distance of pgvector's <=>, from which on two texts are twins.
const DefaultThreshold = 0.95

// Space is what shares entries. Exactly one of its fields is set.
type Space struct {
	Agent id.Agent
	Swarm id.Swarm
}

// String names the space for logs: "agent_..." or "swarm_...".
func (s Space) String() string {
	if s.Swarm.IsZero() {
		return s.Agent.String()
	}
	return s.Swarm.String()
}

// Entry is one text that agents may answer from. It never changes.
type Entry struct {
	ID        id.Knowledge
	Space     Space
	Seq       int64 // its place in the space: 1, 2, ... in the order of storing; gaps where entries were deleted
	Text      string
	Source    string          // where it is from, a file name for example; never empty
	Metadata  json.RawMessage // the client's own JSON object; nil when there is none
	Hash      Hash
	Embedder  string // embedding.Info.Name
	CreatedAt time.Time
}

// Stored is an Entry with its embedding.
type Stored struct {
	Entry
	Vector embedding.Vector
}

// Hash is that of a text in which case, width and white space do not count. Texts of one hash are twins whatever the embedder says.
type Hash [sha256.Size]byte

// HashOf returns the hash of a text: SHA-256 of its compatibility composition (Unicode NFKC), case-folded, with white space
// collapsed.
func HashOf(text string) Hash {
	folded := cases.Fold().String(norm.NFKC.String(text))
	return sha256.Sum256([]byte(strings.Join(strings.Fields(folded), " ")))
}

// State says what a space holds. The zero value is a space that has never held anything.
type State struct {
	Embedder  string // of its entries; means nothing while Entries is 0
	Entries   int
	LastSeq   int64 // the Seq of the last entry that was ever stored
	Deletions int64 // how many deletions there were; while it stays, nothing that was there has gone
}

// Match is an entry that something is like.
type Match struct {
	Entry      id.Knowledge // zero: nothing is
	Similarity float64      // cosine, in [-1, 1]
}

// Hit is an entry that a search found.
type Hit struct {
	Entry
	Score float64 // cosine similarity with the question, in [-1, 1]
}

// Chunk is a text to be stored.
type Chunk struct {
	Text     string          // 1 to MaxText characters, not blank
	Source   string          // 1 to MaxSource characters
	Metadata json.RawMessage // a JSON object, or nil
}

// IngestRequest says what to store where.
type IngestRequest struct {
	Into   Space // an agent that is in a swarm stands for its swarm
	Chunks []Chunk
}

// IngestResult says what became of each chunk.
type IngestResult struct {
	Stored  int
	Skipped []Skipped // in order of Index
	Total   int       // chunks in the request
}

// Skipped is a chunk that was not stored because it has a twin.
type Skipped struct {
	Index       int // in the request
	DuplicateOf id.Knowledge
	Similarity  float64 // 1 for texts of one hash
}

// ListRequest asks for a page of entries.
type ListRequest struct {
	page.Request
	In     Space  // an agent that is in a swarm stands for its swarm
	Source string // entries of this source only; "" any
}

// DeleteRequest says which entries go: exactly one of ID, Source and All is set.
type DeleteRequest struct {
	In      Space // an agent that is in a swarm stands for its swarm
	ID      id.Knowledge
	Source  string
	All     bool
	Confirm bool // must accompany All
}

// SearchRequest asks for the entries that are most like a question.
type SearchRequest struct {
	In    Space // an agent that is in a swarm stands for its swarm and itself
	Query string
	Limit int // 0 is DefaultHits; at most MaxHits
}
