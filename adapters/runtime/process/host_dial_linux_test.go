package process

import (
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDescriptorOfNobody asks an instance that ends before it answers.
func TestDescriptorOfNobody(t *testing.T) {
	for name, end := range map[string]func(fd int) error{
		"closed": unix.Close,
		"reset":  func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) },
	} {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(pair[0]), "here")
		conn, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("unread, so that the end is an error")); err != nil {
			t.Fatal(err)
		}
		if err := end(pair[1]); err != nil {
			t.Fatal(err)
		}
		if fd, err := descriptor(conn.(*net.UnixConn)); err == nil {
			t.Errorf("%s: got the descriptor %d", name, fd)
		}
		_, _ = conn.Close(), f.Close()
	}
}
