package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/logfile"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// followEvery is how often a log that is followed is looked at.
const followEvery = 50 * time.Millisecond

// Logs implements runtime.Host.
func (h *Host) Logs(ctx context.Context, id string, q runtime.LogQuery) iter.Seq2[runtime.LogLine, error] {
	return func(yield func(runtime.LogLine, error) bool) {
		err := h.logs(ctx, id, q, func(l runtime.LogLine) bool { return yield(l, nil) })
		if err != nil {
			yield(runtime.LogLine{}, err)
		}
	}
}

// logs calls found for each line until it has enough.
func (h *Host) logs(ctx context.Context, id string, q runtime.LogQuery, found func(runtime.LogLine) bool) error {
	if _, err := h.load(id); err != nil {
		return err
	}
	dir, err := os.OpenRoot(filepath.Join(h.base(id), keeperDir, child.LogDir))
	if errors.Is(err, fs.ErrNotExist) {
		return runtime.ErrNoInstance
	}
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // nothing is written
	lines, at, err := history(dir, q)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if ctx.Err() != nil || !found(l) {
			return nil
		}
	}
	if !q.Follow {
		return nil
	}
	return follow(ctx, dir, at, q.Since, found)
}

// spot is a place in a log: what lies before it has been read.
type spot struct {
	number int // of the file; 0 where there was none
	offset int64
}

// history returns the lines that a query begins with, and where they end.
func history(dir *os.Root, q runtime.LogQuery) ([]runtime.LogLine, spot, error) {
	numbers, err := logfile.Numbers(dir)
	if err != nil {
		return nil, spot{}, err
	}
	var at spot
	var parts [][]runtime.LogLine // the newest file's first
	left := q.Tail
	for i, n := range slices.Backward(numbers) {
		lines, end, err := readFile(dir, spot{number: n})
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it has just been deleted
			return nil, spot{}, err
		}
		if i == len(numbers)-1 {
			at = spot{n, end}
		}
		older := slices.IndexFunc(lines, func(l runtime.LogLine) bool { return !l.Time.Before(q.Since) })
		if older < 0 {
			older = len(lines)
		}
		lines = lines[older:]
		if q.Tail >= 0 && len(lines) > left {
			lines = lines[len(lines)-left:]
		}
		left -= len(lines)
		parts = append(parts, lines)
		if q.Tail >= 0 && left <= 0 || older > 0 {
			break
		}
	}
	slices.Reverse(parts)
	return slices.Concat(parts...), at, nil
}

// readFile returns the whole lines of a file from a place on, and where they end.
func readFile(dir *os.Root, from spot) ([]runtime.LogLine, int64, error) {
	f, err := dir.OpenFile(logfile.Name(from.number), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, from.offset, err
	}
	defer f.Close()
	return readLines(f, from.offset)
}

func readLines(f *os.File, offset int64) ([]runtime.LogLine, int64, error) {
	var lines []runtime.LogLine
	r := bufio.NewReaderSize(io.NewSectionReader(f, offset, 2*logfile.Size), 64<<10)
	for {
		raw, err := r.ReadSlice('\n')
		if err != nil { // the end, or a line that no writer of ours has written
			return lines, offset, nil //nolint:nilerr // the rest is read when there is more of it
		}
		offset += int64(len(raw))
		if l, ok := parse(bytes.TrimSuffix(raw, []byte("\n"))); ok {
			lines = append(lines, l)
		}
	}
}

// parse reads a line of a file.
func parse(raw []byte) (runtime.LogLine, bool) {
	stamp := len(logfile.Stamp)
	if len(raw) < stamp+3 || raw[stamp] != ' ' || raw[stamp+2] != ' ' {
		return runtime.LogLine{}, false
	}
	at, err := time.Parse(logfile.Stamp, string(raw[:stamp]))
	if err != nil {
		return runtime.LogLine{}, false
	}
	return runtime.LogLine{Time: at, Stderr: raw[stamp+1] == 'e', Text: string(raw[stamp+3:])}, true
}

// follow goes on with new lines until ctx ends, the directory is deleted, or found has enough.
func follow(ctx context.Context, dir *os.Root, at spot, since time.Time, found func(runtime.LogLine) bool) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	var file *os.File
	defer func() { _ = file.Close() }()
	for {
		if file == nil {
			f, err := dir.OpenFile(logfile.Name(max(at.number, 1)), os.O_RDONLY|unix.O_NONBLOCK, 0)
			if err == nil {
				file, at.number = f, max(at.number, 1)
			}
		}
		// The next file is looked for first: once it is there, nothing is added to this one.
		next := 0
		if numbers, err := logfile.Numbers(dir); err == nil {
			if i := slices.IndexFunc(numbers, func(n int) bool { return n > at.number }); i >= 0 {
				next = numbers[i]
			}
		}
		if file != nil {
			lines, end, err := readLines(file, at.offset)
			if err != nil {
				return err
			}
			at.offset = end
			for _, l := range lines {
				if ctx.Err() != nil || !l.Time.Before(since) && !found(l) {
					return nil
				}
			}
		}
		if next > 0 {
			_ = file.Close()
			file, at = nil, spot{number: next}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if deleted(dir) {
			return nil
		}
	}
}

// deleted says whether a directory has no name any more.
func deleted(dir *os.Root) bool {
	f, err := dir.Open(".")
	if err != nil {
		return true
	}
	defer f.Close()
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) != nil || st.Nlink == 0
}
