package workerd

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// patience bounds each read and write of a connection.
const patience = 10 // seconds

// Conn is a connection, read and written without the package net, whose init comes later than this one's.
type Conn int

// Read implements io.Reader.
func (c Conn) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(c), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements io.Writer.
func (c Conn) Write(p []byte) (int, error) {
	for written := 0; ; {
		n, err := unix.SendmsgN(int(c), p[written:], nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return written, err
		}
		if written += max(n, 0); written == len(p) {
			return written, nil
		}
	}
}

// Accept hands connections of a listener to serve, so many at a time, and closes them when it returns. It returns when the listener fails.
func Accept(listener, connections int, serve func(Conn)) error {
	_ = unix.SetNonblock(listener, false)
	free := make(chan struct{}, connections)
	for {
		free <- struct{}{}
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err != nil {
			<-free
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
				continue
			}
			return err
		}
		limit := unix.Timeval{Sec: patience}
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
		go func() {
			defer func() {
				_ = unix.Close(fd)
				<-free
			}()
			serve(Conn(fd))
		}()
	}
}
