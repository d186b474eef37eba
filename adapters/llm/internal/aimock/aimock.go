// Package aimock runs @copilotkit/aimock, a mock of model APIs by another project, for the tests of the adapters: what it speaks
// was not written by whoever wrote the adapters. It is a program for Node.js, which the tests therefore need.
package aimock

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // for the files below
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

//go:embed package.json
var manifest []byte

//go:embed package-lock.json
var lock []byte

//go:embed fixtures.json
var fixtures []byte

// Install puts the locked version into the user's cache, unless it is there, and returns its folder. Concurrent calls and
// processes may install at the same time; one of them wins.
func Install(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("aimock: %w", err)
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "bureau", "npm", "aimock-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(program(dir)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o750); err != nil {
		return "", fmt.Errorf("aimock: %w", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "aimock-*.new")
	if err != nil {
		return "", fmt.Errorf("aimock: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := errors.Join(
		os.WriteFile(filepath.Join(fresh, "package.json"), manifest, 0o600),
		os.WriteFile(filepath.Join(fresh, "package-lock.json"), lock, 0o600),
	); err != nil {
		return "", fmt.Errorf("aimock: %w", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("aimock: npm is not installed; the tests of the model adapters need Node.js 20.15 or newer with npm")
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("aimock: npm ci: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(fresh, dir); err != nil {
		// Another process was faster.
		if _, missing := os.Stat(program(dir)); missing != nil {
			return "", fmt.Errorf("aimock: %w", err)
		}
	}
	return dir, nil
}

func program(dir string) string {
	return filepath.Join(dir, "node_modules", "@copilotkit", "aimock", "dist", "cli.js")
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// startTimeout is how long the server may take to listen.
const startTimeout = 30 * time.Second

// Start runs the server with fixtures.json on a free port until the test ends, and returns its address. It fails the test when
// Node.js is not there.
func Start(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("aimock: node is not installed; the tests of the model adapters need Node.js 20.15 or newer with npm")
	}
	dir, err := Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "fixtures.json")
	if err := os.WriteFile(data, fixtures, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, program(dir), "--port", "0", "--fixtures", data, "--chunk-size", "5", "--strict")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := &tail{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatalf("aimock: %v", err)
	}
	found := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(io.TeeReader(out, log))
		for lines.Scan() {
			if m := listening.FindSubmatch(lines.Bytes()); m != nil {
				found <- string(m[1])
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait() // it was killed
	})
	select {
	case url := <-found:
		return url
	case <-drained:
		t.Fatalf("aimock: the server ended at its start:\n%s", log)
	case <-time.After(startTimeout):
		t.Fatalf("aimock: the server does not listen after %v:\n%s", startTimeout, log)
	}
	return ""
}

// tail keeps what a process says, for the message of a failed start.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 8<<10 {
		t.text = t.text[len(t.text)-8<<10:]
	}
	return len(p), nil
}

// String returns the last lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
