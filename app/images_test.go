package app_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// engine returns where the tests' Docker engine listens.
var engine = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("BUREAU_TEST_DOCKER_HOST"); host != "" {
		return host, nil
	}
	out, err := exec.Command("../scripts/docker.sh", "status").Output()
	if err != nil {
		return "", errors.New("there is no Docker engine to test against: start one with scripts/docker.sh up, as root, " +
			"or say by BUREAU_TEST_DOCKER_HOST where one listens")
	}
	return strings.TrimSpace(string(out)), nil
})

// onDocker has a server host its agents on the tests' engine.
func onDocker(tb testing.TB, dir *string) func(*app.Config) {
	tb.Helper()
	host, err := engine()
	if err != nil {
		tb.Fatal(err)
	}
	stop := false
	return func(c *app.Config) {
		c.Runtime.Provider, c.Hosting.Docker.Host, c.Hosting.KeepRunning = "docker", host, &stop
		*dir = c.DataDir
	}
}

const parrotImage = "bureau-test-parrot:1"

// parrotReady makes an image of one program without a libc, and of nothing else.
var parrotReady = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "bureau-parrot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "parrot")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/parrot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	_ = w.WriteHeader(&tar.Header{Name: "parrot", Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
	_, _ = w.Write(content)
	if err := w.Close(); err != nil {
		return err
	}
	host, err := engine()
	if err != nil {
		return err
	}
	c, err := client.New(client.WithHost(host))
	if err != nil {
		return err
	}
	defer c.Close()
	name, tag, _ := strings.Cut(parrotImage, ":")
	got, err := c.ImageImport(context.Background(), client.ImageImportSource{Source: &image, SourceName: "-"}, name,
		client.ImageImportOptions{Tag: tag, Changes: []string{`CMD ["/parrot"]`}})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, got)
	return errors.Join(err, got.Close())
})

// found counts the containers and the volumes of a server.
func found(t *testing.T, dataDir string) (containers, volumes int) {
	t.Helper()
	host, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	site, err := os.ReadFile(filepath.Join(dataDir, "site"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	of := make(client.Filters).Add("label", "bureau.server="+strings.TrimSpace(string(site)))
	cs, err := c.ContainerList(t.Context(), client.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	vs, err := c.VolumeList(t.Context(), client.VolumeListOptions{Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	return len(cs.Items), len(vs.Items)
}

// TestImages hosts an image on a Docker engine: it gets the agent's documents and secrets, answers in place of a model, is started again when
// it does not answer any more or is asked to, has its log followed without its secrets, and leaves nothing.
func TestImages(t *testing.T) {
	t.Parallel()
	if err := parrotReady(); err != nil {
		t.Fatal(err)
	}
	var data string
	change := onDocker(t, &data)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		change(c)
		c.Hosting.HealthEvery = 100 * time.Millisecond
	}})
	api := s.Admin.In(t)
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "Polly", "model": "offline"}, &made)
	own, compat := "/v1/agents/"+made.ID, agentoPrefix+"/v1/agents/"+made.ID
	api.Call("PUT", own+"/personality", m{"soul_md": "I am a parrot."}, nil)
	api.Call("PUT", own+"/secrets", m{"secrets": m{"PARROT_TOKEN": "cracker-4711-cracker"}}, nil)
	api.Call("PATCH", own+"/hosting", m{"limits": m{"memory": 64 << 20}, "program": m{
		"image": parrotImage, "port": 8700, "health_path": "/health", "model": "polly", "token_name": "PARROT_TOKEN",
	}}, nil)
	var hosted hostedAgent
	running := func() bool {
		hosted = hostedAgent{}
		api.Call("GET", own+"/hosting", nil, &hosted)
		return hosted.Status == "running"
	}
	if api.Call("POST", own+"/start", nil, nil); !running() {
		eventually(t, "it runs", running)
	}
	say := func(text, want string) {
		t.Helper()
		same(t, want, chat(t, api, compat+"/chat/messages", m{"message": text, "peerId": "ada"}).text)
	}
	say("Hello!", "Squawk: Hello! (message 1, I am a parrot.)")
	var status struct {
		Data struct {
			Live      bool
			Resources struct{ MemoryUsage string }
		}
	}
	if api.Call("GET", compat+"/status", nil, &status); !status.Data.Live || !strings.HasSuffix(status.Data.Resources.MemoryUsage, "/ 64MiB") {
		t.Errorf("status: %+v", status)
	}
	follow := api.Stream("GET", compat+"/logs/stream?tail=100", nil)
	log := ""
	for _, e := range follow.Until(func(e apptest.Event) bool { return strings.Contains(string(e.Data), "asked as polly") }) {
		log += string(e.Data) + "\n"
	}
	if !strings.Contains(log, "with Bearer [redacted") || strings.Contains(log, "cracker") {
		t.Errorf("the log:\n%s", log)
	}

	say("Fall ill.", "Squawk: Fall ill. (message 2, I am a parrot.)")
	eventually(t, "it is found ill", func() bool { return running() && hosted.LastError != "" })
	if !strings.Contains(hosted.LastError, "checks in a row without an answer: ") || !strings.Contains(hosted.LastError, "/health answers with status 503") {
		t.Errorf("hosted: %+v", hosted)
	}
	say("Better?", "Squawk: Better? (message 3, I am a parrot.)")

	api.Call("PUT", own+"/secrets", m{"secrets": m{"PARROT_TOKEN": "another-4712-another"}}, nil)
	if api.Call("POST", compat+"/restart", nil, nil); !running() || hosted.NeedsRestart || hosted.LastError != "" {
		t.Errorf("after a restart: %+v", hosted)
	}
	say("Anew.", "Squawk: Anew. (message 4, I am a parrot.)")
	log = ""
	for n := 0; n < 3; {
		e, ok := follow.Next()
		if !ok {
			t.Fatal("the log ends with a restart")
		}
		if log += string(e.Data) + "\n"; strings.Contains(string(e.Data), "asked as polly") {
			n++
		}
	}
	follow.Close()
	if strings.Contains(log, "another") {
		t.Errorf("the log:\n%s", log)
	}
	if containers, volumes := found(t, data); containers == 0 || volumes != 1 {
		t.Errorf("%d containers and %d volumes", containers, volumes)
	}
	api.Call("DELETE", compat, nil, nil)
	eventually(t, "nothing is left of it", func() bool { containers, volumes := found(t, data); return containers+volumes == 0 })
}
