package process

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// How many symbolic links a path may lead over, and how long it may be, as Linux has it.
const (
	maxLinks = 40
	maxPath  = 4096
)

// place is where a path leads: a name in one of the sandbox's directories. What is done there goes by an os.Root, which no link leaves,
// also when a program changes what the path led over meanwhile.
type place struct {
	dir  string // of runtime.Dirs; "" for the directories above those
	root *os.Root
	name string // "." for dir itself
	path string // as programs would call it, without links
}

// locate follows p as a program of the sandbox would, over absolute links, too. It follows a link at the end of p only if it should.
func (s *sandbox) locate(p string, follow bool) (place, error) {
	if !strings.HasPrefix(p, "/") || strings.ContainsRune(p, 0) {
		return place{}, runtime.ErrPath.Withf("%q is not an absolute path", p)
	}
	links, at, todo := 0, "/", split(path.Clean(p))
	for len(todo) > 0 {
		next := path.Join(at, todo[0])
		if len(p) > maxPath || len(next) > maxPath {
			return place{}, runtime.ErrPath.Withf("the path is longer than %d bytes", maxPath)
		}
		dir, name := mountOf(next)
		if dir == "" && !above(next) {
			return place{}, runtime.ErrPath.Withf("%s does not lie in the sandbox's directories (%s)", p, strings.Join(runtime.Dirs(), ", "))
		}
		if dir == "" || name == "." {
			at, todo = next, todo[1:]
			continue
		}
		info, err := s.roots[dir].Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			at, todo = path.Join(append([]string{at}, todo...)...), nil
		case err != nil:
			return place{}, tidy(p, err)
		case info.Mode()&fs.ModeSymlink != 0 && (follow || len(todo) > 1):
			if links++; links > maxLinks {
				return place{}, tidy(p, syscall.ELOOP)
			}
			target, err := s.roots[dir].Readlink(name)
			if err != nil {
				return place{}, tidy(p, err)
			}
			if strings.HasPrefix(target, "/") {
				at = "/"
			}
			todo = slices.Concat(split(target), todo[1:])
		default:
			at, todo = next, todo[1:]
		}
	}
	dir, name := mountOf(at)
	if dir == "" && !above(at) {
		return place{}, runtime.ErrPath.Withf("%s does not lie in the sandbox's directories (%s)", p, strings.Join(runtime.Dirs(), ", "))
	}
	return place{dir: dir, root: s.roots[dir], name: name, path: at}, nil
}

func split(p string) []string {
	return slices.DeleteFunc(strings.Split(p, "/"), func(s string) bool { return s == "" || s == "." })
}

// above says whether p, a clean path, is a directory above those of the sandbox.
func above(p string) bool {
	return p == "/" || slices.ContainsFunc(runtime.Dirs(), func(dir string) bool { return strings.HasPrefix(dir, p+"/") })
}

// tidy takes the host's paths out of an error.
func tidy(p string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = le.Err
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return runtime.ErrDiskFull.Wrap(err)
	case errors.Is(err, fs.ErrClosed):
		return runtime.ErrGone
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return runtime.ErrPath.Withf("%s: %v", p, err).Wrap(err)
	}
	return &fs.PathError{Op: "sandbox", Path: p, Err: err}
}

// find is locate in an open sandbox.
func (s *sandbox) find(ctx context.Context, p string, follow bool) (place, error) {
	if err := ctx.Err(); err != nil {
		return place{}, err
	}
	if _, err := s.now(); err != nil {
		return place{}, err
	}
	return s.locate(p, follow)
}

