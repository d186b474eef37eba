package inside

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Config is how both ends of a relay speak.
func Config() *yamux.Config {
	cfg := yamux.DefaultConfig()
	cfg.LogOutput = io.Discard
	cfg.StreamCloseTimeout = 10 * time.Second // Conn ends its directions itself: a closed stream is of no use
	cfg.StreamOpenTimeout = 0                 // the answer to the first line is waited for instead
	cfg.EnableKeepAlive = false               // the Engine ends a relay whose host is gone
	return cfg
}

// Open asks the relay at the other end of s for a connection to address, "127.0.0.1:8080" or "unix:/path". It is closed when ctx ends
// before the relay has answered.
func Open(ctx context.Context, s *yamux.Session, address string) (*Conn, error) {
	stream, err := s.OpenStream()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close(); _ = stream.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(stream, address+"\n"); err != nil {
		return nil, errors.Join(err, ctx.Err(), stream.Close())
	}
	answer, err := line(stream)
	if err != nil {
		return nil, errors.Join(err, ctx.Err(), stream.Close())
	}
	if answer != "" {
		_ = stream.Close()
		return nil, &net.OpError{Op: "dial", Net: "instance", Err: errors.New(answer)}
	}
	if !stop() {
		_ = stream.Close()
		return nil, ctx.Err()
	}
	return &Conn{Conn: stream}, nil
}

// line reads up to a line break and nothing beyond it.
func line(r io.Reader) (string, error) {
	var text []byte
	for one := make([]byte, 1); len(text) < 1024; {
		if _, err := io.ReadFull(r, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			return string(text), nil
		}
		text = append(text, one[0])
	}
	return "", bufio.ErrTooLong
}

// Relay connects the streams that come over conn to what listens here, until conn ends.
func Relay(conn io.ReadWriteCloser) error {
	session, err := yamux.Server(conn, Config())
	if err != nil {
		return err
	}
	defer session.Close() //nolint:errcheck // it has ended
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return err
		}
		go serve(stream)
	}
}

// serve answers one stream.
func serve(stream *yamux.Stream) {
	address, err := line(stream)
	if err != nil {
		_ = stream.Close()
		return
	}
	there, err := reach(address)
	answer := ""
	if err != nil {
		answer = strings.ReplaceAll(err.Error(), "\n", " ")
		answer = answer[:min(len(answer), 1000)]
	}
	if _, werr := io.WriteString(stream, answer+"\n"); err != nil || werr != nil {
		_ = stream.Close()
		if there != nil {
			_ = there.Close()
		}
		return
	}
	Join(&Conn{Conn: stream}, there)
}

// reach connects to an address in the container.
func reach(address string) (half, error) {
	network := "tcp"
	if file, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", file
	}
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		if port, ok := strings.CutPrefix(address, "127.0.0.1:"); ok { // some listen on one of both only
			if six, err := net.DialTimeout(network, "[::1]:"+port, 10*time.Second); err == nil {
				return six.(half), nil
			}
		}
		return nil, err
	}
	h, ok := conn.(half)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s cannot be closed by direction", network), conn.Close())
	}
	return h, nil
}

// Forward connects each program that comes to l with the socket at path.
func Forward(l net.Listener, path string) error {
	slots := make(chan struct{}, 128)
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		slots <- struct{}{}
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer func() { <-slots }()
			here, ok := conn.(half)
			there, err := reach("unix:" + path)
			if !ok || err != nil {
				_ = conn.Close()
				return
			}
			Join(here, there)
		})
	}
}
