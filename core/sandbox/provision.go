package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// installer is how packages of one manager come into a sandbox.
type installer struct {
	name     string
	packages func(environment.Packages) []string
	program  string   // must be there
	check    []string // must succeed
	env      map[string]string
	commands func(packages []string) [][]string
	path     string // of its programs, below packagesDir
}

// all makes one command of all packages.
func all(args ...string) func([]string) [][]string {
	return func(packages []string) [][]string {
		return [][]string{append(append([]string{}, args...), packages...)}
	}
}

// installers are in the order in which they run, which is that of the Managed Agents API. Nothing that they install needs root, and
// all of it lies in packagesDir.
var installers = []installer{
	{
		name: "cargo", packages: func(p environment.Packages) []string { return p.Cargo }, program: "cargo",
		check:    []string{"cargo", "--version"},
		env:      map[string]string{"CARGO_HOME": "/tmp/cargo", "CARGO_TARGET_DIR": "/tmp/cargo-target"},
		commands: all("cargo", "install", "--quiet", "--root", packagesDir+"/cargo", "--"), path: packagesDir + "/cargo/bin",
	},
	{
		name: "gem", packages: func(p environment.Packages) []string { return p.Gem }, program: "gem", check: []string{"gem", "--version"},
		commands: all("gem", "install", "--no-document", "--install-dir", packagesDir+"/gem", "--bindir", packagesDir+"/gem/bin"),
		path:     packagesDir + "/gem/bin",
	},
	{
		name: "go", packages: func(p environment.Packages) []string { return p.Go }, program: "go", check: []string{"go", "version"},
		env: map[string]string{
			"GOBIN": packagesDir + "/go/bin", "GOPATH": "/tmp/go", "GOCACHE": "/tmp/go-build", "GOFLAGS": "-modcacherw",
		},
		commands: func(packages []string) [][]string {
			var out [][]string
			for _, p := range packages {
				if !strings.Contains(p, "@") {
					p += "@latest"
				}
				out = append(out, []string{"go", "install", p})
			}
			return out
		},
		path: packagesDir + "/go/bin",
	},
	{
		name: "npm", packages: func(p environment.Packages) []string { return p.Npm }, program: "npm", check: []string{"npm", "--version"},
		env:      map[string]string{"npm_config_cache": "/tmp/npm", "npm_config_update_notifier": "false"},
		commands: all("npm", "install", "--global", "--prefix", packagesDir+"/npm", "--no-audit", "--no-fund", "--loglevel", "error", "--"),
		path:     packagesDir + "/npm/bin",
	},
	{
		name: "pip", packages: func(p environment.Packages) []string { return p.Pip }, program: "python3",
		check: []string{"python3", "-m", "pip", "--version"},
		env: map[string]string{
			"PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_ROOT_USER_ACTION": "ignore",
		},
		commands: all("python3", "-m", "pip", "install", "--quiet", "--upgrade", "--target", packagesDir+"/pip", "--"),
		path:     packagesDir + "/pip/bin",
	},
}

// scratch is what installers leave behind.
var scratch = []string{"/tmp/cargo", "/tmp/cargo-target", "/tmp/go", "/tmp/go-build", "/tmp/npm"}

// packageEnv lets later commands find what was installed. The values are fit for a shell's double quotes.
func packageEnv(p environment.Packages) []string {
	var out, dirs []string
	for _, in := range installers {
		if len(in.packages(p)) > 0 {
			dirs = append(dirs, in.path)
		}
	}
	if len(dirs) > 0 {
		out = append(out, `PATH="`+strings.Join(dirs, ":")+`:$PATH"`)
	}
	if len(p.Pip) > 0 {
		out = append(out, `PYTHONPATH="`+packagesDir+`/pip${PYTHONPATH:+:$PYTHONPATH}"`)
	}
	if len(p.Npm) > 0 {
		out = append(out, `NODE_PATH="`+packagesDir+`/npm/lib/node_modules${NODE_PATH:+:$NODE_PATH}"`)
	}
	if len(p.Gem) > 0 {
		out = append(out, `GEM_PATH="`+packagesDir+`/gem${GEM_PATH:+:$GEM_PATH}:$(gem env gempath 2>/dev/null)"`)
	}
	return out
}

