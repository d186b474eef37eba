package docker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

func TestDial(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := within(t)
	if _, err := h.Start(ctx, spec(t, "dial", 1, "echo", "8080", "out", "ready", "wait")); err != nil {
		t.Fatal(err)
	}
	printed(t, h, "dial", "ready")
	conn, err := h.Dial(ctx, "dial")
	if err != nil {
		t.Fatal(err)
	}
	// Much of it, and the end of what is sent is not the end of what comes.
	go func() {
		for i := range 20_000 {
			fmt.Fprintf(conn, "line %d\n", i)
		}
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	}()
	n := 0
	for lines := bufio.NewScanner(conn); lines.Scan(); n++ {
		if want := fmt.Sprintf("echo: line %d", n); lines.Text() != want {
			t.Fatalf("got %q, want %q", lines.Text(), want)
		}
	}
	if n != 20_000 {
		t.Errorf("%d lines came back", n)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("what is closed can be written to")
	}

	// A deadline ends a read, and the connection goes on.
	if conn, err = h.Dial(ctx, "dial"); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("something was read")
	}
	_ = conn.SetReadDeadline(time.Time{})
	fmt.Fprintln(conn, "still")
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != "echo: still\n" {
		t.Errorf("%q (%v)", got, err)
	}

	// One relay serves all, and goes when nobody needs it.
	h.mu.Lock()
	r := h.relays["dial"]
	h.mu.Unlock()
	if r.users != 1 {
		t.Errorf("%d connections are counted", r.users)
	}
	h.drop("dial", r)
	if r.session.IsClosed() {
		t.Error("a relay was closed that is used")
	}
	_ = conn.Close()
	_ = conn.Close()
	h.drop("dial", r)
	if !r.session.IsClosed() || len(h.relays) != 0 {
		t.Error("a relay stays that nobody uses")
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := h.Dial(canceled, "dial"); !errors.Is(err, context.Canceled) {
		t.Errorf("for somebody who has gone: %v", err)
	}

	// Nothing listens on the port of the next one.
	s := spec(t, "dial", 2, "out", "deaf", "wait")
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Dial(ctx, "dial"); err == nil || errors.Is(err, runtime.ErrNotRunning) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nothing listens: %v", err)
	}
}

// engineFrame is a frame as the Engine sends it.
func engineFrame(stream byte, text string) string {
	return string([]byte{stream, 0, 0, 0, byte(len(text) >> 24), byte(len(text) >> 16), byte(len(text) >> 8), byte(len(text))}) + text
}

func TestLines(t *testing.T) {
	t.Parallel()
	const at = "2026-11-22T10:00:00.000000001Z "
	var got []string
	err := lines(strings.NewReader(strings.Join([]string{
		engineFrame(1, at+"\x00bureau:ready\n"), engineFrame(1, at+"one "), engineFrame(2, at+"oops\n"), engineFrame(1, at+"line\n"),
		engineFrame(1, at+"\n"), engineFrame(1, at+"no end"),
	}, "")), func(l runtime.LogLine, launcher bool) bool {
		if l.Time.Nanosecond() != 1 {
			t.Errorf("%q is of %s", l.Text, l.Time)
		}
		got = append(got, fmt.Sprintf("%t %t %s", launcher, l.Stderr, l.Text))
		return true
	})
	want := "true false \x00bureau:ready|false true oops|false false one line|false false |false false no end"
	if err != nil || strings.Join(got, "|") != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
	for _, broken := range []string{engineFrame(1, at+"cut")[:20], engineFrame(9, "x"), engineFrame(3, "an error of the Engine's")} {
		if err := lines(strings.NewReader(broken), func(runtime.LogLine, bool) bool { return true }); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte(engineFrame(1, "2026-11-22T10:00:00Z a\n") + engineFrame(2, "b")))
	f.Fuzz(func(t *testing.T, text []byte) {
		_ = lines(bytes.NewReader(text), func(l runtime.LogLine, _ bool) bool {
			if len(l.Text) > runtime.MaxLogLine {
				t.Errorf("a line of %d bytes", len(l.Text))
			}
			return true
		})
	})
}

func TestBundle(t *testing.T) {
	t.Parallel()
	content, err := programFile()
	if err != nil {
		t.Fatal(err)
	}
	static := filepath.Join(t.TempDir(), "static")
	if err := os.WriteFile(static, content, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := newBundle(static)
	if err != nil || b.loader != "" || len(b.files) != 1 || len(command(b.loader, "/x")) != 1 {
		t.Errorf("a static binary: %+v (%v)", b, err)
	}
	var image bytes.Buffer
	if err := b.write(&image); err != nil || image.Len() == 0 {
		t.Error(err)
	}
	if _, err := newBundle("/etc/passwd"); err == nil {
		t.Error("a text is a binary")
	}
	if _, err := newBundle("/nowhere"); err == nil {
		t.Error("nothing is a binary")
	}
}
