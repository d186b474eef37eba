// Package shipped finds the plugins that come with the server. A release has their binaries in the folder "plugins" beside its own;
// a server that runs from a checkout of the source builds them, once for each state of the source, into the user's cache.
package shipped

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/skill"
)

const module = "github.com/bureau-agents/bureau"

// table is what a release ships. Descriptions are shown until a binary can speak for itself.
var table = []struct {
	name        string
	kind        skill.Kind
	folder      string
	description string
}{
	{"calculator", skill.KindSkill, "plugins/skills/calculator", "Works out arithmetic exactly."},
	{"http_fetch", skill.KindSkill, "plugins/skills/http_fetch", "Fetches a web page from a public URL and returns its readable text."},
	{"approval_threshold", skill.KindRule, "plugins/rules/approval_threshold", "Asks a person about payments and transfers at or above an amount."},
	{"business_hours", skill.KindRule, "plugins/rules/business_hours", "Lets agents pay and transfer at certain times of the week only."},
	{"cel", skill.KindRule, "plugins/rules/cel", "Judges acts by an expression in CEL."},
	{"payee_list", skill.KindRule, "plugins/rules/payee_list", "Says whom an agent may pay, by name and by host."},
	{"spend_limit", skill.KindRule, "plugins/rules/spend_limit", "Caps what an agent pays and transfers in a window."},
}

// Config says where to look; the zero value of each field but Logger looks in the usual places.
type Config struct {
	// Logger is required.
	Logger *slog.Logger
	// Dir is the folder with the binaries; "" is "plugins" beside the running executable. A folder without them is not an error.
	Dir string
	// Checkout is the root of the source; "" is where this server was compiled from, if that is still there.
	Checkout string
	// Cache is where binaries are built into; "" is "bureau/plugins" in the user's cache directory, or without one in Fallback.
	Cache string
	// Fallback is used where the user has no cache directory: a folder of the server's own; "" is the system's temporary one.
	Fallback string
	// Go is the go command; "" looks it up.
	Go string
}

// Source is a skill.Shipped. It is safe for concurrent use.
type Source struct {
	cfg Config

	mu    sync.Mutex
	known map[file]string // digests of files that were read before
	warn  sync.Once
}

// file identifies the content of a binary without reading it.
type file struct {
	path string
	size int64
	time time.Time
}

var _ skill.Shipped = (*Source)(nil)

// New checks cfg. Nothing is read or built.
func New(cfg Config) (*Source, error) {
	if cfg.Logger == nil {
		return nil, errors.New("shipped: Config.Logger is required")
	}
	if cfg.Dir == "" {
		if exe, err := os.Executable(); err == nil {
			if real, err := filepath.EvalSymlinks(exe); err == nil {
				exe = real
			}
			cfg.Dir = filepath.Join(filepath.Dir(exe), "plugins")
		}
	}
	if cfg.Checkout == "" {
		cfg.Checkout = Checkout()
	}
	if cfg.Cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			if dir = cfg.Fallback; dir == "" {
				dir = os.TempDir()
			}
		}
		cfg.Cache = filepath.Join(dir, "bureau", "plugins")
	}
	return &Source{cfg: cfg, known: map[file]string{}}, nil
}

// List implements skill.Shipped. It names nothing when there are neither binaries nor source, and says so in the log.
func (s *Source) List(ctx context.Context) ([]skill.ShippedPlugin, error) {
	var out []skill.ShippedPlugin
	var missing []string
	source := ""
	for _, p := range table {
		sp := skill.ShippedPlugin{Name: p.name, Kind: p.kind, Description: p.description}
		if path, ok := s.prebuilt(p.name); ok {
			digest, err := s.digest(path)
			if err != nil {
				return nil, err
			}
			sp.Source = "binary:" + digest
		} else {
			if source == "" {
				var err error
				if source, err = s.fingerprint(); err != nil {
					return nil, err
				}
			}
			if source == none {
				missing = append(missing, p.name)
				continue
			}
			sp.Source = "source:" + source
		}
		out = append(out, sp)
	}
	if len(missing) > 0 {
		s.warn.Do(func() {
			s.cfg.Logger.WarnContext(ctx, "shipped plugins are missing: there are neither binaries nor source",
				"plugins", missing, "looked_in", s.cfg.Dir, "source", s.cfg.Checkout)
		})
	}
	return out, nil
}

