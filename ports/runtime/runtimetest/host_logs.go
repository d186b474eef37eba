package runtimetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// lines returns the lines that a query finds.
func (r *room) lines(id string, q runtime.LogQuery) []runtime.LogLine {
	r.t.Helper()
	var found []runtime.LogLine
	for line, err := range r.Logs(r.context(), id, q) {
		if err != nil {
			r.t.Fatalf("the logs of %s: %v", id, err)
		}
		found = append(found, line)
	}
	return found
}

func texts(lines []runtime.LogLine) []string {
	list := make([]string, 0, len(lines))
	for _, l := range lines {
		list = append(list, l.Text)
	}
	return list
}

func testHostLogs(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	before := time.Now().Add(-2 * time.Second)
	r.start(r.spec("logs", 1, "out", "to out", "sleep", "50ms", "err", "to err", "sleep", "50ms", "out", "", "out", " späced\t", "out", "end", "wait"))
	r.printed("logs", "end")
	r.printed("logs", "to err")
	all := r.lines("logs", runtime.LogQuery{Tail: -1})
	// Each stream is in order; a host that reads them apart may be late with either.
	var out []runtime.LogLine
	for _, l := range all {
		if l.Stderr != (l.Text == "to err" && !cfg.Merged) {
			t.Errorf("%q: stderr is %t", l.Text, l.Stderr)
		}
		if l.Time.Before(before) || l.Time.After(time.Now().Add(2*time.Second)) {
			t.Errorf("%q is of %s", l.Text, l.Time)
		}
		if l.Text != "to err" {
			out = append(out, l)
		}
	}
	if got, want := texts(out), []string{"to out", "", " späced\t", "end"}; !slices.Equal(got, want) || len(all) != len(want)+1 {
		t.Fatalf("the log is %q, want %q and what went to stderr", texts(all), want)
	}
	if !slices.IsSortedFunc(out, func(a, b runtime.LogLine) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("the times are not in order: %v", out)
	}
	early := func(l runtime.LogLine) bool { return l.Time.Before(out[1].Time) }
	got := texts(r.lines("logs", runtime.LogQuery{Tail: -1, Since: out[1].Time}))
	if want := texts(slices.DeleteFunc(slices.Clone(all), early)); !slices.Equal(got, want) {
		t.Errorf("since the second: %q, want %q", got, want)
	}
	if got := r.lines("logs", runtime.LogQuery{Tail: -1, Since: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("of the future: %q", texts(got))
	}
	// A reader may go when it has seen enough.
	for range r.Logs(r.context(), "logs", runtime.LogQuery{Tail: -1, Follow: true}) {
		break
	}
	// The end of a line is not the end of the program, and the last one needs none.
	r.stop("logs", 0)
	if got := texts(r.lines("logs", runtime.LogQuery{Tail: 1})); !slices.Equal(got, texts(all[len(all)-1:])) {
		t.Errorf("after its end: %q", got)
	}
}

func testHostLogTail(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("tail", 1, "lines", "300", "wait"))
	r.printed("tail", "line 300")
	for tail, want := range map[int]int{0: 0, 1: 1, 7: 7, 300: 300, 1000: 300, -1: 300} {
		got := texts(r.lines("tail", runtime.LogQuery{Tail: tail}))
		if len(got) != want || want > 0 && (got[len(got)-1] != "line 300" || got[0] != fmt.Sprintf("line %d", 301-want)) {
			t.Errorf("the last %d: %d, %q", tail, len(got), got[:min(len(got), 3)])
		}
	}
}

func testHostLogLong(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("long", 1, "long", fmt.Sprint(runtime.MaxLogLine), "long", fmt.Sprint(runtime.MaxLogLine+1), "long", "3000000", "out", "end", "wait"))
	got := r.printed("long", "end")
	whole, cut := strings.Repeat("x", runtime.MaxLogLine), strings.Repeat("x", runtime.MaxLogLine-3)+"..."
	if !slices.Equal(got, []string{whole, cut, cut, "end"}) {
		var sizes []int
		for _, text := range got {
			sizes = append(sizes, len(text))
		}
		t.Errorf("the lines have %d bytes", sizes)
	}
}

func testHostLogBounded(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("flood", 1, "out", "first", "flood", fmt.Sprint(2*cfg.LogBytes), "out", "last", "wait"))
	r.until("the last line", func() bool {
		got := r.lines("flood", runtime.LogQuery{Tail: 1})
		return len(got) == 1 && got[0].Text == "last"
	})
	size, n := 0, 0
	var before string
	for _, l := range r.lines("flood", runtime.LogQuery{Tail: -1}) {
		size += len(l.Text) + 1
		if n++; n > 1 && l.Text != "last" && l.Text <= before {
			t.Fatalf("%q comes after %q", l.Text, before)
		}
		before = l.Text
	}
	if size > cfg.LogBytes || n < 1000 {
		t.Errorf("%d bytes are kept in %d lines", size, n)
	}
}

// follow reads a log in the background.
func (r *room) follow(id string, q runtime.LogQuery) <-chan string {
	q.Follow = true
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Patience)
	r.t.Cleanup(cancel)
	found := make(chan string, 1000)
	go func() {
		defer close(found)
		for line, err := range r.Logs(ctx, id, q) {
			if err != nil {
				r.t.Errorf("follow %s: %v", id, err)
				return
			}
			found <- line.Text
		}
	}()
	return found
}

// expect reads lines from a channel.
func (r *room) expect(found <-chan string, want ...string) {
	r.t.Helper()
	for _, w := range want {
		got, ok := <-found
		if !ok || got != w {
			r.t.Fatalf("the next line is %q (%t), want %q", got, ok, w)
		}
	}
}

func testHostFollow(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("follow", 1, "lines", "3", "echo", "8080", "out", "ready", "term", "0", "wait"))
	r.printed("follow", "ready")
	all, one := r.follow("follow", runtime.LogQuery{Tail: -1}), r.follow("follow", runtime.LogQuery{Tail: 1})
	r.expect(all, "line 1", "line 2", "line 3", "ready")
	r.expect(one, "ready")
	r.stop("follow", cfg.Patience)
	r.expect(all, "terminated")
	r.start(r.spec("follow", 2, "out", "back", "wait"))
	r.expect(all, "back")
	r.expect(one, "terminated", "back")
	if err := r.Remove(r.context(), "follow"); err != nil {
		t.Fatal(err)
	}
	for _, found := range []<-chan string{all, one} {
		if line, ok := <-found; ok {
			t.Errorf("a removed instance says %q", line)
		}
	}
}
