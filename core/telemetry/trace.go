package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of traces.
const (
	MaxTraceEvents = 10_000   // events of a Tree
	MaxTraceBytes  = 16 << 20 // bytes of all their payloads
	MaxTraceOthers = 1000     // messages of a Tree, and feedback
	// MaxTraceDepth is how deep a Tree is nested. What is deeper stands beside its ancestor of the last level; Event.Parent tells where it
	// belongs.
	MaxTraceDepth = 200
)

// Trace is what a list says of the events that have one trace id.
type Trace struct {
	TraceID string
	Root    Event // the newest of those that fit the filter and have no Parent; without its Payload
	TraceSums
}

// TraceSums are the events of a trace added up.
type TraceSums struct {
	Start  time.Time // the earliest At
	End    time.Time // the latest At
	Events int64
	Errors int64      // with the level error or critical
	Agents []id.Agent // whose events they are, in the order of their ids
	// NewestRoot is the place of the newest event without a Parent that fits the filter; zero when there is none.
	NewestRoot Place
}

// TraceFilter chooses traces by their events without a Parent. Zero fields choose all.
type TraceFilter struct {
	Agent id.Agent
	Since time.Time // inclusive
	Until time.Time // exclusive
}

// TraceRepository reads events by what they have in common. Every method sees the scope's tenant only.
type TraceRepository interface {
	// EachRoot calls fn with up to limit events that have a trace and no Parent and that f chooses, those before a place, the zero place being
	// the end, the latest At first, then the highest ID, until fn returns false. They come without their payloads.
	EachRoot(ctx context.Context, sc account.Scope, f TraceFilter, before Place, limit int, fn func(Event) bool) error
	// SumTraces adds up the events of each of the traces, in one query. f only concerns TraceSums.NewestRoot.
	SumTraces(ctx context.Context, sc account.Scope, f TraceFilter, traces []string) (map[string]TraceSums, error)
	// EachOfTrace calls fn with up to limit events of a trace, in the order of At and ID, until fn returns false.
	EachOfTrace(ctx context.Context, sc account.Scope, trace string, limit int, fn func(Event) bool) error
	// CountBuckets counts what f chooses by level and by the number of its bucket, from 0, for each bucket that has any. Search and Fields do
	// not count.
	CountBuckets(ctx context.Context, sc account.Scope, f Filter, b Buckets) (map[int]LevelCounts, error)
	// EncodePlace makes a cursor of a place, and DecodePlace a place of a cursor, or a fault.Invalid at "cursor".
	EncodePlace(p Place) string
	DecodePlace(cursor string) (Place, error)
}

// Node is an event of a Tree with those that name it as their Parent, in the order of At and ID.
type Node struct {
	Event
	Children []*Node
}

// Tree is a trace with everything that belongs to it, in the order of time.
type Tree struct {
	TraceID string
	// Roots are the events without a Parent in the trace. Of events that are their own ancestors the earliest of each circle is one, too.
	Roots []*Node
	TraceSums
	Messages []Message
	Feedback []Feedback // about events and messages of the trace
	// Truncated says that there is more than is shown: the latest events are left out, and the sums are of those that are shown; of messages
	// and feedback the earliest are.
	Truncated bool
}

// buildTree nests events, which come in the order of At and ID. Every event is in the tree exactly once, whatever the parents are.
func buildTree(events []Event) []*Node {
	nodes := make([]*Node, len(events))
	at := make(map[id.Report]int, len(events))
	for i, e := range events {
		nodes[i] = &Node{Event: e}
		at[e.ID] = i
	}
	parent := make([]int, len(events)) // -1 is a root
	for i, e := range events {
		parent[i] = -1
		if p, ok := at[e.Parent]; ok && !e.Parent.IsZero() && p != i {
			parent[i] = p
		}
	}
	cutCircles(parent)
	children := make([][]int, len(events))
	var roots []*Node
	var stack []step
	for i := len(events) - 1; i >= 0; i-- {
		if parent[i] < 0 {
			stack = append(stack, step{i, -1, 1})
		} else {
			children[parent[i]] = append(children[parent[i]], i)
		}
	}
	// From the top, without recursion: a chain of parents is as long as whoever reports likes.
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if s.under < 0 {
			roots = append(roots, nodes[s.event])
		} else {
			nodes[s.under].Children = append(nodes[s.under].Children, nodes[s.event])
		}
		under, depth := s.event, s.depth+1
		if depth > MaxTraceDepth {
			under, depth = s.under, s.depth
		}
		for _, c := range children[s.event] { // the latest first, so that the earliest is taken first
			stack = append(stack, step{c, under, depth})
		}
	}
	return roots
}

// step is an event that is to be put under another one, -1 for none.
type step struct{ event, under, depth int }

// cutCircles makes a root of the first event of each circle of parents.
func cutCircles(parent []int) {
	const fresh, done = 0, -1
	state := make([]int, len(parent)) // otherwise the walk on which the event was met
	for start := range parent {
		walk := start + 1
		i := start
		for i >= 0 && state[i] == fresh {
			state[i] = walk
			i = parent[i]
		}
		if i >= 0 && state[i] == walk { // the walk came round
			first := i
			for j := parent[i]; j != i; j = parent[j] {
				first = min(first, j)
			}
			parent[first] = -1
		}
		for i := start; i >= 0 && state[i] == walk; i = parent[i] {
			state[i] = done
		}
	}
}
