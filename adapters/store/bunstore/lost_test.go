package bunstore

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// wire carries the connections to a Postgres and can go wrong.
type wire struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	conns []net.Conn
	alone bool          // no further connection is let through
	hold  chan struct{} // unless nil, answers wait for it
	held  chan struct{} // gets an item when an answer waits
}

// newWire returns a wire to a new database, and the address at its end.
func newWire(t *testing.T) (*wire, string) {
	t.Helper()
	u, err := url.Parse(postgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{server: u.Host, held: make(chan struct{}, 100)}
	if w.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = w.listener.Addr().String()
	go w.serve()
	t.Cleanup(w.cut)
	return w, u.String()
}

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		alone := w.alone
		w.mu.Unlock()
		far, err := net.Dial("tcp", w.server)
		if err != nil || alone {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, near, far)
		w.mu.Unlock()
		go w.carry(far, near, false)
		go w.carry(near, far, true)
	}
}

func (w *wire) carry(to, from net.Conn, answers bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		w.mu.Lock()
		hold := w.hold
		w.mu.Unlock()
		if answers && hold != nil {
			w.held <- struct{}{}
			<-hold
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// cut ends every connection, and those to come.
func (w *wire) cut() {
	_ = w.listener.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close()
	}
}

// down ends every connection and lets no further one through until up is called.
func (w *wire) down() (up func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alone = true
	for _, c := range w.conns {
		_ = c.Close()
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.alone = false
	}
}

// delay makes the answers wait from now on, and lets no further connection through, such as one that cancels a statement.
func (w *wire) delay() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hold := make(chan struct{})
	w.alone, w.hold = true, hold
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hold = nil
		close(hold)
	}
}

// TestLostDatabase: who cannot reach the database is told to come again, and not of an error inside; a turn is put off for it
// instead of being ended.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	w, address := newWire(t)
	s := openStore(t, Config{URL: address, PoolSize: 4})
	createItems(t, s)
	lost := func(when string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v, of the kind %s", when, err, fault.KindOf(err))
		}
	}
	err := s.write(t.Context(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		lost("the session is ended", mapErr(err))
		_, err = db.ExecContext(ctx, "SELECT 1")
		lost("the statement after that", mapErr(err))
		return nil
	})
	lost("the commit after that", err)
	err = s.write(t.Context(), func(ctx context.Context, db bun.IDB) error {
		w.cut()
		_, err := db.ExecContext(ctx, "SELECT 1")
		return mapErr(err)
	})
	lost("the connection is cut", err)
	lost("nobody answers", s.insertItem(t.Context(), newItem("one")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.insertItem(ctx, newItem("one")); !errors.Is(err, context.Canceled) || fault.KindOf(err) == fault.Unavailable {
		t.Errorf("a caller who went away: %v", err)
	}
}

// TestCommitIsNotCutOff: a caller who goes away while the commit is on its way does not leave it open what became of it.
func TestCommitIsNotCutOff(t *testing.T) {
	t.Parallel()
	w, address := newWire(t)
	s := openStore(t, Config{URL: address, PoolSize: 4})
	createItems(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var release func()
	told := make(chan string, 2)
	done := make(chan error, 1)
	go func() {
		done <- s.Do(ctx, func(ctx context.Context) error {
			if err := s.insertItem(ctx, newItem("paid")); err != nil {
				return err
			}
			s.AfterCommit(ctx, func() { told <- "committed" })
			s.OnRollback(ctx, func() { told <- "undone" })
			release = w.delay()
			return nil
		})
	}()
	<-w.held // the database has committed
	cancel()
	select {
	case err := <-done:
		t.Errorf("Do returned before the database answered: %v", err)
	case <-time.After(50 * time.Millisecond):
		release()
		if err := <-done; err != nil {
			t.Errorf("the transaction has committed, and Do says %v", err)
		}
	}
	if got := <-told; got != "committed" {
		t.Errorf("the hooks were told that it was %s", got)
	}
}

// TestNobodyWaits: a caller who went away before the commit gets nothing done.
func TestNobodyWaits(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Do(ctx, func(inner context.Context) error {
			defer cancel()
			return s.insertItem(inner, newItem("late"))
		})
		if !errors.Is(err, context.Canceled) || s.countItems(t.Context(), t) != 0 {
			t.Errorf("%v, and %d rows", err, s.countItems(t.Context(), t))
		}
	})
}

// TestTurnOutlivesTheDatabase takes the database away while a model speaks and while a tool works: the turn goes on when it is back,
// and neither is asked again.
func TestTurnOutlivesTheDatabase(t *testing.T) {
	t.Parallel()
	w, address := newWire(t)
	s := openStore(t, Config{URL: address, PoolSize: 8})
	l := newRunLab(t, s)
	speak, speaking := make(chan struct{}), make(chan struct{})
	work, working := make(chan struct{}), make(chan struct{})
	var asked, called atomic.Int32
	l.model.AnswerFunc = func(llm.Request) llmtest.Answer {
		if asked.Add(1) == 1 {
			close(speaking)
			a := llmtest.Call("a", "once", `{}`)
			a.Hold = speak
			return a
		}
		return llmtest.Text("done")
	}
	l.tools = testTools{newTool("once", false, func(context.Context, tool.Call) (tool.Result, error) {
		called.Add(1)
		close(working)
		<-work
		return tool.Result{Text: "worked"}, nil
	})}
	l.cfg.Lease = time.Hour
	l.start()
	v := l.session(0)
	l.send(v, say("Go."))
	for _, at := range []struct{ begun, goOn chan struct{} }{{speaking, speak}, {working, work}} {
		<-at.begun
		up := w.down()
		close(at.goOn)
		if err := s.Ping(t.Context()); err == nil {
			t.Error("the database is still there")
		}
		up()
		s.reader.SetMaxIdleConns(0) // what reads next gets a new connection
		s.reader.SetMaxIdleConns(8)
	}
	events := l.idles(v, 1)
	l.want(events, began, "span.model_request_start, agent.tool_use allow, span.model_request_end, agent.tool_result", spoke, ended)
	if asked.Load() != 2 || called.Load() != 1 {
		t.Errorf("the model was asked %d times, the tool called %d times", asked.Load(), called.Load())
	}
}
