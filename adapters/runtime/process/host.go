package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/logfile"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// HostConfig of a Host.
type HostConfig struct {
	// Dir holds the instances' files; required. Hosts that have it at the same time do not disturb each other.
	Dir string
	// Limits of instances whose spec has none; zero fields are the port's defaults.
	Limits runtime.InstanceLimits
	// EgressAllow opens private addresses to instances with a network, as egress.Config.Allow does.
	EgressAllow []string
	// Paths are further files and directories of this machine that programs may read, such as "/opt/gateway"; /usr and its like always
	// belong to them.
	Paths []string
	// Hidden are directories that programs must not see even where they lie in /usr or in one of Paths; Dir is always one.
	Hidden []string
	// Logger hears of what nobody else is told; default slog.Default().
	Logger *slog.Logger
}

// checked returns the configuration with its defaults.
func (cfg HostConfig) checked() (HostConfig, error) {
	if cfg.Dir == "" {
		return cfg, errors.New("process: HostConfig.Dir is required")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return cfg, err
	}
	cfg.Dir = dir
	if l := cfg.Limits; l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || l.CPU < 0 || l.OpenFiles < 0 {
		return cfg, errors.New("process: HostConfig.Limits must not be negative")
	}
	for _, p := range cfg.Paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) == "/" {
			return cfg, fmt.Errorf("process: HostConfig.Paths: %q must be an absolute path below /", p)
		}
	}
	if _, err := egress.New(egress.Config{Allow: cfg.EgressAllow}); err != nil {
		return cfg, fmt.Errorf("process: HostConfig.EgressAllow: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cfg, err
	}
	cfg.Hidden, err = hiddenPaths(append([]string{dir}, cfg.Hidden...))
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return cfg, err
}

// hiddenPaths returns absolute names of directories, also those that links stand for.
func hiddenPaths(dirs []string) ([]string, error) {
	var hidden []string
	for _, p := range dirs {
		p, err := filepath.Abs(p)
		if err != nil {
			return nil, err
		}
		hidden = append(hidden, p)
		if real, err := filepath.EvalSymlinks(p); err == nil && real != p {
			hidden = append(hidden, real)
		}
	}
	return hidden, nil
}

var (
	instancePattern = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	labelPattern    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)
)

// maxFiles bounds what an instance is given to begin with, in bytes.
const maxFiles = 64 << 20

// complete checks a spec and fills in its limits.
func (cfg HostConfig) complete(s runtime.InstanceSpec) (runtime.InstanceSpec, error) {
	l, d := s.Limits, cfg.Limits
	s.Limits = runtime.InstanceLimits{
		Limits: l.Limits.WithDefaults(runtime.Limits{
			Memory: cmp.Or(d.Memory, runtime.DefaultInstanceMemory), Processes: d.Processes, Disk: d.Disk,
		}),
		CPU:       cmp.Or(l.CPU, d.CPU, runtime.DefaultCPU),
		OpenFiles: cmp.Or(l.OpenFiles, d.OpenFiles, runtime.DefaultOpenFiles),
	}
	l = s.Limits
	switch {
	case !instancePattern.MatchString(s.ID):
		return s, runtime.ErrImage.Withf("%q cannot be the id of an instance: it must be 1 to 40 of a-z, 0-9 and -", s.ID)
	case s.Generation < 1:
		return s, runtime.ErrImage.Withf("generations count from 1")
	case s.Image != "":
		return s, runtime.ErrImage.Withf("this server runs programs of its own machine, not images")
	case s.Port < 0 || s.Port > 65535:
		return s, runtime.ErrImage.Withf("%d is not a port", s.Port)
	case len(s.Command) > 0 && s.Command[0] == "":
		return s, runtime.ErrImage.Withf("the program has no name")
	case l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || l.CPU < 0 || l.OpenFiles < 0:
		return s, runtime.ErrIsolation.Withf("limits must not be negative")
	}
	for name, value := range s.Labels {
		if !labelPattern.MatchString(name) || !labelPattern.MatchString(value) {
			return s, runtime.ErrImage.Withf("the label %s=%s must be of A-Z, a-z, 0-9, _, . and -", name, value)
		}
	}
	for _, text := range s.Command {
		if strings.ContainsRune(text, 0) {
			return s, runtime.ErrImage.Withf("an argument holds a zero byte")
		}
	}
	for name, value := range s.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return s, runtime.ErrImage.Withf("the variable %q cannot be set", name)
		}
	}
	sum := 0
	for name, text := range s.Files {
		if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
			return s, runtime.ErrPath.Withf("%q is not the path of a file below the work directory", name)
		}
		sum += len(text)
	}
	if sum > maxFiles || int64(sum) > l.Disk {
		return s, runtime.ErrDiskFull
	}
	switch s.Network.Mode {
	case runtime.NetworkNone, runtime.NetworkPublic, runtime.NetworkLimited:
		return s, nil
	}
	return s, runtime.ErrIsolation.Withf("this server knows no network %q", s.Network.Mode)
}

// The port and the writer of logs agree on this; the one cannot import the other.
var _ = [1]struct{}{}[logfile.MaxLine-runtime.MaxLogLine]
