package sandbox

import (
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// readable is a sandbox of which files are read only. Everything else panics.
type readable struct {
	runtime.Sandbox

	files fstest.MapFS
}

func (r readable) name(p string) string { return strings.TrimPrefix(p, "/") }

func (r readable) Open(_ context.Context, p string) (fs.File, error) { return r.files.Open(r.name(p)) }

func (r readable) Stat(_ context.Context, p string) (fs.FileInfo, error) {
	return r.files.Stat(r.name(p))
}

func (r readable) ReadDir(_ context.Context, p string) ([]fs.DirEntry, error) {
	return r.files.ReadDir(r.name(p))
}

// A text that grows by what replaces each of its letters would take more memory than there is.
func TestEditGrowth(t *testing.T) {
	t.Parallel()
	s := &Service{cfg: Config{}.withDefaults(), d: Deps{Logger: slog.New(slog.DiscardHandler)}}
	sb := readable{files: fstest.MapFS{"workspace/a": {Data: []byte(strings.Repeat("a", 1<<20))}}}
	raw, err := json.Marshal(map[string]any{
		"file_path": "a", "old_string": "a", "new_string": strings.Repeat("b", 64), "replace_all": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.edit(context.Background(), &scene{sandbox: sb}, raw)
	if err != nil || !res.IsError || !strings.Contains(res.Text, "bytes") {
		t.Errorf("%+v %v", res, err)
	}
}

// Trees that are deeper than any program's are looked at as far as that costs little.
func TestWalkDepth(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, depth := range []int{1, maxWalkDepth, maxWalkDepth + 1} {
		files["workspace/"+strings.Repeat("a/", depth)+"file"] = &fstest.MapFile{}
	}
	found := 0
	err := walk(context.Background(), readable{files: files}, "/workspace", walkLimits{}, func(string, fs.FileInfo) error {
		found++
		return nil
	})
	if err != nil || found != 2 {
		t.Errorf("%d files, %v; want 2", found, err)
	}
}

// The time of a search is the server's.
func TestSearchEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g := grepping{most: 1 << 20}
	box := readable{files: fstest.MapFS{"workspace/a": {Data: []byte("text\n")}}}
	info, err := box.Stat(context.Background(), "/workspace/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.file(ctx, box, "/workspace/a", info); err == nil {
		t.Error("a file was searched to its end by a search that has ended")
	}
}