func digestOf(packages []string) string {
	sum := sha256.Sum256([]byte(strings.Join(packages, "\n")))
	return hex.EncodeToString(sum[:])
}

// install installs what the environment names and the sandbox does not have.
func (s *Service) install(ctx context.Context, u *scene) error {
	p := u.env.Config.Packages
	if len(p.Apt) > 0 {
		return s.notInstalled(ctx, u, "apt", "system packages cannot be installed in sandboxes of this server. "+
			"Ask its operator to install "+strings.Join(p.Apt, ", ")+" on the machine, and take them out of the environment's packages")
	}
	s.tell(ctx, u, "apt", "", session.Entry{})
	for _, in := range installers {
		packages := in.packages(p)
		if len(packages) == 0 || u.box.st.Packages[in.name] == digestOf(packages) {
			continue
		}
		if err := s.installWith(ctx, u, in, packages); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) installWith(ctx context.Context, u *scene, in installer, packages []string) error {
	sb := u.box.sb
	if res, err := sb.Run(ctx, runtime.Command{Args: in.check}); err != nil || res.Code != 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.notInstalled(ctx, u, in.name, fmt.Sprintf("%s is not installed on this server, or does not run in its sandboxes; "+
			"ask its operator for it, or take its packages out of the environment", in.program))
	}
	s.note(ctx, u, warning("installing packages with "+in.name+": "+strings.Join(packages, ", ")))
	began := s.d.Clock.Now()
	for _, args := range in.commands(packages) {
		res, err := sb.Run(ctx, runtime.Command{Args: args, Dir: "/tmp", Env: in.env, Timeout: s.cfg.InstallTimeout})
		switch {
		case err != nil:
			return err
		case res.TimedOut:
			return s.notInstalled(ctx, u, in.name, fmt.Sprintf("%s did not finish within %s", args[0], s.cfg.InstallTimeout))
		case res.Memory:
			return s.notInstalled(ctx, u, in.name, "the installation needs more memory than a sandbox has")
		case res.Code != 0:
			why := fmt.Sprintf("exit code %d: %s", res.Code, tail(res.Output, 2000))
			if strings.Contains(why, "403") { // installers do not show what the proxy says
				why += "\nThe proxy of sandboxes answers 403 for addresses that are not public, or that the environment does not allow; " +
					"the server's operator opens others with BUREAU_EGRESS_ALLOW."
			}
			return s.notInstalled(ctx, u, in.name, why)
		}
	}
	for _, dir := range scratch {
		if err := sb.RemoveAll(ctx, dir); err != nil {
			return err
		}
	}
	if u.box.st.Packages == nil {
		u.box.st.Packages = map[string]string{}
	}
	u.box.st.Packages[in.name] = digestOf(packages)
	s.tell(ctx, u, in.name, "", session.Entry{})
	s.d.Logger.InfoContext(ctx, "packages installed", "session_id", u.sess.ID, "manager", in.name, "took", s.d.Clock.Now().Sub(began))
	return u.box.save(ctx)
}

// notInstalled tells the user that packages are missing, and makes the error that the model is told.
func (s *Service) notInstalled(ctx context.Context, u *scene, manager, why string) error {
	message := "packages of the environment could not be installed with " + manager + ": " + why
	s.tell(ctx, u, manager, message, session.Entry{Type: session.SessionError, Body: session.ErrorBody{Error: session.ErrorDetail{
		Type: session.ErrTypeUnknown, Message: message, RetryStatus: session.RetryStatus{Type: session.Retrying},
	}}})
	return ErrPackages.Withf("%s", message)
}
