package extract

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/adapters/internal/htmlpage"
	"github.com/bureau-agents/bureau/ports/extract"
	"github.com/bureau-agents/bureau/ports/fault"
)

// readerName is what a reader is started as.
const readerName = "bureau-extract"

// A program that links this package and is started under that name reads one document, before it does anything else.
func init() { //nolint:gochecknoinits // the program's own main must not begin
	if len(os.Args) == 0 || os.Args[0] != readerName {
		return
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve reads an order and its document from in, and answers to out.
func serve(in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	head, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(head, &o); err != nil {
		return err
	}
	debug.SetMemoryLimit(o.Memory / 2)
	if err := restrict(o); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(replyTo(o, data))
}

func replyTo(o order, data []byte) (rep reply) {
	defer func() {
		if v := recover(); v != nil { // readers of documents panic over what they do not expect
			rep = reply{Fault: extract.ErrUnreadable.Code, Message: "the document is damaged"}
		}
	}()
	passages, err := read(o, data)
	if err == nil {
		return reply{Passages: passages}
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return reply{Fault: f.Code, Message: f.Message}
	}
	return reply{Fault: extract.ErrUnreadable.Code, Message: "the document cannot be read: " + err.Error()}
}

// read returns the passages of a document.
func read(o order, data []byte) ([]extract.Passage, error) {
	c := &cutter{target: o.Target, most: o.Most}
	if o.Format == extract.PDF {
		err := readPDF(data, o.MaxText, c)
		return c.passages, err
	}
	text := string(data)
	if o.Format == extract.HTML || !utf8.Valid(data) {
		text = htmlpage.Decode(o.Charset, data)
	}
	text = strings.TrimPrefix(text, "\ufeff") // the mark of the byte order
	if o.Format == extract.HTML {
		var err error
		if _, text, err = htmlpage.Markdown(text, ""); err != nil {
			return nil, err
		}
	}
	if len(text) > o.MaxText {
		return nil, extract.ErrTooLarge.Withf("the document has %d bytes of text; at most %d are read", len(text), o.MaxText)
	}
	if o.Format == extract.Text {
		c.plain(text)
		c.finish()
	} else if err := c.markdown([]byte(text)); err != nil {
		return nil, err
	}
	return c.passages, nil
}
