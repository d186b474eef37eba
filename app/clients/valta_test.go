package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app/apptest"
)

// TestValtaSDK builds the TypeScript client of the valta face and drives a server with it.
func TestValtaSDK(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	out, err := exec.CommandContext(t.Context(), "../../scripts/valta-sdk.sh").Output()
	if err != nil {
		t.Fatalf("the TypeScript client does not build: %v\n%s", err, stderrOf(err))
	}
	sdk := strings.TrimSpace(string(out))
	t.Run("against a server", func(t *testing.T) {
		t.Parallel()
		s := apptest.Start(t, apptest.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", "valta/drive.mjs")
		cmd.Env = append(os.Environ(), "VALTA_SDK="+sdk, "VALTA_URL="+s.URL, "VALTA_KEY="+s.BootstrapKey(), "VALTA_API_KEY=", "VALTA_BASE_URL=", "NO_PROXY=*")
		report(t, cmd)
	})
	t.Run("against bad networks", func(t *testing.T) {
		t.Parallel()
		dir := linked(t, sdk, "../../sdk/typescript/test", "test")
		run(t, dir, "node", "--test", "test/")
	})
	t.Run("types", func(t *testing.T) {
		t.Parallel()
		dir := linked(t, sdk, "valta", "valta")
		run(t, dir, "node", filepath.Join(sdk, "node_modules/typescript/bin/tsc"), "--noEmit", "--strict", "--exactOptionalPropertyTypes",
			"--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "valta/usage.ts")
	})
}

// linked makes a project that has the package, as dist and by its name, and the files of a folder.
func linked(t *testing.T, sdk, folder, as string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, as), os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type":"module"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"dist": filepath.Join(sdk, "dist"), "node_modules/valta-sdk": sdk} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program in a folder and fails the test when it fails.
func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
