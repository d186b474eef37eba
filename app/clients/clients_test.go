// Package clients drives a running server with client libraries that other projects wrote: what they understand, and what they
// send, was not decided here.
package clients

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/apptest"
)

// patience bounds one program.
const patience = 4 * time.Minute

func TestClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	dir := installed(t)
	programs := map[string][]string{
		"JavaScript":       {"node", "js/drive.mjs"},
		"older JavaScript": {"node", "js/drive.mjs"},
		"Python":           {filepath.Join(dir, "python", "bin", "python"), "python/drive.py"},
	}
	for name, args := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.Start(t, apptest.Config{})
			sdk := "sdk-current"
			if strings.HasPrefix(name, "older") {
				sdk = "sdk-older"
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Env = append(os.Environ(), "BUREAU_URL="+s.URL, "BUREAU_KEY="+s.BootstrapKey(), "BUREAU_CLIENTS="+dir, "BUREAU_SDK="+sdk,
				"ANTHROPIC_API_KEY=", "ANTHROPIC_AUTH_TOKEN=", "ANTHROPIC_BASE_URL=", "NO_PROXY=*")
			report(t, cmd)
		})
	}
}

// installed returns the folder of what the set-up installs.
func installed(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../../scripts/clients.sh").Output()
	if err != nil {
		t.Fatalf("the client libraries are not there: %v\n%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}

// stderrOf returns what a program that failed had to say.
func stderrOf(err error) []byte {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Stderr
	}
	return nil
}

// report runs a program and makes a subtest of every step that it reports.
func report(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &failed
	err := cmd.Run()
	steps := 0
	for line := range strings.Lines(said.String()) {
		line = strings.TrimSpace(line)
		if name, good := strings.CutPrefix(line, "ok "); good {
			steps++
			t.Run(name, func(*testing.T) {})
		} else if text, bad := strings.CutPrefix(line, "FAIL "); bad {
			steps++
			name, reason, _ := strings.Cut(text, ": ")
			t.Run(name, func(t *testing.T) { t.Error(reason) })
		}
	}
	if err != nil || steps == 0 {
		t.Errorf("%s: %v after %d steps\n%s", strings.Join(cmd.Args, " "), err, steps, failed.String())
	}
}
