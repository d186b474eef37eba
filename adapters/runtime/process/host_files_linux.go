package process

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// give writes the files that an instance begins with, and deletes those of before that are not among them. It returns their names.
// Programs can change what lies in the directory at any time, but nothing of what they do leads out of it.
func give(base string, owner owner, before []string, now map[string][]byte) ([]string, error) {
	root, err := os.OpenRoot(filepath.Join(base, filesDir, runtime.WorkDir))
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // files are closed by themselves
	for _, name := range before {
		if _, ok := now[name]; !ok {
			_ = root.Remove(name) // where a program has put something else it may stay
			for dir := path.Dir(name); dir != "." && root.Remove(dir) == nil; dir = path.Dir(dir) {
			}
		}
	}
	var names []string
	for name, text := range now {
		if err := put(root, owner, name, text); err != nil {
			return nil, tidy(name, err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// put writes one file, in the place of whatever is there.
func put(root *os.Root, owner owner, name string, text []byte) error {
	made := ""
	for _, part := range split(path.Dir(name)) {
		made = path.Join(made, part)
		if info, err := root.Lstat(made); err == nil && info.IsDir() {
			continue
		}
		err := errors.Join(removeAll(root, made), root.Mkdir(made, 0o755))
		if err == nil && owner.change {
			err = root.Lchown(made, owner.uid, owner.gid)
		}
		if err != nil {
			return err
		}
	}
	const fresh = ".bureau-new"
	if err := removeAll(root, fresh); err != nil {
		return err
	}
	f, err := root.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil && owner.change {
		err = f.Chown(owner.uid, owner.gid)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if info, err := root.Lstat(name); err == nil && info.IsDir() {
		if err := removeAll(root, name); err != nil {
			return err
		}
	}
	return root.Rename(fresh, name)
}