// Open implements skill.Shipped.
func (s *Source) Open(ctx context.Context, name string) (skill.ShippedBinary, error) {
	path, ok := s.prebuilt(name)
	if !ok {
		dir, err := s.build(ctx)
		if err != nil {
			return skill.ShippedBinary{}, err
		}
		path = filepath.Join(dir, exe(name))
	}
	digest, err := s.digest(path)
	if err != nil {
		return skill.ShippedBinary{}, err
	}
	return skill.ShippedBinary{
		Digest: digest,
		Open:   func() (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}

// prebuilt returns the path of a binary that came with a release.
func (s *Source) prebuilt(name string) (string, bool) {
	if s.cfg.Dir == "" {
		return "", false
	}
	path := filepath.Join(s.cfg.Dir, exe(name))
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular()
}

func exe(name string) string {
	if runtime.GOOS == "windows" {
		return name + ".exe"
	}
	return name
}

// digest returns the SHA-256 of a file, from memory while the file looks unchanged.
func (s *Source) digest(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	key := file{path, info.Size(), info.ModTime()}
	s.mu.Lock()
	digest, ok := s.known[key]
	s.mu.Unlock()
	if ok {
		return digest, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	digest = hex.EncodeToString(sum.Sum(nil))
	s.mu.Lock()
	s.known[key] = digest
	s.mu.Unlock()
	return digest, nil
}

// none is the fingerprint of a source that is not there.
const none = "none"

// fingerprint identifies everything that the binaries are made of: the source of plugins and ports, the versions of the libraries,
// and the compiler.
func (s *Source) fingerprint() (string, error) {
	root := s.cfg.Checkout
	if root == "" || !isCheckout(root) {
		return none, nil // a server is not always run from its source
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	add := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.ToSlash(rel), len(b))
		sum.Write(b)
		return nil
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := add(filepath.Join(root, name)); err != nil {
			return "", err
		}
	}
	for _, folder := range []string{"plugins", "ports"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "testdata":
				return filepath.SkipDir
			case !d.Type().IsRegular() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			return add(path)
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// build returns the folder with the binaries of the source as it is now. It builds them when nobody has, and waits for another
// server of the same user that is building them.
func (s *Source) build(ctx context.Context) (string, error) {
	source, err := s.fingerprint()
	if err != nil {
		return "", err
	}
	if source == none {
		return "", fmt.Errorf("there is no binary in %s and no source to build it from", s.cfg.Dir)
	}
	dir := filepath.Join(s.cfg.Cache, source)
	if s.complete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(s.cfg.Cache, 0o700); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(s.cfg.Cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.complete(dir) {
		return dir, nil
	}
	goCmd := s.cfg.Go
	if goCmd == "" {
		if goCmd, err = exec.LookPath("go"); err != nil {
			return "", fmt.Errorf("the shipped plugins must be built from %s, and there is no go command: install Go, or put the binaries into %s: %w",
				s.cfg.Checkout, s.cfg.Dir, err)
		}
	}
	tmp, err := os.MkdirTemp(s.cfg.Cache, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	args := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", tmp + string(filepath.Separator)}
	for _, p := range table {
		args = append(args, "./"+p.folder)
	}
	began := time.Now()
	s.cfg.Logger.InfoContext(ctx, "building the shipped plugins", "source", s.cfg.Checkout)
	cmd := exec.CommandContext(ctx, goCmd, args...)
	cmd.Dir = s.cfg.Checkout
	cmd.Env = s.env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build of the shipped plugins: %w: %s", err, tail(out))
	}
	s.cfg.Logger.InfoContext(ctx, "built the shipped plugins", "took", time.Since(began).Round(time.Millisecond).String())
	if err := os.Rename(tmp, dir); err != nil && !s.complete(dir) { // without locks another server may have come first
		return "", err
	}
	s.prune(dir)
	return dir, nil
}

func (s *Source) complete(dir string) bool {
	for _, p := range table {
		if info, err := os.Stat(filepath.Join(dir, exe(p.name))); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// env is the environment of the compiler: the user's, without what is the server's own.
func (s *Source) env() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "BUREAU_") })
	env = append(env, "GOWORK=off")
	if _, err := os.UserCacheDir(); err != nil && os.Getenv("GOCACHE") == "" {
		env = append(env, "GOCACHE="+filepath.Join(s.cfg.Cache, "go-build"))
	}
	return env
}

// tail is the end of a compiler's output, where its errors are.
func tail(out []byte) string {
	out = bytes.TrimSpace(out)
	if len(out) > 2000 {
		out = out[len(out)-2000:]
	}
	return string(out)
}

// kept is how many states of the source keep their binaries in the cache.
const kept = 4

// prune removes the oldest builds. Nobody needs them: a server that runs has its plugins in its own store.
func (s *Source) prune(except string) {
	entries, err := os.ReadDir(s.cfg.Cache)
	if err != nil {
		return
	}
	type build struct {
		path string
		time time.Time
	}
	var builds []build
	for _, e := range entries {
		info, err := e.Info()
		path := filepath.Join(s.cfg.Cache, e.Name())
		if err != nil || !e.IsDir() || path == except || e.Name() == "go-build" || strings.HasPrefix(e.Name(), "build-") &&
			time.Since(info.ModTime()) < time.Hour {
			continue
		}
		builds = append(builds, build{path, info.ModTime()})
	}
	slices.SortFunc(builds, func(a, b build) int { return b.time.Compare(a.time) })
	for i, b := range builds {
		if i >= kept-1 {
			_ = os.RemoveAll(b.path)
		}
	}
}

// Checkout returns the root of the source that this server was compiled from, and "" when it is not there. A binary whose paths were
// trimmed is taken for one of the checkout that it lies in.
func Checkout() string {
	if _, self, _, ok := runtime.Caller(0); ok && filepath.IsAbs(self) {
		root := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(self))))
		if isCheckout(root) {
			return root
		}
		return ""
	}
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return ""
	}
	for dir := filepath.Dir(exe); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if isCheckout(dir) {
			return dir
		}
	}
	return ""
}

func isCheckout(root string) bool {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	return err == nil && bytes.HasPrefix(mod, []byte("module "+module+"\n"))
}
