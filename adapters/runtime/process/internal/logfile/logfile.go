// Package logfile keeps the output of an instance: lines with their time in numbered files, of which the oldest are deleted.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxLine is runtime.MaxLogLine, which this package cannot import: it is linked into what starts before everything else.
	MaxLine = 16 << 10
	// Files is how many files are kept.
	Files = 5
	// Size is what a file does not grow beyond, in bytes.
	Size = 2 << 20
	// Stamp begins each line; a space, the stream ("o" or "e"), and another space follow, then the text.
	Stamp = "2006-01-02T15:04:05.000000000Z"
	// cut ends a line that was longer than MaxLine.
	cut = "..."
)

// Name returns the name of the nth file, from 1. Names sort as numbers do.
func Name(n int) string { return fmt.Sprintf("%010d.log", n) }

// Numbers returns the numbers of the files that there are, the oldest first.
func Numbers(dir *os.Root) ([]int, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	var list []int
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(name, "%d.log", &n); err == nil && n > 0 && Name(n) == name {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, err
}

// Writer writes the files of one directory, of which it is the only writer. It is safe for concurrent use.
type Writer struct {
	dir *os.Root

	mu   sync.Mutex
	file *os.File
	n    int
	size int64
	last time.Time
}

// NewWriter goes on where an earlier writer has ended.
func NewWriter(dir *os.Root) (*Writer, error) {
	numbers, err := Numbers(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{dir: dir, n: 1}
	if len(numbers) > 0 {
		w.n = numbers[len(numbers)-1]
	}
	return w, w.open()
}

func (w *Writer) open() error {
	f, err := w.dir.OpenFile(Name(w.n), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	w.file, w.size = f, info.Size()
	var end [1]byte
	if w.size > 0 {
		if _, err := f.ReadAt(end[:], w.size-1); err == nil && end[0] != '\n' { // a writer was killed while it wrote
			_, _ = f.WriteString("\n")
			w.size++
		}
	}
	return nil
}

// rotate begins the next file.
func (w *Writer) rotate() error {
	_ = w.file.Close()
	w.n++
	if err := w.open(); err != nil {
		return err
	}
	numbers, err := Numbers(w.dir)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n <= w.n-Files {
			_ = w.dir.Remove(Name(n))
		}
	}
	return nil
}

// write writes lines that came at once.
func (w *Writer) write(stream byte, lines [][]byte) error {
	if len(lines) == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return fs.ErrClosed
	}
	now := time.Now().UTC()
	if now.Before(w.last) { // the clock was set back
		now = w.last
	}
	w.last = now
	stamp := now.AppendFormat(nil, Stamp)
	var b bytes.Buffer
	for _, line := range lines {
		b.Write(stamp)
		b.Write([]byte{' ', stream, ' '})
		b.Write(line)
		b.WriteByte('\n')
	}
	var err error
	if w.size > 0 && w.size+int64(b.Len()) > Size {
		err = w.rotate()
	}
	n, failed := w.file.Write(b.Bytes())
	w.size += int64(n)
	return errors.Join(err, failed)
}

// Print writes one line of standard output.
func (w *Writer) Print(text string) {
	text = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(text) // one line, whatever it says
	s := w.Stream(false)
	_, _ = s.Write([]byte(text + "\n"))
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// Stream returns where one of a program's two outputs goes. It never fails: what cannot be kept is lost, and the program goes on.
func (w *Writer) Stream(stderr bool) *Stream {
	s := &Stream{writer: w, name: 'o'}
	if stderr {
		s.name = 'e'
	}
	return s
}

// Stream cuts what it is given into lines. It is not safe for concurrent use.
type Stream struct {
	writer *Writer
	name   byte
	rest   []byte // of a line that has not ended, no longer than need be to know that it is too long
}

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	total := len(p)
	var lines [][]byte
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		lines = append(lines, clean(s.join(p[:i])))
		s.rest = nil
		p = p[i+1:]
	}
	s.rest = s.join(p)
	_ = s.writer.write(s.name, lines)
	return total, nil
}

// join returns the rest with more of its line.
func (s *Stream) join(p []byte) []byte {
	room := max(MaxLine+2-len(s.rest), 0) // "\r" may go
	return append(slices.Clip(s.rest), p[:min(len(p), room)]...)
}

// Close writes a last line that has no end.
func (s *Stream) Close() error {
	if len(s.rest) > 0 {
		_ = s.writer.write(s.name, [][]byte{clean(s.rest)})
		s.rest = nil
	}
	return nil
}

// clean makes a line what it is kept as.
func clean(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\r"))
	long := len(line) > MaxLine
	line = bytes.ToValidUTF8(line[:min(len(line), MaxLine)], []byte("\uFFFD"))
	if !long && len(line) <= MaxLine {
		return line
	}
	line = line[:MaxLine-len(cut)]
	for len(line) > 0 && line[len(line)-1]&0xC0 == 0x80 { // within a rune: take the whole of it off
		line = line[:len(line)-1]
	}
	if n := len(line); n > 0 && line[n-1] >= 0xC0 {
		line = line[:n-1]
	}
	return append(line, cut...)
}
