package archtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bureau-agents/bureau"

// pkg is what `go list -test -json` tells of one package.
type pkg struct {
	ImportPath   string
	ForTest      string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// edge is one import inside or out of the module.
type edge struct {
	from, to string
	test     bool // by a _test file, or by a <x>test package
}

func edges(t *testing.T) []edge {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,ForTest,Standard,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []edge
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		from := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, to := range p.Imports {
			all = append(all, edge{from, to, isTestPackage(from)})
		}
		for _, to := range slices.Concat(p.TestImports, p.XTestImports) {
			all = append(all, edge{from, to, true})
		}
	}
	if len(all) < 100 {
		t.Fatalf("go list named only %d imports: the test sees nothing", len(all))
	}
	return all
}

// isTestPackage reports whether a package exists for tests only: its last element ends in "test".
func isTestPackage(path string) bool {
	last := path[strings.LastIndexByte(path, '/')+1:]
	return strings.HasSuffix(last, "test") && last != "test"
}

// folders says, for each folder, which folders of the module it may import. The longest matching prefix counts.
var folders = []struct {
	from   string
	to     []string
	reason string
}{
	{"ports", []string{"ports"}, "ports are the vocabulary at the bottom: whoever implements one must not drag in anything else"},
	{"core", []string{"core", "ports"}, "core is the domain: it knows what it needs, never who provides it"},
	{"plugins", []string{"plugins", "ports"}, "plugin authors must not download the server"},
	{"adapters/plugin/host", []string{"adapters/plugin/host", "adapters/internal", "plugins/proto", "plugins/wire", "core", "ports"},
		"the host is the one place where the two sides of the process border meet"},
	{"adapters", []string{"adapters", "core", "ports"}, "adapters serve core; they never reach up into app, nor into the plugins' side"},
	{"app/clients", []string{"app", "sdk", "core/card"}, "tests of client libraries drive a server from outside; cards are judged without one"},
	{"app", []string{"app", "adapters", "core", "plugins", "ports"}, "app composes everything"},
	{"sdk", []string{"sdk"}, "a client library speaks HTTP and knows nothing of the server's packages"},
}

func TestFolders(t *testing.T) {
	for _, e := range edges(t) {
		to, inside := strings.CutPrefix(e.to, module+"/")
		if !inside {
			continue
		}
		rule := slices.IndexFunc(folders, func(r struct {
			from   string
			to     []string
			reason string
		},
		) bool {
			return under(e.from, r.from)
		})
		if rule < 0 {
			t.Errorf("%s stands outside of the layout", e.from)
			continue
		}
		if !slices.ContainsFunc(folders[rule].to, func(p string) bool { return under(to, p) }) {
			t.Errorf("%s imports %s: %s", e.from, to, folders[rule].reason)
		}
	}
}

func under(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// levels of the contexts of core: a context imports lower ones only.
var levels = map[string]int{
	"account": 0, "card": 0,
	"secret": 1, "model": 1, "file": 1, "audit": 1, "telemetry": 1, "wallet": 1,
	"environment": 2, "integration": 2, "usage": 2, "policy": 2, "skill": 2, "webhook": 2, "validation": 2,
	"agent": 3,
	"gate":  4, "span": 4, "remote": 4,
	"knowledge": 5, "payment": 5, "session": 5, "memory": 5,
	"sandbox": 6, "swarm": 6, "retire": 6, "reconciliation": 6,
	"run": 7, "hosting": 7,
	"eval": 8, "task": 8, "chat": 8,
	"a2a": 9,
}

func TestCoreLevels(t *testing.T) {
	for _, e := range edges(t) {
		from, ok := context(e.from)
		if !ok {
			continue
		}
		if _, known := levels[from]; !known {
			t.Errorf("core/%s has no level: add it to the table and to ARCHITECTURE.md", from)
		}
		to, ok := context(strings.TrimPrefix(e.to, module+"/"))
		if ok && to != from && levels[to] >= levels[from] {
			t.Errorf("core/%s (level %d) imports core/%s (level %d): declare an interface in core/%s and let app wire it",
				from, levels[from], to, levels[to], from)
		}
	}
}

// context returns the name of the context that a path below core belongs to.
func context(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "core/")
	if !ok || strings.HasPrefix(rest, "internal/") {
		return "", false
	}
	name, _, _ := strings.Cut(rest, "/")
	return name, true
}

