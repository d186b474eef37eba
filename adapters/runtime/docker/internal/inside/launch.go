package inside

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// place brings the files below p.Root to what p says. It runs with the rights of the program that is to come, which may have left
// anything there: what is in the way is removed.
func place(p Program) error {
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	for _, name := range p.Remove {
		if _, wanted := p.Files[name]; wanted {
			continue
		}
		if info, err := root.Lstat(name); err != nil || info.IsDir() {
			continue // it is gone, or the program has made it something of its own
		}
		if err := root.Remove(name); err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if root.Remove(dir) != nil {
				break // something else is in it
			}
		}
	}
	for name, content := range p.Files {
		if err := put(root, name, content); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func put(root *os.Root, name string, content []byte) error {
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i++ {
		dir := strings.Join(parts[:i], "/")
		info, err := root.Lstat(dir)
		if err == nil && !info.IsDir() {
			err = errors.Join(root.Remove(dir), fs.ErrNotExist)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		case err != nil:
			return err
		case info.Mode().Perm()&0o700 != 0o700:
			_ = root.Chmod(dir, 0o755)
		}
	}
	if info, err := root.Lstat(name); err == nil {
		remove := root.Remove
		if info.IsDir() {
			remove = root.RemoveAll
		}
		if err := remove(name); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// environment returns the variables of a program: the image's, and p's over them.
func environment(image []string, p Program) []string {
	env := slices.DeleteFunc(slices.Clone(image), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		_, replaced := p.Env[name]
		return replaced
	})
	for name, value := range p.Env {
		env = append(env, name+"="+value)
	}
	return env
}

// lookup finds a program as execvp does, and says what would keep it from being executed: once it has been tried there is nobody left to
// say so.
func lookup(name, dir string, env []string) (string, error) {
	if name == "" {
		return "", errors.New("there is no program")
	}
	if !strings.Contains(name, "/") {
		dirs := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		for _, v := range env {
			if value, ok := strings.CutPrefix(v, "PATH="); ok {
				dirs = value
			}
		}
		for _, d := range filepath.SplitList(dirs) {
			if !filepath.IsAbs(d) {
				d = filepath.Join(dir, d)
			}
			if file := filepath.Join(d, name); executable(file) == nil {
				return file, starts(file)
			}
		}
		return "", fmt.Errorf("there is no program %q in the image", name)
	}
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	if err := executable(file); err != nil {
		return "", err
	}
	return file, starts(file)
}

// starts reads how a program begins: a binary has a loader, a script an interpreter.
func starts(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return nil // it may be executed without being readable
	}
	defer f.Close()
	head := make([]byte, 256)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	if line, ok := strings.CutPrefix(string(head), "#!"); ok {
		line, _, _ = strings.Cut(line, "\n")
		words := strings.Fields(line)
		if len(words) == 0 {
			return fmt.Errorf("%s names no interpreter", file)
		}
		if err := executable(words[0]); err != nil {
			return fmt.Errorf("the interpreter of %s: %w", file, err)
		}
		return nil
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("%s is neither a binary for Linux nor a script that names its interpreter", file)
	}
	defer e.Close() //nolint:errcheck // nothing is written
	if want, ok := machines[runtime.GOARCH]; ok && !slices.Contains(want, e.Machine) {
		return fmt.Errorf("%s is for another kind of processor (%s)", file, e.Machine)
	}
	for _, prog := range e.Progs {
		if prog.Type != elf.PT_INTERP {
			continue
		}
		loader, err := io.ReadAll(io.LimitReader(prog.Open(), 4096))
		if err != nil {
			return err
		}
		if err := executable(strings.TrimRight(string(loader), "\x00")); err != nil {
			return fmt.Errorf("%s needs a loader that the image does not have: %w", file, err)
		}
	}
	return nil
}

// machines are the processors of binaries that run where a Bureau of this architecture does.
var machines = map[string][]elf.Machine{
	"amd64": {elf.EM_X86_64, elf.EM_386},
	"arm64": {elf.EM_AARCH64, elf.EM_ARM},
}
