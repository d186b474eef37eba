package openai

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
)

// sseTransport leaves only data lines in event streams. The client library takes every other line for a part of an error
// message, so that a comment before a real error would hide it.
type sseTransport struct{ next *wire.Transport }

// RoundTrip sends req.
func (t *sseTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err == nil && resp.StatusCode < http.StatusBadRequest && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		resp.Body = &dataLines{from: resp.Body, lines: bufio.NewReader(resp.Body)}
	}
	return resp, err
}

// dataLines reads the data lines and the empty lines of an event stream.
type dataLines struct {
	from  io.ReadCloser
	lines *bufio.Reader
	line  []byte
	err   error
}

// maxLine bounds one line of a stream, in bytes.
const maxLine = 32 << 20

var errLongLine = errors.New("a line of the stream is too long")

func (d *dataLines) Read(p []byte) (int, error) {
	for len(d.line) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		var line []byte
		for {
			part, err := d.lines.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > maxLine {
				err = errLongLine
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				d.err = err
				break
			}
		}
		text := bytes.TrimSpace(line)
		switch {
		case bytes.HasPrefix(text, []byte("data:")):
			d.line = append(text, '\n')
			// What a broken connection left of a line is no data, unless it is whole.
			if d.err != nil && !errors.Is(d.err, io.EOF) {
				d.line = nil
			}
		case len(text) == 0 && len(line) > 0:
			d.line = []byte{'\n'}
		}
	}
	n := copy(p, d.line)
	d.line = d.line[n:]
	return n, nil
}

func (d *dataLines) Close() error { return d.from.Close() }
