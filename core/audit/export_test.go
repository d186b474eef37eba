package audit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/audit"
)

// An export must verify for as long as somebody keeps it, whatever becomes of the code that wrote it.
func TestGoldenExport(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join("..", "..", "testdata", "trail.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := audit.VerifyExport(f)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Valid bool
		Count int64
		Head  string
	}
	want := result{true, 9, "3585fdd0bb98e3d15393a4c500eba38412cfa57dd0e784c51a0b6bb45babf0c2"}
	if d := cmp.Diff(want, result{r.Valid, r.Count, r.Head}); d != "" {
		t.Errorf("(-want +got) %v\n%s", r.First, d)
	}
}
