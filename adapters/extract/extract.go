package extract

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/bureau-agents/bureau/ports/extract"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Config of an Extractor; the zero value is the default.
type Config struct {
	// MaxData is how many bytes a document may have; 0 is 32 MiB.
	MaxData int
	// MaxText is how many bytes of text a document may have; 0 is 4 MiB.
	MaxText int
	// Timeout bounds the reading of a document; 0 is 20 s.
	Timeout time.Duration
	// Memory is how many bytes a reader may use; 0 is 512 MiB.
	Memory int64
	// AtOnce is how many documents are read at a time, more wait; 0 is 2.
	AtOnce int
}

// Extractor implements extract.Extractor. It is safe for concurrent use.
type Extractor struct {
	cfg     Config
	program string
	slots   chan struct{}
}

var _ extract.Extractor = (*Extractor)(nil)

// New returns an Extractor, or an error when the running program cannot be found.
func New(cfg Config) (*Extractor, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("extract: find this program: %w", err)
	}
	cfg = Config{
		MaxData: cmp.Or(cfg.MaxData, 32<<20), MaxText: cmp.Or(cfg.MaxText, 4<<20), Timeout: cmp.Or(cfg.Timeout, 20*time.Second),
		Memory: cmp.Or(cfg.Memory, 512<<20), AtOnce: cmp.Or(cfg.AtOnce, 2),
	}
	return &Extractor{cfg: cfg, program: program, slots: make(chan struct{}, cfg.AtOnce)}, nil
}

// order is what a reader is asked, followed by the document's bytes.
type order struct {
	Format       string
	Charset      string // the media type with its parameters, for the charset
	Target, Most int
	MaxText      int
	Memory       int64
	Seconds      uint64 // of processor time
}

// reply is what a reader answers.
type reply struct {
	Passages []extract.Passage
	Fault    string // code of one of the port's errors
	Message  string
}

// Extract implements extract.Extractor.
func (x *Extractor) Extract(ctx context.Context, d extract.Document) ([]extract.Passage, error) {
	if len(d.Data) > x.cfg.MaxData {
		return nil, extract.ErrTooLarge.Withf("the document has %d bytes; at most %d are read", len(d.Data), x.cfg.MaxData)
	}
	format, err := formatOf(d)
	if err != nil {
		return nil, err
	}
	o := order{
		Format: format, Charset: d.MediaType, Target: cmp.Or(max(d.Target, 0), extract.DefaultTarget),
		Most: cmp.Or(max(d.Most, 0), extract.DefaultMost), MaxText: x.cfg.MaxText, Memory: x.cfg.Memory,
		Seconds: uint64(x.cfg.Timeout/time.Second) + 1,
	}
	o.Target = min(o.Target, o.Most)
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, err := x.ask(ctx, o, d.Data)
	if err != nil {
		return nil, err
	}
	return r.Passages, r.err()
}

// ask has a reader of its own read the document.
func (x *Extractor) ask(ctx context.Context, o order, data []byte) (reply, error) {
	head, err := json.Marshal(o)
	if err != nil {
		return reply{}, fmt.Errorf("extract: %w", err)
	}
	timed, cancel := context.WithTimeout(ctx, x.cfg.Timeout)
	defer cancel()
	cmd := exec.CommandContext(timed, x.program)
	cmd.Args = []string{readerName}
	cmd.Env = []string{"GOMAXPROCS=1"} // nothing of the server's
	cmd.Dir = os.TempDir()
	cmd.Stdin = io.MultiReader(bytes.NewReader(append(head, '\n')), bytes.NewReader(data))
	out := &bounded{left: 4*x.cfg.MaxText + 1<<20} // headings are repeated, and JSON escapes
	cmd.Stdout = out
	said := &bounded{left: 4 << 10}
	cmd.Stderr = said
	// A reader that is killed may have stopped reading: that is no error of its own.
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return reply{}, ctx.Err()
	case timed.Err() != nil:
		return reply{}, extract.ErrTooLarge.Withf("the document takes more than %v to read", x.cfg.Timeout)
	case out.full:
		return reply{}, extract.ErrTooLarge.Withf("the document has more text than is read")
	}
	var r reply
	if bad := json.Unmarshal(out.buf.Bytes(), &r); bad != nil {
		if err == nil {
			err = bad
		}
		// It was ended by a limit, or by an error of the library that nothing can catch.
		return reply{}, extract.ErrTooLarge.Withf("the document needs more memory or time to read than it may use").
			Wrap(fmt.Errorf("%w: %s", err, said.buf.Bytes()))
	}
	return r, nil
}

func (r reply) err() error {
	for _, e := range []*fault.Error{extract.ErrFormat, extract.ErrUnreadable, extract.ErrTooLarge} {
		if r.Fault == e.Code {
			return e.Withf("%s", r.Message)
		}
	}
	return nil
}

// bounded keeps the beginning of what is written to it, and refuses what would be more.
type bounded struct {
	buf  bytes.Buffer
	left int
	full bool
}

var errFull = errors.New("extract: too much output")

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full = true
		return 0, errFull
	}
	return b.buf.Write(p)
}