func TestAdaptersDoNotImportSiblings(t *testing.T) {
	for _, e := range edges(t) {
		to, inside := strings.CutPrefix(e.to, module+"/")
		if !inside || !under(e.from, "adapters") || !under(to, "adapters") {
			continue
		}
		if e.test || unit(e.from) == unit(to) || shared(e.from, to) { // tests run on the real store
			continue
		}
		t.Errorf("%s imports its sibling %s: share through core, a port, or an internal package", e.from, to)
	}
}

// unit is the part of an adapter's path that stands for one technology: adapters/store/bunstore.
func unit(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[:min(3, len(parts))], "/")
}

// shared reports whether to is an internal package that from may use.
func shared(from, to string) bool {
	i := strings.Index(to, "/internal/")
	return i >= 0 && under(from, to[:i])
}

func TestNobodyShipsTestKits(t *testing.T) {
	for _, e := range edges(t) {
		to, inside := strings.CutPrefix(e.to, module+"/")
		if inside && !e.test && isTestPackage(to) && to != "plugins/sdk/sdktest" {
			t.Errorf("%s imports %s: production code must not depend on test kits", e.from, to)
		}
	}
}

// foreign says where a library from outside may appear. A library that is not named is free in adapters, app and sdk.
var foreign = []struct {
	prefix string
	only   []string
	reason string
}{
	{"go.uber.org/fx", []string{"app"}, "constructors stay plain Go, usable without a container"},
	{"github.com/hashicorp/go-plugin", []string{"adapters/plugin/host", "plugins/wire", "plugins/sdk"}, "one place on each side knows how processes talk"},
	{"github.com/uptrace/bun", []string{"adapters/store/bunstore"}, "SQL lives in one package"},
	{"github.com/sashabaranov/go-openai", []string{"adapters/llm/openai", "adapters/embedding/openai"}, "vendor types stop at the adapter's door"},
	{"github.com/anthropics/anthropic-sdk-go", []string{"adapters/llm/anthropic"}, "vendor types stop at the adapter's door"},
	{"github.com/danielgtaylor/huma", []string{"adapters/http"}, "core knows nothing of HTTP"},
	{"github.com/riverqueue/river", []string{"adapters/jobs/river"}, "the queue is behind ports/jobs"},
	{"github.com/spf13/cobra", []string{"app/cmd"}, "only the binary has a command line"},
	{"cel.dev/cel-go", []string{"plugins/rules/cel"}, "expressions are judged outside of the server's process"},
	{"github.com/a2aproject/a2a-go", []string{"adapters/llm/a2a", "adapters/http/a2a", "adapters/internal/a2awire", "app"}, "vendor types stop at the adapter's door"},
	{"github.com/slack-go/slack", []string{"adapters/channel/slack"}, "vendor types stop at the adapter's door"},
	{"github.com/prometheus/client_golang", []string{"adapters", "app"}, "core is measured by decorators"},
}

// pure are the libraries that core may use beside the standard library: no I/O, no goroutines, no global state.
var pure = []string{
	"github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/net/idna", "golang.org/x/text", "go.yaml.in/yaml",
	"github.com/go-jose/go-jose/v4", "github.com/gowebpki/jcs", "github.com/evanphx/json-patch/v5",
}

func TestForeignLibraries(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range edges(t) {
		if under(e.to, module) || !strings.Contains(strings.SplitN(e.to, "/", 2)[0], ".") {
			continue
		}
		if err := checkForeign(e); err != nil {
			t.Error(err)
		}
		for _, f := range foreign {
			if under(e.to, f.prefix) {
				seen[f.prefix] = true
			}
		}
	}
	for _, f := range foreign {
		if !seen[f.prefix] {
			t.Errorf("nothing imports %s any more: remove its rule", f.prefix)
		}
	}
}

func checkForeign(e edge) error {
	for _, f := range foreign {
		if under(e.to, f.prefix) && !slices.ContainsFunc(f.only, func(p string) bool { return under(e.from, p) }) {
			return fmt.Errorf("%s imports %s: %s", e.from, e.to, f.reason)
		}
	}
	test := e.test && strings.HasPrefix(e.to, "github.com/google/go-cmp")
	switch {
	case under(e.from, "ports/payee") && strings.HasPrefix(e.to, "golang.org/x/"):
		// Names of hosts are Unicode; both sides of the process border must read them alike.
	case under(e.from, "ports") && !test:
		return fmt.Errorf("%s imports %s: ports use the standard library only", e.from, e.to)
	case under(e.from, "core") && !test && !slices.ContainsFunc(pure, func(p string) bool { return strings.HasPrefix(e.to, p) }):
		return fmt.Errorf("%s imports %s: core uses the standard library and the named pure libraries only", e.from, e.to)
	}
	return nil
}