// Open implements runtime.Sandbox.
func (s *sandbox) Open(ctx context.Context, p string) (fs.File, error) {
	at, err := s.find(ctx, p, true)
	if err != nil {
		return nil, err
	}
	if at.dir == "" {
		return nil, runtime.ErrPath.Withf("%s is a directory", p)
	}
	f, err := at.root.OpenFile(at.name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // else a named pipe would hold us
	if err != nil {
		return nil, tidy(p, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = runtime.ErrPath.Withf("%s is not a file", p)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Stat implements runtime.Sandbox.
func (s *sandbox) Stat(ctx context.Context, p string) (fs.FileInfo, error) {
	at, err := s.find(ctx, p, true)
	if err != nil {
		return nil, err
	}
	if at.dir == "" {
		info, err := os.Stat(s.host(at.path))
		return info, tidy(p, err)
	}
	info, err := at.root.Stat(at.name)
	return info, tidy(p, err)
}

// ReadDir implements runtime.Sandbox.
func (s *sandbox) ReadDir(ctx context.Context, p string) ([]fs.DirEntry, error) {
	at, err := s.find(ctx, p, true)
	if err != nil {
		return nil, err
	}
	if at.dir == "" {
		list, err := os.ReadDir(s.host(at.path))
		return list, tidy(p, err)
	}
	list, err := fs.ReadDir(at.root.FS(), at.name)
	return list, tidy(p, err)
}

// RemoveAll implements runtime.Sandbox. Of the sandbox's own directories only what is in them is deleted.
func (s *sandbox) RemoveAll(ctx context.Context, p string) error {
	at, err := s.find(ctx, p, false)
	if err != nil {
		return err
	}
	if at.dir == "" {
		return runtime.ErrPath.Withf("%s cannot be deleted", p)
	}
	defer s.recount()
	if at.name != "." {
		return tidy(p, removeAll(at.root, at.name))
	}
	list, err := fs.ReadDir(at.root.FS(), ".")
	if err != nil {
		return tidy(p, err)
	}
	for _, entry := range list {
		if err := removeAll(at.root, entry.Name()); err != nil {
			return tidy(p, err)
		}
	}
	return nil
}

// removeAll deletes a tree, also one whose directories a program has closed to its own user.
func removeAll(root *os.Root, name string) error {
	err := root.RemoveAll(name)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = fs.WalkDir(root.FS(), name, func(p string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = root.Chmod(p, 0o700)
		}
		return nil
	})
	return root.RemoveAll(name)
}

// mkdirAll makes a directory, which the sandbox's user owns, as it does those above that are made for it.
func (s *sandbox) mkdirAll(p string) error {
	at, err := s.locate(p, true)
	if err != nil {
		return err
	}
	if at.dir == "" {
		return nil
	}
	made := ""
	for _, part := range split(at.name) {
		made = path.Join(made, part)
		err := at.root.Mkdir(made, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil && s.owner.change {
			err = at.root.Lchown(made, s.owner.uid, s.owner.gid)
		}
		if err != nil {
			return tidy(p, err)
		}
	}
	return nil
}

// Write implements runtime.Sandbox.
func (s *sandbox) Write(ctx context.Context, p string, r io.Reader, mode fs.FileMode) error {
	at, err := s.find(ctx, p, true)
	if err != nil {
		return err
	}
	if at.dir == "" || at.name == "." || strings.HasSuffix(p, "/") {
		return runtime.ErrPath.Withf("%s is a directory", p)
	}
	set, err := s.now()
	if err != nil {
		return err
	}
	if err := s.mkdirAll(path.Dir(at.path)); err != nil {
		return err
	}
	left := set.limits.Disk - s.usage()
	if left <= 0 {
		return runtime.ErrDiskFull
	}
	temp := path.Join(path.Dir(at.name), ".bureau-"+rand.Text())
	f, err := at.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return tidy(p, err)
	}
	n, err := io.Copy(f, io.LimitReader(reader{ctx, r}, left+1))
	if err == nil && n > left {
		err = runtime.ErrDiskFull
	}
	if err == nil && s.owner.change {
		err = f.Chown(s.owner.uid, s.owner.gid)
	}
	if err == nil {
		err = f.Chmod(mode.Perm())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = at.root.Rename(temp, at.name)
	}
	if err != nil {
		_ = at.root.Remove(temp)
		return tidy(p, err)
	}
	s.mu.Lock()
	s.used += max(n, blockSize)
	s.mu.Unlock()
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context //nolint:containedctx // it lives for one call
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// blockSize is the least that a file or a directory counts as, so that empty ones are no way around the limit.
const blockSize = 4096
