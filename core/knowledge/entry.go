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
	MaxType          = 128  // characters
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
	Type      string          // what the metadata say under "type", at most MaxType characters of it; "" when that is no text
	Metadata  json.RawMessage // the client's own JSON object; nil when there is none
	Hash      Hash
	Embedder  string   // embedding.Info.Name of the one that its space is compared by
	By        id.Agent // who it was ingested through; zero when it was given to a swarm itself
	CreatedAt time.Time
}

// Stored is an Entry with what it is compared and found by.
type Stored struct {
	Entry
	Vector  embedding.Vector // by Embedder
	Numbers Numbers
	Words   []string // WordsOf the text
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
	Embedder  string // whose vectors its entries are searched by; means nothing while Entries is 0
	Next      string // whose vectors are being made beside those; "" when none are
	Entries   int
	LastSeq   int64 // the Seq of the last entry that was ever stored
	LastPlace int64 // the place of the last vector that was ever stored: 1, 2, ... in the order of storing, of all embedders
	Deletions int64 // how many deletions there were; while it stays, nothing that was there has gone
}

// Match is an entry that something is like.
type Match struct {
	Entry      id.Knowledge // zero: nothing is
	Similarity float64      // cosine, in [-1, 1]
}

// Probe is a text that twins are looked for of.
type Probe struct {
	Vector  embedding.Vector
	Numbers Numbers
}

// Twins is what a Probe is most like, of what reaches the threshold.
type Twins struct {
	Any  Match // of all entries
	Same Match // of those with the same Numbers
}

// Hit is an entry that a search found.
type Hit struct {
	Entry
	// Score is what the hits are sorted by: the cosine similarity with the question, in [-1, 1], in mode Semantic; BM25, above 0, in mode
	// Lexical; the sum of reciprocal ranks, above 0, in mode Hybrid.
	Score      float64
	Similarity *float64 // cosine similarity with the question, where it was computed
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
	// KeepNumericVariants stores texts that are as alike as twins but have other numbers, or the same in another order: "refunds within 14
	// days", "refunds within 30 days". nil is what Config says. Texts of one hash are twins all the same.
	KeepNumericVariants *bool
}

// IngestResult says what became of each chunk.
type IngestResult struct {
	Stored  int
	Skipped []Skipped // in order of Index
	Kept    []Skipped // those stored that only their numbers tell from an entry; in order of Index
	Total   int       // chunks in the request
}

// Skipped is a chunk that was not stored because it has a twin, or one that would not have been.
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

// Mode is how a search finds.
type Mode string

// The modes of searching.
const (
	Semantic Mode = "semantic" // by the embeddings' cosine similarity
	Lexical  Mode = "lexical"  // by the words of the question, ranked by BM25
	Hybrid   Mode = "hybrid"   // by both, fused by their ranks
)

// Filter leaves entries out. The zero value leaves none out.
type Filter struct {
	Source   string            // entries of this source only; "" any
	Type     string            // entries of this Type only; "" any
	Metadata map[string]string // entries whose metadata have each key with this text, number or truth value; at most MaxConditions
}

// MaxConditions is how many keys a Filter asks for at most.
const MaxConditions = 16

// IsZero reports whether f leaves nothing out.
func (f Filter) IsZero() bool { return f.Source == "" && f.Type == "" && len(f.Metadata) == 0 }

// Match reports whether metadata are as f asks for.
func (f Filter) Match(metadata json.RawMessage) bool {
	if len(f.Metadata) == 0 {
		return true
	}
	var have map[string]json.RawMessage
	if json.Unmarshal(metadata, &have) != nil {
		return false
	}
	for key, want := range f.Metadata {
		raw, ok := have[key]
		text := string(raw)
		if strings.HasPrefix(text, `"`) && json.Unmarshal(raw, &text) != nil {
			return false
		}
		if !ok || text != want {
			return false
		}
	}
	return true
}

// SearchRequest asks for the entries that are most like a question.
type SearchRequest struct {
	In    Space // an agent that is in a swarm stands for its swarm and itself
	Query string
	Limit int  // 0 is DefaultHits; at most MaxHits
	Mode  Mode // "" is Semantic
	Filter
	MinScore float64 // in mode Semantic, entries below this similarity are no hits; 0 is no limit, in [-1, 1]
}

// SearchResult is what a search found.
type SearchResult struct {
	Hits []Hit // best first
	Mode Mode  // how they were found: Lexical, whatever was asked for, while the vectors of the server's embedder are not there yet
	// Reembedding says that vectors of the server's embedder are being made for some of what was searched.
	Reembedding bool
}
