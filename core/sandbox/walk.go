package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// walkLimits bounds a walk; zero fields do not.
type walkLimits struct {
	entries int
	skip    func(dir string) bool // directories that are not entered
}

// maxWalkDepth is how deep below its beginning a walk looks: each name costs as many look-ups as it has parts.
const maxWalkDepth = 100

// errWalkLimit ends a walk that saw too much.
var errWalkLimit = errors.New("sandbox: too many files")

// walk calls fn for each regular file at or below a path, down to maxWalkDepth, in the order of names. Links are not followed. A directory that
// vanishes or cannot be read is passed over; the path itself must be there.
func walk(ctx context.Context, sb runtime.Sandbox, at string, l walkLimits, fn func(p string, info fs.FileInfo) error) error {
	info, err := sb.Stat(ctx, at)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return nil
		}
		return fn(at, info)
	}
	seen := 0
	var visit func(dir string, depth int) error
	visit = func(dir string, depth int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := sb.ReadDir(ctx, dir)
		if err != nil {
			if errors.Is(err, runtime.ErrGone) {
				return err
			}
			return nil // it vanished, or is closed to us
		}
		for _, e := range entries {
			if seen++; l.entries > 0 && seen > l.entries {
				return errWalkLimit
			}
			p := path.Join(dir, e.Name())
			switch {
			case e.IsDir():
				if l.skip != nil && l.skip(p) {
					continue
				}
				if depth == maxWalkDepth {
					continue
				}
				if err := visit(p, depth+1); err != nil {
					return err
				}
			case e.Type().IsRegular():
				info, err := e.Info()
				if err != nil {
					continue // gone meanwhile
				}
				if err := fn(p, info); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return visit(at, 0)
}
