package process

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// groups is the place in the machine's control groups below which sandboxes have theirs.
type groups struct {
	v2   bool
	dirs []string // one for version 2; one each for memory and pids of version 1
}

// group is the control group of a sandbox.
type group struct {
	v2           bool
	memory, pids string // directories; the same for version 2
}

// newGroups finds where this process may make control groups.
func newGroups(dir string) (*groups, error) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(dir))
	name := fmt.Sprintf("bureau-%x", h.Sum64())
	two, err2 := unified(name)
	if err2 == nil {
		return two, nil
	}
	one, err1 := separate(name)
	if err1 == nil {
		return one, nil
	}
	return nil, errors.Join(err2, err1)
}

// own returns the control groups of this process: by controller for version 1, under "" for version 2.
func own() (map[string]string, error) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for c := range strings.SplitSeq(parts[1], ",") {
			paths[c] = parts[2]
		}
	}
	return paths, nil
}

// mounted returns where the file system of control groups with a controller is mounted ("" for version 2), and what of it.
func mounted(controller string) (point, root string, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); { // proc(5) describes the fields
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, kind := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		if controller == "" && kind[0] == "cgroup2" ||
			controller != "" && kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), controller) {
			return fields[4], fields[3], nil
		}
	}
	return "", "", fmt.Errorf("no control groups of %s are mounted", or(controller, "version 2"))
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// candidates are the directories below which a group may be made: this process's own group, what stands above it, the top.
func candidates(controller string) ([]string, error) {
	point, root, err := mounted(controller)
	if err != nil {
		return nil, err
	}
	paths, err := own()
	if err != nil {
		return nil, err
	}
	at, ok := strings.CutPrefix(paths[controller], strings.TrimSuffix(root, "/"))
	if !ok {
		at = "/"
	}
	at = filepath.Join(point, at)
	dirs := []string{at}
	if up := filepath.Dir(at); at != point {
		dirs = append(dirs, up)
	}
	if !slices.Contains(dirs, point) {
		dirs = append(dirs, point)
	}
	return dirs, nil
}

// unified makes the place in version 2.
func unified(name string) (*groups, error) {
	dirs, err := candidates("")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, dir := range dirs {
		// A group that holds processes cannot hand controllers down, so this fails in most of a server's own.
		if err := enable(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		at := filepath.Join(dir, name)
		if err := makeGroup(at); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := enable(at); err != nil {
			_ = os.Remove(at)
			errs = append(errs, err)
			continue
		}
		return &groups{v2: true, dirs: []string{at}}, nil
	}
	return nil, errors.Join(errs...)
}

// enable hands the controllers for memory and processes down to the groups below dir.
func enable(dir string) error {
	control := filepath.Join(dir, "cgroup.subtree_control")
	raw, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	has := strings.Fields(string(raw))
	if slices.Contains(has, "memory") && slices.Contains(has, "pids") {
		return nil
	}
	return os.WriteFile(control, []byte("+memory +pids"), 0)
}

// separate makes the place in the two hierarchies of version 1.
func separate(name string) (*groups, error) {
	g := &groups{}
	for _, controller := range []string{"memory", "pids"} {
		dirs, err := candidates(controller)
		if err != nil {
			return nil, err
		}
		at := filepath.Join(dirs[0], name)
		if err := makeGroup(at); err != nil {
			g.close()
			return nil, err
		}
		g.dirs = append(g.dirs, at)
	}
	return g, nil
}

// makeGroup makes a group, after what a server that was killed has left of it.
func makeGroup(dir string) error {
	left, err := os.ReadDir(dir)
	if err == nil {
		for _, d := range left {
			if d.IsDir() {
				_ = os.Remove(filepath.Join(dir, d.Name()))
			}
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // as all groups are
		return err
	}
	return nil
}

func (g *groups) close() {
	for _, dir := range g.dirs {
		_ = removeGroup(dir)
	}
}

// removeGroup removes a group whose processes are dead; the kernel takes a moment to notice.
func removeGroup(dir string) error {
	for try := range 50 {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if try == 49 {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// make makes the group of a sandbox.
func (g *groups) make(id string, l runtime.Limits) (*group, error) {
	made := &group{v2: g.v2, memory: filepath.Join(g.dirs[0], id), pids: filepath.Join(g.dirs[len(g.dirs)-1], id)}
	for _, dir := range []string{made.memory, made.pids} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // as all groups are
			return nil, err
		}
	}
	if err := made.limit(l); err != nil {
		made.remove()
		return nil, err
	}
	return made, nil
}

func write(dir, file string, value int64) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(strconv.FormatInt(value, 10)), 0)
}

// limit sets how much memory all processes of the sandbox have together. Swap would only delay the end.
func (g *group) limit(l runtime.Limits) error {
	if g.v2 {
		_ = write(g.memory, "memory.swap.max", 0)
		return write(g.memory, "memory.max", l.Memory)
	}
	_ = write(g.memory, "memory.memsw.limit_in_bytes", -1) // it may not be below the other, nor the other above it
	err := write(g.memory, "memory.limit_in_bytes", l.Memory)
	_ = write(g.memory, "memory.memsw.limit_in_bytes", l.Memory)
	return err
}

// processes limits how many there are, the helpers' threads aside.
func (g *group) processes(limit, calls int) {
	_ = write(g.pids, "pids.max", int64(limit+helperTasks*max(calls, 1)))
}

// add puts a process into the group; what it starts is in it, too.
func (g *group) add(pid int) error {
	for _, dir := range slices.Compact([]string{g.memory, g.pids}) {
		if err := write(dir, "cgroup.procs", int64(pid)); err != nil {
			return fmt.Errorf("enter the control group: %w", err)
		}
	}
	return nil
}

// kills returns how many processes of the group were ended for want of memory.
func (g *group) kills() int {
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	raw, err := os.ReadFile(filepath.Join(g.memory, file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

func (g *group) remove() {
	for _, dir := range slices.Compact([]string{g.memory, g.pids}) {
		_ = removeGroup(dir)
	}
}
