package child

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The names that the server is started under again are looked at by this package's init. Inits run in the order of their packages' paths
// among those whose imports are done, so one import of a package with a late name, such as path/filepath, has hundreds of inits of what
// the server links run first, in every sandbox and every instance.
func TestImportsAreEarly(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, late := range []string{"net", "net/http", "log", "log/slog", "path/filepath", "regexp", "runtime/debug", "text/template", "os/exec", "go/token"} {
		if slices.Contains(deps, late) {
			t.Errorf("%s is imported", late)
		}
	}
	if !slices.Contains(deps, "golang.org/x/sys/unix") {
		t.Errorf("these are not the imports: %q", deps)
	}
}
