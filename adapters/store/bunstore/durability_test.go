package bunstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/ports/id"
)

// crashEnv makes TestCrashChild write into the database that it names.
const crashEnv = "BUNSTORE_CRASH_DATABASE"

// TestCrashChild is the process that TestAcknowledgedSurvivesKill kills.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		t.Skip("runs in a process of its own, started by TestAcknowledgedSurvivesKill")
	}
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // one line at a time
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				it := newItem(id.New[id.AgentKind](ids).String())
				if err := s.insertItem(context.Background(), it); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				fmt.Println("stored", it.Name)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestAcknowledgedSurvivesKill: what Do reported as committed is there after SIGKILL in the middle of writing.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	t.Parallel()
	path := sqlitePath(t)
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	createItems(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var name string
		if _, err := fmt.Sscanf(lines.Text(), "stored %s", &name); err != nil {
			continue // cut off by the kill, or not the child's own
		}
		acknowledged = append(acknowledged, name)
		if len(acknowledged) == 300 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	if len(acknowledged) < 300 {
		t.Fatalf("%d rows stored before the child ended", len(acknowledged))
	}
	again := openStore(t, Config{Path: path})
	var names []string
	if err := again.read(context.Background()).NewRaw("SELECT name FROM test_items").Scan(context.Background(), &names); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	// The last line may have been cut short.
	for _, n := range acknowledged[:len(acknowledged)-1] {
		if !there[n] {
			t.Errorf("row %s was acknowledged and is lost", n)
		}
	}
}

// TestCommitFails: when COMMIT fails, nobody of the group is told that it succeeded, and nothing is stored.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: ":memory:"})
	createItems(t, s)
	ctx := context.Background()
	if err := s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "CREATE TABLE test_refs (item TEXT REFERENCES test_items (id) DEFERRABLE INITIALLY DEFERRED)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			name := fmt.Sprint(i)
			var committed, undone bool
			err := s.Do(ctx, func(ctx context.Context) error {
				s.AfterCommit(ctx, func() { committed = true })
				s.OnRollback(ctx, func() { undone = true })
				if i%16 == 0 { // a violation that only COMMIT sees
					if _, err := s.read(ctx).ExecContext(ctx, "INSERT INTO test_refs VALUES ('missing')"); err != nil {
						return err
					}
				}
				return s.insertItem(ctx, newItem(name))
			})
			there, herr := items{s: s}.Has(ctx, name)
			if herr != nil {
				t.Error(herr)
			}
			if ok := err == nil; ok != there || ok != committed || ok == undone || (ok && i%16 == 0) {
				t.Errorf("closure %d: error %v, row there %t, committed %t, undone %t", i, err, there, committed, undone)
			}
		})
	}
	wg.Wait()
}

// TestCloseWhileQueued: whoever waits for the writer when the store closes gets ErrClosed.
func TestCloseWhileQueued(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), Config{Path: ":memory:"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	closed := make(chan struct{})
	err = s.Do(context.Background(), func(context.Context) error {
		wg.Go(func() { // waits for this closure, or comes too late
			if err := s.Do(context.Background(), func(context.Context) error { return nil }); err != nil && !errors.Is(err, ErrClosed) {
				t.Errorf("Do: %v; want ErrClosed or success", err)
			}
		})
		go func() {
			defer close(closed)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		return nil
	})
	if err != nil {
		t.Errorf("the closure that had begun: %v", err)
	}
	wg.Wait()
	<-closed
	if err := s.Do(context.Background(), func(context.Context) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("Do after Close: %v; want ErrClosed", err)
	}
}
