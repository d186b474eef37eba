// Package scaffold writes the beginning of a plugin: a Go module of its own that builds, passes its test, and does something.
package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"

	"github.com/bureau-agents/bureau/core/skill"
)

const module = "github.com/bureau-agents/bureau"

//go:embed templates
var templates embed.FS

// Options say what to write.
type Options struct {
	// Name of the plugin: [a-z0-9_-]{1,64}; required.
	Name string
	// Kind is what it serves; required.
	Kind skill.Kind
	// Dir is where to write it, a folder that is empty or missing; "" is Name in the working directory.
	Dir string
	// Module is the Go module's path; "" is example.com/plugins/NAME.
	Module string
	// Source is the root of a checkout that the module takes the SDK from; "" takes the released version Version.
	Source string
	// Version of the SDK when there is no Source: "v1.2.3".
	Version string
	// Go is the go command that completes go.mod and go.sum; "" looks it up.
	Go string
}

// ErrNotEmpty is returned when Options.Dir holds something already.
var ErrNotEmpty = errors.New("the folder is not empty")

var names = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// Write writes the module and lets the go command note the versions of everything it needs, from the module cache where it can. It
// returns the absolute path of the folder.
func Write(ctx context.Context, o Options) (string, error) {
	if !names.MatchString(o.Name) {
		return "", fmt.Errorf("the name %q must have 1 to 64 of the characters a-z, 0-9, _ and -", o.Name)
	}
	if o.Kind != skill.KindSkill && o.Kind != skill.KindRule {
		return "", fmt.Errorf("the kind must be %s or %s, not %q", skill.KindSkill, skill.KindRule, o.Kind)
	}
	if o.Dir == "" {
		o.Dir = o.Name
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("%s: %w", dir, ErrNotEmpty)
	}
	if o.Module == "" {
		o.Module = "example.com/plugins/" + o.Name
	}
	data := struct {
		Name, Module, Go, Version, Source string
	}{Name: o.Name, Module: o.Module, Version: o.Version}
	var sums []byte
	switch {
	case o.Source != "":
		if data.Source, err = filepath.Abs(o.Source); err != nil {
			return "", err
		}
		if data.Go, sums, err = readCheckout(data.Source); err != nil {
			return "", err
		}
		data.Version = "v0.0.0-00010101000000-000000000000" // what Go writes for a module that is always replaced
	case !strings.HasPrefix(o.Version, "v") || strings.HasPrefix(o.Version, "v0.0.0-"): // the latter names a commit
		return "", errors.New("this is not a released version of bureau, so the plugin needs a checkout to take the SDK from: " +
			"name its folder by --source or BUREAU_SOURCE")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the user's own source
		return "", err
	}
	files, err := render(o.Kind, data)
	if err != nil {
		return "", err
	}
	if len(sums) > 0 {
		files["go.sum"] = sums
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil { //nolint:gosec // the user's own source
			return "", err
		}
	}
	return dir, complete(ctx, o.Go, dir)
}

// readCheckout returns the Go version and the checksums of a checkout.
func readCheckout(root string) (goVersion string, sums []byte, err error) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !bytes.HasPrefix(mod, []byte("module "+module+"\n")) {
		return "", nil, fmt.Errorf("%s is not a checkout of %s", root, module)
	}
	for line := range strings.SplitSeq(string(mod), "\n") {
		if v, ok := strings.CutPrefix(line, "go "); ok {
			goVersion = strings.TrimSpace(v)
		}
	}
	sums, err = os.ReadFile(filepath.Join(root, "go.sum"))
	return goVersion, sums, err
}

// render fills the templates of a kind; the suffix .tmpl keeps them from being taken for source of this module.
func render(kind skill.Kind, data any) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, folder := range []string{"templates", "templates/" + string(kind)} {
		entries, err := templates.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			t, err := template.ParseFS(templates, path.Join(folder, e.Name()))
			if err != nil {
				return nil, err
			}
			var b bytes.Buffer
			if err := t.Execute(&b, data); err != nil {
				return nil, err
			}
			name := strings.TrimSuffix(e.Name(), ".tmpl")
			if name == "gitignore" {
				name = ".gitignore"
			}
			files[name] = b.Bytes()
		}
	}
	return files, nil
}

// complete lets the go command write down which modules the new one needs.
func complete(ctx context.Context, goCmd, dir string) error {
	if goCmd == "" {
		var err error
		if goCmd, err = exec.LookPath("go"); err != nil {
			return fmt.Errorf("%s was written; install Go and run `go mod tidy` in it: %w", dir, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, goCmd, "list", "-mod=mod", "-deps", "-test", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		out = bytes.TrimSpace(out)
		return fmt.Errorf("%s was written, but go could not find what it needs; run `go mod tidy` in it: %w: %s", dir, err, out[max(0, len(out)-1000):])
	}
	return nil
}
