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

// TestPythonSDK drives a server with the Python client of the valar face, with the newest and with the oldest libraries that it works with.
func TestPythonSDK(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	out, err := exec.CommandContext(t.Context(), "../../scripts/python-sdk.sh").Output()
	if err != nil {
		t.Fatalf("the Python client cannot be tested: %v\n%s", err, stderrOf(err))
	}
	environments := strings.TrimSpace(string(out))
	sdk, err := filepath.Abs("../../sdk/python")
	if err != nil {
		t.Fatal(err)
	}
	for _, which := range []string{"newest", "oldest"} {
		t.Run(which, func(t *testing.T) {
			t.Parallel()
			s := apptest.Start(t, apptest.Config{})
			var reader struct{ Key string }
			s.Admin.Call("POST", "/v1/api_keys", object{"name": "reader", "scopes": []string{"agents:read"}}, &reader)
			runPython(t, filepath.Join(environments, which), sdk, []string{
				"PYTHONPATH=" + sdk, "VALAR_URL=" + s.URL + "/compat/valar", "VALAR_KEY=" + s.BootstrapKey(), "VALAR_READER_KEY=" + reader.Key,
			}, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "tests")
		})
	}
	t.Run("installed", func(t *testing.T) {
		t.Parallel()
		env, to := filepath.Join(environments, "newest"), t.TempDir()
		runPython(t, env, sdk, nil, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps",
			"--no-build-isolation", "--target", to, ".")
		runPython(t, env, to, nil, "-c", "import sdk, sdk.exceptions; sdk.AgentManagementClient('http://127.0.0.1', 'key')")
		if _, err := os.Stat(filepath.Join(to, "sdk", "py.typed")); err != nil {
			t.Errorf("type checkers will not find the types: %v", err)
		}
	})
}

// runPython runs the Python of an environment in a folder, in which it leaves nothing behind.
func runPython(t *testing.T, environment, dir string, env []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(environment, "bin", "python"), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "PYTHONDONTWRITEBYTECODE=1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "NO_PROXY=*")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
