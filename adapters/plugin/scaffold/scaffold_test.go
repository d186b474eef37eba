package scaffold_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"go/format"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/plugin/host"
	"github.com/bureau-agents/bureau/adapters/plugin/scaffold"
	"github.com/bureau-agents/bureau/core/skill"
)

// Whoever writes a plugin starts from something that works: it builds, passes its own test without the network, and a server
// takes it.
func TestWhatIsWrittenWorks(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	for kind, name := range map[skill.Kind]string{skill.KindSkill: "word_count", skill.KindRule: "long-words"} {
		t.Run(string(kind), func(t *testing.T) {
			dir, err := scaffold.Write(t.Context(), scaffold.Options{
				Name: name, Kind: kind, Dir: filepath.Join(t.TempDir(), "new", name), Source: "../../..",
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"vet", "./..."}, {"build", "-o", name, "."}, {"test", "./..."}} {
				cmd := exec.CommandContext(t.Context(), "go", args...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
			for _, file := range []string{"main.go", "main_test.go"} {
				src, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				if pretty, err := format.Source(src); err != nil || !bytes.Equal(src, pretty) {
					t.Errorf("%s is not formatted (%v)", file, err)
				}
			}

			h, err := host.New(host.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Stop(context.Background())
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(b)
			d, err := h.Describe(t.Context(), skill.Binary{
				Name: name, Digest: hex.EncodeToString(sum[:]),
				Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
			})
			if err != nil || d.Kind != kind || d.Program != name {
				t.Errorf("the host takes it for %+v, %v", d, err)
			}
			if _, err := scaffold.Write(t.Context(), scaffold.Options{Name: name, Kind: kind, Dir: dir, Source: "../../.."}); !errors.Is(err, scaffold.ErrNotEmpty) {
				t.Errorf("over itself: %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for what, o := range map[string]scaffold.Options{
		"no name":        {Kind: skill.KindSkill, Source: "../../.."},
		"a path":         {Name: "../x", Kind: skill.KindSkill, Source: "../../.."},
		"no kind":        {Name: "x", Source: "../../.."},
		"no checkout":    {Name: "x", Kind: skill.KindSkill, Source: t.TempDir()},
		"nothing to use": {Name: "x", Kind: skill.KindSkill},
	} {
		o.Dir = filepath.Join(t.TempDir(), "x")
		if _, err := scaffold.Write(t.Context(), o); err == nil {
			t.Errorf("%s: no error", what)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Errorf("%s: something was written", what)
		}
	}
}
