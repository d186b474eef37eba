package docker

import (
	"archive/tar"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
)

// layout changes the digest of every image when what stands around the binary changes.
const layout = "1"

// bundle is Bureau's binary with what it needs to run where nothing else is.
type bundle struct {
	binary  string
	machine elf.Machine
	loader  string            // base name in inside.Libraries; "" for a static one
	files   map[string]string // path in the image to a file here
	digest  string
}

// tag names the image.
func (b *bundle) tag() string { return "bureau-program:" + b.digest }

// volume names the volume that shows the binary to images that are not ours.
func (b *bundle) volume() string { return "bureau-program-" + b.digest }

// command returns what starts one of the names of a binary that has such a loader, "" for none.
func command(loader, name string) []string {
	if loader == "" {
		return []string{name}
	}
	return []string{inside.Libraries + "/" + loader, "--library-path", inside.Libraries, name}
}

// machineOf says which processor a binary is for.
func machineOf(binary string) (elf.Machine, error) {
	f, err := elf.Open(binary)
	if err != nil {
		return elf.EM_NONE, err
	}
	return f.Machine, f.Close()
}

// newBundle reads a binary and finds what it is linked with.
func newBundle(binary string) (*bundle, error) {
	b := &bundle{binary: binary, files: map[string]string{inside.Binary: binary}}
	f, err := elf.Open(binary)
	if err != nil {
		return nil, fmt.Errorf("%s is no binary for Linux: %w", binary, err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	b.machine = f.Machine
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		if err != nil {
			return nil, err
		}
		loader := strings.TrimRight(string(name), "\x00")
		b.loader = path.Base(loader)
		b.files[inside.Libraries+"/"+b.loader] = loader
	}
	if b.loader != "" {
		if err := b.libraries(f); err != nil {
			return nil, fmt.Errorf("%s is linked dynamically: %w", binary, err)
		}
	}
	sum := sha256.New()
	fmt.Fprintln(sum, layout)
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		fmt.Fprintln(sum, name)
		if err := read(sum, b.files[name]); err != nil {
			return nil, err
		}
	}
	b.digest = hex.EncodeToString(sum.Sum(nil))[:24]
	return b, nil
}

func read(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// libraries finds the shared objects that f needs, and those need, as the dynamic linker would.
func (b *bundle) libraries(f *elf.File) error {
	dirs := []string{filepath.Dir(b.files[inside.Libraries+"/"+b.loader])}
	for _, pattern := range []string{"/lib/*-linux-*", "/usr/lib/*-linux-*"} {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	dirs = append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
	for name := range strings.SplitSeq(os.Getenv("LD_LIBRARY_PATH"), ":") {
		if filepath.IsAbs(name) {
			dirs = append([]string{name}, dirs...)
		}
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		target := inside.Libraries + "/" + path.Base(name)
		if _, known := b.files[target]; known || strings.HasPrefix(name, "linux-vdso") {
			continue
		}
		more, file, err := b.library(name, dirs)
		if err != nil {
			return err
		}
		b.files[target] = file
		needed = append(needed, more...)
	}
	return nil
}

// library finds one shared object for the bundle's processor, and what it needs itself.
func (b *bundle) library(name string, dirs []string) (needs []string, file string, err error) {
	for _, dir := range dirs {
		file := filepath.Join(dir, name)
		f, err := elf.Open(file)
		if err != nil {
			continue
		}
		needs, err := f.ImportedLibraries()
		right := f.Machine == b.machine && err == nil
		_ = f.Close()
		if right {
			return needs, file, nil
		}
	}
	return nil, "", fmt.Errorf("the library %s is not found on this machine", name)
}

// write writes the image's file system.
func (b *bundle) write(w io.Writer) error {
	t := tar.NewWriter(w)
	owned := func(name string, id int) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(name, "/") + "/", Mode: 0o755, Uid: id, Gid: id})
	}
	const user = 65532 // of programUser: an empty volume takes its owner from the directory that it is mounted on
	err := errors.Join(owned(inside.Dir, 0), owned(inside.Libraries, 0), owned("/etc", 0), owned("/tmp", 0), owned("/workspace", user),
		owned(inside.GatewayDir, user))
	for _, name := range []string{inside.LaunchPath, inside.RelayPath, inside.ForwardPath, inside.GatewayPath, workerPath} {
		err = errors.Join(err, t.WriteHeader(&tar.Header{
			Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(name, "/"), Linkname: path.Base(inside.Binary), Mode: 0o777,
		}))
	}
	for name, text := range map[string]string{ //nolint:gosec // nobody has a password here
		"etc/passwd": "root:x:0:0::/:/\nrelay:x:65531:65531::/:/\nagent:x:65532:65532::/workspace:/\n",
		"etc/group":  "root:x:0:\nrelay:x:65531:\nagent:x:65532:\n",
	} {
		err = errors.Join(err, t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}))
		if err == nil {
			_, err = io.WriteString(t, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if err == nil {
			err = add(t, strings.TrimPrefix(name, "/"), b.files[name])
		}
	}
	return errors.Join(err, t.Close())
}

func add(t *tar.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}
