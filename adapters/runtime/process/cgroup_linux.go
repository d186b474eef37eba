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
	cpu  string   // where shares of the cores are limited; "" where they are not
}

// group is the control group of a sandbox.
type group struct {
	v2           bool
	memory, pids string // directories; the same for version 2
	cpu          string // "" for none
}

// newGroups finds where this process may make control groups.
func newGroups(dir string) (*groups, error) {
	h := fnv.New64a()
	_, _ = h.Write([]byte(dir))
	name := fmt.Sprintf("bureau-%x", h.Sum64())
	two, err2 := unified(name)
	if err2 == nil {
		two.shares(name)
		return two, nil
	}
	one, err1 := separate(name)
	if err1 == nil {
		one.shares(name)
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

// shares finds where shares of the cores can be limited.
func (g *groups) shares(name string) {
	if g.v2 {
		_ = os.WriteFile(filepath.Join(filepath.Dir(g.dirs[0]), "cgroup.subtree_control"), []byte("+cpu"), 0)
		if os.WriteFile(filepath.Join(g.dirs[0], "cgroup.subtree_control"), []byte("+cpu"), 0) == nil {
			g.cpu = g.dirs[0]
		}
		return
	}
	dirs, err := candidates("cpu")
	if err != nil {
		return
	}
	if at := filepath.Join(dirs[0], name); makeGroup(at) == nil {
		g.cpu = at
	}
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
	if g.cpu != "" {
		_ = removeGroup(g.cpu)
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

// instance makes the group of an instance, which has the cores for a share of the time, too, if that can be limited.
func (g *groups) instance(id string, l runtime.InstanceLimits) (*group, error) {
	made, err := g.make(id, l.Limits)
	if err != nil {
		return nil, err
	}
	made.processes(l.Processes, 2) // the keeper's threads, or the helper's
	if g.cpu == "" {
		return made, nil
	}
	const period = 100_000 // µs, the kernel's own default
	made.cpu = filepath.Join(g.cpu, id)
	if err = os.Mkdir(made.cpu, 0o755); err == nil || errors.Is(err, os.ErrExist) { //nolint:gosec // as all groups are
		if g.v2 {
			err = os.WriteFile(filepath.Join(made.cpu, "cpu.max"), fmt.Appendf(nil, "%d %d", l.CPU*(period/1000), period), 0)
		} else {
			_ = write(made.cpu, "cpu.cfs_period_us", period)
			err = write(made.cpu, "cpu.cfs_quota_us", int64(l.CPU*(period/1000)))
		}
	}
	if err != nil {
		made.remove()
		return nil, err
	}
	return made, nil
}

// all are its directories.
func (g *group) all() []string {
	dirs := []string{g.memory, g.pids, g.cpu}
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" })
}

// doors are the files that processes are put into the group by.
func (g *group) doors() []string {
	var files []string
	for _, dir := range g.all() {
		files = append(files, filepath.Join(dir, "cgroup.procs"))
	}
	return files
}

// events is the file that tells how many processes of the group were ended for want of memory.
func (g *group) events() string {
	if g.v2 {
		return filepath.Join(g.memory, "memory.events")
	}
	return filepath.Join(g.memory, "memory.oom_control")
}

// used returns the memory that the group takes, without files that are kept in it for speed only.
func (g *group) used() (int64, error) {
	usage, stat, idle := "memory.usage_in_bytes", "memory.stat", "total_inactive_file "
	if g.v2 {
		usage, idle = "memory.current", "inactive_file "
	}
	raw, err := os.ReadFile(filepath.Join(g.memory, usage))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return 0, err
	}
	raw, err = os.ReadFile(filepath.Join(g.memory, stat))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, idle); ok {
			files, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			n = max(n-files, 0)
		}
	}
	return n, nil
}

// find returns the group of an instance, as it was made.
func (g *groups) find(id string) *group {
	found := &group{v2: g.v2, memory: filepath.Join(g.dirs[0], id), pids: filepath.Join(g.dirs[len(g.dirs)-1], id)}
	if g.cpu != "" {
		found.cpu = filepath.Join(g.cpu, id)
	}
	return found
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
	for _, dir := range g.all() {
		if err := write(dir, "cgroup.procs", int64(pid)); err != nil {
			return fmt.Errorf("enter the control group: %w", err)
		}
	}
	return nil
}

// kills returns how many processes of the group were ended for want of memory.
func (g *group) kills() int {
	raw, err := os.ReadFile(g.events())
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
	for _, dir := range g.all() {
		_ = removeGroup(dir)
	}
}
