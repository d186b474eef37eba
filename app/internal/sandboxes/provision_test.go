package sandboxes_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha1" // what npm registries use
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
)

// wheel is a package for pip with one module and one program.
func wheel(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	files := [][2]string{
		{"teapot.py", "def main():\n    print('short and stout')\n"},
		{"teapot-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: teapot\nVersion: 1.0\n"},
		{"teapot-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"teapot-1.0.dist-info/entry_points.txt", "[console_scripts]\nteapot = teapot:main\n"},
	}
	record := "teapot-1.0.dist-info/RECORD,,\n"
	for _, f := range files {
		record += f[0] + ",,\n"
	}
	for _, f := range append(files, [2]string{"teapot-1.0.dist-info/RECORD", record}) {
		w, err := z.Create(f[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// tarball is a package for npm.
func tarball(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for name, content := range map[string]string{
		"package/package.json": `{"name":"kettle","version":"2.0.0","main":"index.js","bin":{"kettle":"cli.js"}}`,
		"package/index.js":     "module.exports = 'whistles'\n",
		"package/cli.js":       "#!/usr/bin/env node\nconsole.log(require('./index.js'))\n",
	} {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// registry serves a package for pip and one for npm, and counts its requests.
func registry(t *testing.T, requests *atomic.Int64, down *atomic.Bool) *httptest.Server {
	t.Helper()
	whl, tgz := wheel(t), tarball(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/simple/teapot/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="/files/teapot-1.0-py3-none-any.whl">teapot-1.0-py3-none-any.whl</a>`)
	})
	mux.HandleFunc("/files/teapot-1.0-py3-none-any.whl", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(whl) })
	mux.HandleFunc("/kettle", func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.Sum(tgz)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":"kettle","dist-tags":{"latest":"2.0.0"},"versions":{"2.0.0":{"name":"kettle","version":"2.0.0",
			"bin":{"kettle":"cli.js"},"dist":{"tarball":"http://%s/kettle.tgz","shasum":"%s"}}}}`, r.Host, hex.EncodeToString(sum[:]))
	})
	mux.HandleFunc("/kettle.tgz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(tgz) })
	return listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusNotFound)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

func TestPackages(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"/usr/bin/python3", "/usr/bin/npm"} {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("this machine has no %s", program)
		}
	}
	var requests atomic.Int64
	var down atomic.Bool
	srv := registry(t, &requests, &down)
	w := setup(t, func(w *world, rt *process.Config) {
		rt.EgressAllow = []string{srv.Listener.Addr().String()}
		w.cfg.Env = map[string]string{
			"PIP_INDEX_URL": srv.URL + "/simple", "PIP_TRUSTED_HOST": "127.0.0.2", "npm_config_registry": srv.URL + "/", "PIP_RETRIES": "0",
			"npm_config_fetch_retries": "0",
		}
	})
	config := environment.Config{
		Networking: environment.Networking{Type: environment.Limited, AllowPackageManagers: true},
		Packages:   environment.Packages{Pip: []string{"teapot==1.0"}, Npm: []string{"kettle"}},
	}
	w.sess.Environment = w.environment(config)
	w.put(w.sess)

	down.Store(true)
	w.refused("bash", in{"command": "true"}, "could not be installed with npm")
	w.refused("read", in{"file_path": "x"}, "could not be installed with npm")
	told := strings.Join(w.told(), "\n")
	has(t, told, "session.warning installing packages with npm: kettle", "unknown_error packages of the environment could not be installed with npm")
	if n := strings.Count(told, "unknown_error"); n != 1 {
		t.Errorf("the user was told %d times of one failure", n)
	}
	down.Store(false)
	const use = "teapot; python3 -c 'import teapot; teapot.main()'; kettle; node -e 'console.log(require(\"kettle\"))'"
	has(t, w.bash(use), "short and stout\nshort and stout\nwhistles\nwhistles")
	before := requests.Load()
	w.restart()
	has(t, w.bash(use), "short and stout")
	if n := requests.Load(); n != before {
		t.Errorf("a restart asked the registry %d times", n-before)
	}

	t.Run("what this server cannot install", func(t *testing.T) {
		s := w.newSession()
		s.Environment = w.environment(environment.Config{Packages: environment.Packages{Apt: []string{"ffmpeg"}}})
		w.put(s)
		res := w.call(s, "bash", in{"command": "true"})
		has(t, res.Text, "system packages cannot be installed", "ffmpeg")
		if !res.IsError {
			t.Error("it is no error")
		}
		s.Environment = w.environment(environment.Config{Packages: environment.Packages{Cargo: []string{"ripgrep"}}})
		w.put(s)
		if _, err := os.Stat("/usr/bin/cargo"); err == nil {
			t.Skip("this machine has cargo")
		}
		has(t, w.call(s, "bash", in{"command": "true"}).Text, "cargo is not installed on this server")
	})
}

// gitServer serves a repository over HTTP; private is whether it wants a token.
func gitServer(t *testing.T, token string) *httptest.Server {
	t.Helper()
	root := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = filepath.Join(root, "work")
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
			"GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Skipf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(filepath.Join(root, "work"), 0o755); err != nil {
		t.Fatal(err)
	}
	commit := func(content string) {
		if err := os.WriteFile(filepath.Join(root, "work", "README"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		git("add", "README")
		git("commit", "-qm", content)
	}
	git("init", "-q", "-b", "main")
	commit("first")
	git("tag", "start")
	commit("second")
	git("checkout", "-qb", "feature")
	commit("third")
	git("checkout", "-q", "main")
	git("clone", "-q", "--bare", ".", "../tea.git")
	backend := filepath.Join(git("--exec-path"), "git-http-backend")
	h := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
	return listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token != "" {
			if _, password, _ := r.BasicAuth(); password != token {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
		}
		h.ServeHTTP(w, r)
	}))
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	const token = "ghp_very-secret-token"
	srv := gitServer(t, token)
	w := setup(t, func(_ *world, rt *process.Config) { rt.EgressAllow = []string{srv.Listener.Addr().String()} })
	w.token = token
	repo := func(mount string, c *session.Checkout) session.Resource {
		return session.Resource{Type: session.ResourceRepository, URL: srv.URL + "/tea.git", Mount: mount, Checkout: c}
	}
	with := func(list ...session.Resource) {
		w.sess.Resources = list
		// The environment forbids the host: the clone is the session's, not a program's.
		w.sess.Environment = w.environment(environment.Config{Networking: environment.Networking{Type: environment.Limited}})
		w.put(w.sess)
	}
	with(repo("/workspace/tea", nil))
	has(t, w.bash("cat tea/README; git -C tea log --oneline | wc -l; git -C tea status --porcelain; git -C tea remote -v"), "second", "2", srv.URL+"/tea.git")
	if res := w.call(w.sess, "bash", in{"command": "grep -r " + token + " /workspace /home /tmp /mnt /etc 2>/dev/null; env | grep ghp_; cat /proc/*/environ | grep -a ghp_; cat ~/.git-credentials"}); strings.Contains(res.Text, token) {
		t.Errorf("the token is visible: %s", res.Text)
	}
	w.bash("echo changed > tea/README")
	w.restart()
	has(t, w.bash("cat tea/README"), "changed")

	commit := strings.TrimSpace(w.bash("git -C tea rev-parse start"))
	with(repo("/workspace/tea", nil), repo("/workspace/branch", &session.Checkout{Branch: "feature"}), repo("/workspace/commit", &session.Checkout{Commit: commit}))
	has(t, w.bash("cat branch/README commit/README; git -C branch branch --show-current; git -C commit rev-parse HEAD"), "third", "first", "feature", commit)
	with(repo("/workspace/branch", &session.Checkout{Branch: "feature"}))
	has(t, w.bash("ls"), "branch")
	w.refused("read", in{"file_path": "tea/README"}, "no such file")
	if list, err := w.runtime.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("sandboxes of clones are left: %v, %v", list, err)
	}

	for _, c := range []struct {
		name  string
		r     session.Resource
		token string
		typ   string
	}{
		{"a wrong token", repo("/workspace/x1", nil), "wrong", "repository_authentication_error"},
		{"no token", repo("/workspace/x2", nil), "", "repository_authentication_error"},
		{"no such branch", repo("/workspace/x3", &session.Checkout{Branch: "none"}), token, "repository_checkout_error"},
		{"no such commit", repo("/workspace/x4", &session.Checkout{Commit: strings.Repeat("a", 40)}), token, "repository_checkout_error"},
		{
			"no such repository", session.Resource{Type: session.ResourceRepository, URL: srv.URL + "/none.git", Mount: "/workspace/x5"}, token,
			"repository_not_found_error",
		},
		{
			"a private address", session.Resource{Type: session.ResourceRepository, URL: "http://127.0.0.3:1/x.git", Mount: "/workspace/x6"}, token,
			"repository_clone_error",
		},
		{"outside of the sandbox", repo("/data/x7", nil), token, "repository_clone_error"},
	} {
		w.token = c.token
		with(c.r)
		out := w.bash("echo still works")
		has(t, out, "still works", "[note: the repository "+c.r.URL)
		told := w.told()
		has(t, told[len(told)-1], c.typ)
		if strings.Contains(strings.Join(told, " ")+out, token) {
			t.Errorf("%s: the token was told", c.name)
		}
	}
}
