package workerd

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A container that shall be a worker has the server's own binary under another name; this takes over before the rest comes to life.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) == 0 || path.Base(os.Args[0]) != Name {
		return
	}
	fmt.Fprintln(os.Stderr, "[error]", serve())
	syscall.Exit(1)
}

// connections is how many are answered at a time.
const connections = 16

// serve answers until the process is told to end, which it does at once, or until it cannot. A container's first process is only told so if it asks to be.
func serve() error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-told
		syscall.Exit(0)
	}()
	var mu sync.Mutex
	w := New(dir, os.Getenv(TokenEnv), func(line string) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = os.Stdout.WriteString(line + "\n")
	})
	l, err := listen()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return Accept(l, connections, func(c Conn) { _ = w.Serve(c) })
}

// listen listens on Port of all addresses.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	var at unix.Sockaddr = &unix.SockaddrInet6{Port: Port}
	if errors.Is(err, unix.EAFNOSUPPORT) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		at = &unix.SockaddrInet4{Port: Port}
	}
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	if err := unix.Bind(fd, at); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, unix.SOMAXCONN)
}
