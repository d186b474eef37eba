package a2atest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

func (e *env) output(path string) a2a.Output {
	return a2a.Output{
		Path: path, File: id.New[id.FileKind](ids), Name: "näme.txt", MediaType: "text/plain; charset=utf-8", Size: 1 << 40, CreatedAt: e.at,
	}
}

// begun inserts a task that the agent works on.
func (e *env) begun(t *testing.T) a2a.Task {
	t.Helper()
	v := e.task(a2a.Working)
	v.FirstSeq = 1
	e.working = append(e.working, v.ID)
	return e.insert(t, v)
}

func sameOutputs(t *testing.T, want, got []a2a.Output) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b id.Turn) bool { return a == b }),
		cmp.Comparer(func(a, b id.File) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func outputs(t *testing.T, e *env) {
	put := func(sc account.Scope, v a2a.Task, o a2a.Output) bool {
		t.Helper()
		done, err := e.Outputs.Put(e.ctx, sc, v.Session, o)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	stranger := account.System(id.New[id.TenantKind](ids))
	waiting, over := e.task(a2a.Submitted), e.task(a2a.Completed)
	over.FirstSeq, over.LastSeq = 1, 2
	for name, v := range map[string]a2a.Task{"one that has not begun": e.insert(t, waiting), "one that is over": e.insert(t, over)} {
		if put(e.sc, v, e.output("a")) {
			t.Errorf("%s has files", name)
		}
	}
	v := e.begun(t)
	if put(stranger, v, e.output("a")) {
		t.Error("another tenant's task has files")
	}
	queued := e.task(a2a.Submitted)
	queued.Session = v.Session
	e.insert(t, queued)
	replaced := e.output("a")
	first, second, last := e.output("Z/Ä.txt"), e.output("a"), e.output("z")
	second.CreatedAt, last.CreatedAt = e.at.Add(time.Second), e.at.Add(time.Second)
	first.Task, second.Task, last.Task = v.ID, v.ID, v.ID
	for _, o := range []a2a.Output{last, replaced, first, second} {
		if !put(e.sc, v, o) {
			t.Errorf("%s was not taken", o.Path)
		}
	}
	tasks := []id.Turn{v.ID, queued.ID, waiting.ID, id.New[id.TurnKind](ids)}
	got, err := e.Outputs.Of(e.ctx, e.sc, tasks, 9)
	if err != nil {
		t.Fatal(err)
	}
	sameOutputs(t, []a2a.Output{first, second, last}, got)
	for _, of := range []struct {
		sc    account.Scope
		tasks []id.Turn
	}{{stranger, tasks}, {e.sc, nil}} {
		if got, err := e.Outputs.Of(e.ctx, of.sc, of.tasks, 9); err != nil || len(got) > 0 {
			t.Errorf("%d files, %v", len(got), err)
		}
	}
	other := e.begun(t)
	theirs := e.output("b")
	theirs.Task = other.ID
	if !put(e.sc, other, theirs) {
		t.Error("the file of another task was not taken")
	}
	if got, err = e.Outputs.Of(e.ctx, e.sc, []id.Turn{v.ID, other.ID}, 2); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(got, func(a, b a2a.Output) int { return strings.Compare(b.Path, a.Path) })
	sameOutputs(t, []a2a.Output{theirs, second, first}, got) // the first two of each
	for name, tc := range map[string]struct {
		sc   account.Scope
		task id.Turn
		file id.File
		want bool
	}{
		"its own": {e.sc, v.ID, last.File, true}, "another task's": {e.sc, v.ID, theirs.File, false},
		"replaced": {e.sc, v.ID, replaced.File, false}, "a stranger": {stranger, v.ID, last.File, false},
	} {
		if has, err := e.Outputs.Has(e.ctx, tc.sc, tc.task, tc.file); err != nil || has != tc.want {
			t.Errorf("%s: %t, %v", name, has, err)
		}
	}
	failed := errors.New("failed")
	if err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Outputs.Put(ctx, e.sc, v.Session, e.output("rolled back")); err != nil {
			return err
		}
		return failed
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if got, err = e.Outputs.Of(e.ctx, e.sc, tasks, 9); err != nil || len(got) != 3 {
		t.Errorf("after a rollback: %d, %v", len(got), err)
	}
}
