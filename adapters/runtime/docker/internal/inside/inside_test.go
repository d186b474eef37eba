package inside

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/yamux"
)

func TestSend(t *testing.T) {
	t.Parallel()
	want := Program{
		Args: []string{"/a", "b c"}, Dir: "/workspace", Env: map[string]string{"A": "1\n2"}, Root: "/workspace",
		Files: map[string][]byte{"x": {0, 255}}, Remove: []string{"y"}, Proxy: true,
	}
	var wire bytes.Buffer
	if err := Send(&wire, want); err != nil {
		t.Fatal(err)
	}
	wire.WriteString("what comes after")
	got, err := Receive(&wire)
	if err != nil || !cmp.Equal(want, got) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	if wire.String() != "what comes after" {
		t.Errorf("%q is left", wire.String())
	}
	for _, broken := range []string{"", "\x00\x00\x00\x05{", "\xff\xff\xff\xff", "\x00\x00\x00\x02[]"} {
		if _, err := Receive(strings.NewReader(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(root, name) }
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "safe"), "untouched")
	write(in("old/deep/gone.md"), "x")
	write(in("old/stays"), "the program's own")
	write(in("became/a/directory"), "the program's own")
	write(in("file"), "in the way of a directory")
	write(in("dir/in/the/way"), "of a file")
	for link, to := range map[string]string{"link": outside, "SOUL.md": filepath.Join(outside, "safe"), "gone-link": filepath.Join(outside, "safe")} {
		if err := os.Symlink(to, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	err := place(Program{
		Root: root, Remove: []string{"old/deep/gone.md", "became/a/directory", "became", "gone-link", "never/was", "SOUL.md", "link/safe"},
		Files: map[string][]byte{"SOUL.md": []byte("a soul"), "file/x": []byte("1"), "dir": []byte("2"), "link/safe": []byte("3"), "new/a/b": nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"SOUL.md": "a soul", "file/x": "1", "dir": "2", "link/safe": "3", "new/a/b": "", "old/stays": "the program's own",
	} {
		if got, err := os.ReadFile(in(name)); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"old/deep", "gone-link", "became/a"} {
		if _, err := os.Lstat(in(name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", name, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(outside, "safe")); err != nil || string(got) != "untouched" {
		t.Errorf("a file outside is %q (%v)", got, err)
	}
	for _, name := range []string{"../up", "a/../../up", "/abs"} {
		if err := place(Program{Root: root, Files: map[string][]byte{name: nil}}); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, f := range map[string]struct {
		text string
		mode os.FileMode
	}{
		"script": {"#!/bin/sh -e\n", 0o755}, "plain": {"#!/bin/sh\n", 0o644}, "env": {"#!/no/such/interpreter\n", 0o755}, "empty": {"#!\n", 0o755},
		"text": {"hello", 0o755},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=/nowhere:" + dir}
	for name, ok := range map[string]bool{
		"script": true, "./script": true, dir + "/script": true, "/bin/sh": true, "env": false, "empty": false, "text": false, "./plain": false,
		"plain": false, "none": false, "": false, dir: false, "/none/at/all": false,
	} {
		file, err := lookup(name, dir, env)
		if (err == nil) != ok || ok && !filepath.IsAbs(file) {
			t.Errorf("%q is %q (%v)", name, file, err)
		}
	}
	if _, err := lookup("sh", dir, nil); err != nil {
		t.Errorf("without PATH: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	got := environment([]string{"PATH=/a", "HOME=/root", "X=1"}, Program{Env: map[string]string{"HOME": "/workspace"}})
	if want := []string{"PATH=/a", "X=1", "HOME=/workspace"}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// relayed returns a session with a relay at its other end.
func relayed(t *testing.T) *yamux.Session {
	t.Helper()
	here, there := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Relay(there) }()
	s, err := yamux.Client(here, Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
	return s
}

func TestRelay(t *testing.T) {
	t.Parallel()
	s := relayed(t)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ends := make(chan error, 2)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // says everything twice once all of it is there
				all, err := io.ReadAll(conn)
				ends <- err
				_, _ = conn.Write(append(all, all...))
				_ = conn.Close()
			}()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := Open(ctx, s, "unix:"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", 50_000)
	if n, err := io.WriteString(conn, text); err != nil || n != len(text) {
		t.Fatalf("%d written (%v)", n, err)
	}
	if err := errors.Join(conn.CloseWrite(), conn.CloseWrite()); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write([]byte("x")); err == nil {
		t.Error("what has ended was written to")
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != text+text {
		t.Errorf("%d bytes came (%v)", len(got), err)
	}
	if err := <-ends; err != nil {
		t.Error(err)
	}
	_ = conn.Close()

	// One that is closed without an end is cut off on the other side, too: the program must not take it for all.
	if conn, err = Open(ctx, s, "unix:"+l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "half of")
	_ = conn.Close()
	<-ends // a Unix socket has no way to say so
	if _, err := Open(ctx, s, "unix:/no/such/socket"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("nothing listens: %v", err)
	}
	if _, err := Open(ctx, s, strings.Repeat("x", 5000)); err == nil {
		t.Error("an address without end was taken")
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Open(gone, s, "unix:"+l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("for somebody who has gone: %v", err)
	}
}

// A deadline in the middle of a chunk's head loses nothing.
func TestConnDeadline(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := &Conn{Conn: a}
	got := make(chan string, 1)
	half := make(chan struct{})
	go func() {
		p := make([]byte, 10)
		_ = a.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		_ = a.SetReadDeadline(time.Time{})
		close(half)
		n, err := c.Read(p)
		if err != nil {
			t.Error(err)
		}
		got <- string(p[:n])
	}()
	_, _ = b.Write([]byte{0, 0})
	<-half
	_, _ = b.Write([]byte{0, 3, 'a', 'b', 'c'})
	if text := <-got; text != "abc" {
		t.Errorf("read %q", text)
	}
	_ = b.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the other side is gone: %v", err)
	}
}

func FuzzConn(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 'a', 'b', 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, err := io.ReadAll(&Conn{Conn: script{Reader: bytes.NewReader(wire)}})
		if len(got) > len(wire) {
			t.Errorf("%d bytes out of %d (%v)", len(got), len(wire), err)
		}
	})
}

// script is a connection that says what was written down.
type script struct {
	net.Conn
	io.Reader
}

func (s script) Read(p []byte) (int, error) { return s.Reader.Read(p) }

func TestForward(t *testing.T) {
	t.Parallel()
	there, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	here, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- Forward(here, there.Addr().String()) }()
	conn, err := net.Dial("tcp", here.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := there.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "hello")
	_ = conn.(*net.TCPConn).CloseWrite()
	text, err := io.ReadAll(other)
	if err != nil || string(text) != "hello" {
		t.Errorf("%q (%v)", text, err)
	}
	_, _ = io.WriteString(other, "bye")
	_ = other.Close()
	if text, err := io.ReadAll(conn); err != nil || string(text) != "bye" {
		t.Errorf("%q (%v)", text, err)
	}
	_ = here.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
