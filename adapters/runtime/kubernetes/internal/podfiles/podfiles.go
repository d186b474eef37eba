// Package podfiles writes an instance's files in its pod, before its program starts. It is a part of Bureau's binary, which takes over
// where its first argument says so.
package podfiles

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// Argument is the first argument of the binary that makes it write files; then come the directory with the Manifest and the work directory.
const Argument = "bureau-pod-files"

// ManifestName is the file of the first directory that says what to do.
const ManifestName = "files.json"

// Manifest says what is written and what is deleted.
type Manifest struct {
	Files  map[string]string `json:"files"`            // path in the work directory: name of the file that has its text
	Delete []string          `json:"delete,omitempty"` // what earlier generations were given
}

// This runs before the inits of most of what a server links: a pod waits for it.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) != 4 || os.Args[1] != Argument {
		return
	}
	if err := Write(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err) // becomes what the pod's state says
		syscall.Exit(1)
	}
	syscall.Exit(0)
}

// Write does what the manifest in the directory from says to the directory to. What a program has left there leads nowhere else.
func Write(from, to string) error {
	text, err := os.ReadFile(filepath.Join(from, ManifestName)) //nolint:gosec // the pod of this host says where from
	if err != nil {
		return err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", ManifestName, err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for _, name := range m.Delete {
		if err := root.RemoveAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
	for name, source := range m.Files {
		data, err := os.ReadFile(filepath.Join(from, filepath.Base(source))) //nolint:gosec // a name without directories, in the pod's own mount
		if err != nil {
			return err
		}
		if err := write(root, name, data); err != nil {
			return err
		}
	}
	return nil
}

// write replaces whatever a program has put in the way of a file.
func write(root *os.Root, name string, data []byte) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q does not lie in the work directory", name)
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
			if err := root.Remove(dir); err != nil {
				return err
			}
		}
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.RemoveAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(name, data, 0o644)
}
