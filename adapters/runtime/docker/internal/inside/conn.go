package inside

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// Conn sends in chunks of known length over a stream that can only be closed as a whole, so that either side can end its own direction.
// A chunk is four bytes of length and as many of content; an empty one ends the direction.
type Conn struct {
	net.Conn // the stream

	head  [4]byte
	got   int    // bytes of head that were read; a deadline may cut in between
	left  uint32 // of the chunk that is being read
	ended bool

	write sync.Mutex
	shut  bool
}

// maxChunk bounds what is copied for a chunk.
const maxChunk = 32 << 10

// Read implements net.Conn. It is for one reader at a time.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.left == 0 {
		if c.ended {
			return 0, io.EOF
		}
		n, err := c.Conn.Read(c.head[c.got:])
		c.got += n
		if c.got < len(c.head) {
			if err == io.EOF { //nolint:errorlint // as io.Reader has it
				err = io.ErrUnexpectedEOF // the other side did not end its direction: it is gone
			}
			if err != nil {
				return 0, err
			}
			continue
		}
		c.got = 0
		c.left = binary.BigEndian.Uint32(c.head[:])
		c.ended = c.left == 0
	}
	n, err := c.Conn.Read(p[:min(uint32(len(p)), c.left)])
	c.left -= uint32(n)
	if err == io.EOF { //nolint:errorlint // as io.Reader has it
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.write.Lock()
	defer c.write.Unlock()
	if c.shut {
		return 0, net.ErrClosed
	}
	written := 0
	for written < len(p) {
		part := p[written:min(len(p), written+maxChunk)]
		chunk := append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(part)), uint32(len(part))), part...)
		n, err := c.Conn.Write(chunk)
		written += max(n-4, 0)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// CloseWrite ends this side's direction.
func (c *Conn) CloseWrite() error {
	c.write.Lock()
	defer c.write.Unlock()
	if c.shut {
		return nil
	}
	c.shut = true
	_, err := c.Conn.Write(make([]byte, 4))
	return err
}

// half is a connection whose directions end one by one.
type half interface {
	net.Conn
	CloseWrite() error
}

// Join copies both ways until both directions have ended, or one has failed, and closes both.
func Join(a, b half) {
	var wg sync.WaitGroup
	pass := func(to, from half) {
		if _, err := io.Copy(to, from); err == nil && to.CloseWrite() == nil {
			return
		}
		_ = a.Close()
		_ = b.Close()
	}
	wg.Go(func() { pass(a, b) })
	wg.Go(func() { pass(b, a) })
	wg.Wait()
	_ = a.Close()
	_ = b.Close()
}
