package telemetry

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// reportNumber is an id for a number above 0; 0 is none.
func reportNumber(n int) id.Report {
	var u id.UUID
	binary.BigEndian.PutUint64(u[8:], uint64(n))
	return id.Of[id.ReportKind](u)
}

// family makes events 1, 2, ... with the given parents, 0 for none.
func family(parents ...int) []Event {
	events := make([]Event, len(parents))
	for i, p := range parents {
		events[i] = Event{ID: reportNumber(i + 1), Parent: reportNumber(p), At: time.UnixMilli(int64(i))}
	}
	return events
}

// drawn writes nodes as "1(2 3(4))".
func drawn(nodes []*Node) string {
	parts := make([]string, len(nodes))
	for i, n := range nodes {
		u := n.ID.UUID()
		parts[i] = fmt.Sprint(binary.BigEndian.Uint64(u[8:]))
		if len(n.Children) > 0 {
			parts[i] += "(" + drawn(n.Children) + ")"
		}
	}
	return strings.Join(parts, " ")
}

func TestBuildTree(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		parents []int
		want    string
	}{
		"none":                       {nil, ""},
		"flat":                       {[]int{0, 0, 0}, "1 2 3"},
		"nested":                     {[]int{0, 1, 1, 2, 0}, "1(2(4) 3) 5"},
		"children before parents":    {[]int{3, 3, 0}, "3(1 2)"},
		"orphans":                    {[]int{99, 1, 98}, "1(2) 3"},
		"its own parent":             {[]int{1, 1}, "1(2)"},
		"a circle of two":            {[]int{2, 1}, "1(2)"},
		"a circle and who hangs off": {[]int{3, 3, 4, 3}, "3(1 2 4)"},
		"a circle that comes late":   {[]int{0, 4, 2, 3}, "1 2(3(4))"},
		"two circles":                {[]int{2, 1, 4, 3}, "1(2) 3(4)"},
	} {
		if got := drawn(buildTree(family(c.parents...))); got != c.want {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}

func TestBuildTreeDepth(t *testing.T) {
	t.Parallel()
	parents := make([]int, MaxTraceEvents)
	for i := range parents {
		parents[i] = i // a chain
	}
	depth, count := 0, 0
	for level := buildTree(family(parents...)); len(level) > 0; depth++ {
		count += len(level)
		var next []*Node
		for _, n := range level {
			next = append(next, n.Children...)
		}
		level = next
	}
	if depth != MaxTraceDepth || count != MaxTraceEvents {
		t.Errorf("a chain of %d is %d deep and has %d events", MaxTraceEvents, depth, count)
	}
}

// checkTree holds whatever the parents are: every event is there once; who has a parent in the trace stands below it, unless the two are in one
// circle or too deep; siblings are in order.
func checkTree(t *testing.T, parents []int) {
	t.Helper()
	above := map[id.Report]id.Report{}
	var visit func(nodes []*Node, parent id.Report)
	visit = func(nodes []*Node, parent id.Report) {
		if !slices.IsSortedFunc(nodes, func(a, b *Node) int { return a.At.Compare(b.At) }) {
			t.Errorf("%v: the children of %s are out of order", parents, parent)
		}
		for _, n := range nodes {
			if _, twice := above[n.ID]; twice {
				t.Fatalf("%v: %s is there twice", parents, n.ID)
			}
			above[n.ID] = parent
			visit(n.Children, n.ID)
		}
	}
	events := family(parents...)
	visit(buildTree(events), id.Report{})
	if len(above) != len(events) {
		t.Fatalf("%v: %d of %d events are there", parents, len(above), len(events))
	}
	cut := map[int]bool{} // circles that were cut, by their first event
	for i, e := range events {
		p := parents[i]
		if p < 1 || p > len(events) {
			if !above[e.ID].IsZero() {
				t.Errorf("%v: %d is no root", parents, i+1)
			}
			continue
		}
		if above[e.ID] == e.Parent {
			continue
		}
		first := i
		j := p - 1
		for steps := 0; j != i && steps <= len(events) && parents[j] > 0 && parents[j] <= len(events); steps++ {
			first = min(first, j)
			j = parents[j] - 1
		}
		if j != i || first != i || cut[first] {
			t.Errorf("%v: %d does not stand below %d", parents, i+1, p)
		}
		cut[first] = true
	}
}

func TestBuildTreeProperties(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		parents := make([]int, rng.IntN(12))
		for i := range parents {
			parents[i] = rng.IntN(len(parents) + 2)
		}
		checkTree(t, parents)
	}
}

func FuzzBuildTree(f *testing.F) {
	f.Add([]byte{0, 1, 2})
	f.Add([]byte{2, 1, 9, 3, 3})
	f.Fuzz(func(t *testing.T, parents []byte) {
		if len(parents) >= MaxTraceDepth { // deeper ones do not stand below their parents
			return
		}
		all := make([]int, len(parents))
		for i, p := range parents {
			all[i] = int(p)
		}
		checkTree(t, all)
	})
}
