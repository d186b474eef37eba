package file

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bureau-agents/bureau/ports/blob"
)

// SmallSize is the size in bytes up to which content is read whole, and so verified, before any of it is given out.
const SmallSize = 1 << 20

// holdBack is how much of larger content is not given out before all of it was verified. So whoever reads to the end gets either
// everything or an error before it.
const holdBack = 64 << 10

// Content is the bytes of a file. Reading returns ErrCorrupt, before the end, when they are not those that were stored; small files
// are verified before their first byte. It is not safe for concurrent use.
type Content struct {
	ctx context.Context //nolint:containedctx // io.ReadSeeker has no place for one, and Seek opens again
	f   File
	s   *Service

	src  io.ReadCloser // nil: to be opened again
	at   int64         // where src is
	pos  int64         // what Seek was asked for
	tail []byte        // the verified end of the file; nil: not read yet
	from int64         // where tail begins
}

var (
	_ io.ReadSeeker = (*Content)(nil)
	_ io.Closer     = (*Content)(nil)
)

// reopen starts over.
func (c *Content) reopen() error {
	if err := c.Close(); err != nil {
		return err
	}
	src, info, err := c.s.d.Blobs.Open(c.ctx, blobKey(c.f.Tenant, c.f.ID))
	if errors.Is(err, blob.ErrNotFound) { // the row says that there is one
		return c.corrupt(err)
	}
	if err != nil {
		return c.judge(err)
	}
	if info.Size != c.f.Size || info.SHA256 != c.f.SHA256 {
		_ = src.Close()
		return c.corrupt(fmt.Errorf("the blob has %d bytes of %x", info.Size, info.SHA256)) //nolint:err113 // for the log alone
	}
	c.src, c.at = src, 0
	return nil
}

// corrupt says so to the operator, who alone can do something about it.
func (c *Content) corrupt(cause error) error {
	c.s.d.Logger.ErrorContext(c.ctx, "a stored file is damaged", "tenant_id", c.f.Tenant, "file_id", c.f.ID, "error", cause)
	return ErrCorrupt.Wrap(cause)
}

func (c *Content) judge(err error) error {
	if errors.Is(err, blob.ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return c.corrupt(err)
	}
	return err
}

// Verify reads everything once, from wherever reading began, and returns ErrCorrupt when it is damaged. It is for those who will read
// a part only.
func (c *Content) Verify() error {
	if c.tail != nil {
		return nil // the end was reached, and it was right
	}
	if c.f.Size <= SmallSize { // reading any of it reads all
		at := c.pos
		c.pos = 0
		_, err := c.Read(make([]byte, 1))
		c.pos = at
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if c.src == nil || c.at > 0 {
		if err := c.reopen(); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, c.src)
	return errors.Join(c.judge(err), c.Close())
}

// Read implements io.Reader.
func (c *Content) Read(p []byte) (int, error) {
	if c.pos >= c.f.Size && c.f.Size > 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if c.tail != nil && c.pos >= c.from {
		n := copy(p, c.tail[min(c.pos-c.from, int64(len(c.tail))):])
		c.pos += int64(n)
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}
	if c.src == nil || c.at > c.pos {
		if err := c.reopen(); err != nil {
			return 0, err
		}
	}
	if c.at < c.pos {
		if _, err := io.CopyN(io.Discard, c.src, min(c.pos, c.safe())-c.at); err != nil {
			return 0, c.judge(short(err))
		}
		c.at = min(c.pos, c.safe())
	}
	if room := c.safe() - c.at; room > 0 {
		n, err := c.src.Read(p[:min(int64(len(p)), room)])
		c.at += int64(n)
		c.pos = c.at
		return n, c.judge(short(err))
	}
	rest, err := io.ReadAll(c.src) // verified by the blob store at its end
	if err != nil {
		return 0, c.judge(err)
	}
	if c.at+int64(len(rest)) != c.f.Size {
		return 0, c.corrupt(io.ErrUnexpectedEOF)
	}
	c.from, c.tail = c.at, append([]byte{}, rest...) // not nil for an empty file
	c.at = c.f.Size
	return c.Read(p)
}

// short makes an end what it is where more has to come.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// safe is how far bytes are given out before the end was verified.
func (c *Content) safe() int64 {
	if c.f.Size <= SmallSize {
		return 0
	}
	return c.f.Size - holdBack
}

// Seek implements io.Seeker.
func (c *Content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.f.Size
	}
	if offset < 0 {
		return 0, errSeek
	}
	c.pos = offset
	return offset, nil
}

var errSeek = errors.New("file: seek before the beginning")

// Close implements io.Closer.
func (c *Content) Close() error {
	if c.src == nil {
		return nil
	}
	err := c.src.Close()
	c.src = nil
	return err
}
