package sandbox

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// questions make the package managers of the machine say where they install from, which their own configuration and the operator's
// variables decide. cargo has no such question: it needs an operator's variable with the address of its index.
var questions = [][]string{
	{"npm", "config", "get", "registry"},
	{"go", "env", "GOPROXY"},
	{"sh", "-c", `go env GOSUMDB | sed -n 's|^[A-Za-z0-9.-]*$|https://&|p'`},
	{"gem", "sources", "--list"},
	{"python3", "-m", "pip", "config", "get", "global.index-url"},
	{"python3", "-c", "from pip._internal.models.index import PyPI as p; print(p.simple_url, 'https://' + p.file_storage_domain)"},
}

// registries returns the hosts that an environment opens for its package managers. These are asked once in the life of the process, in
// the session's sandbox before it reaches anything.
func (s *Service) registries(ctx context.Context, u *scene) ([]string, error) {
	if n := u.env.Config.Networking; n.Type != environment.Limited || !n.AllowPackageManagers {
		return nil, nil
	}
	s.asking.Lock()
	defer s.asking.Unlock()
	if s.asked {
		return s.hosts, nil
	}
	sb, err := s.d.Runtime.Open(ctx, runtime.Spec{ID: sandboxID(u.sess.ID), Limits: s.cfg.Limits, Env: s.cfg.Env})
	if err != nil {
		return nil, err
	}
	u.box.sb = nil // it is opened again with what it may reach
	var hosts []string
	for _, question := range questions {
		res, err := sb.Run(ctx, runtime.Command{Args: question})
		if err != nil && !errors.Is(err, runtime.ErrProgram) { // a manager that is not there installs nothing
			return nil, err
		}
		if err == nil && res.Code == 0 {
			hosts = append(hosts, hostsIn(string(res.Output))...)
		}
	}
	s.hosts, s.asked = hosts, true
	return hosts, nil
}

// networkOf says how far the sandboxes of an environment reach. env are the operator's variables, which may name registries beside the
// known ones.
func networkOf(n environment.Networking, a agent.Config, registries []string, env map[string]string) runtime.Network {
	if n.Type != environment.Limited {
		return runtime.Network{Mode: runtime.NetworkPublic}
	}
	hosts := slices.Clone(n.AllowedHosts)
	if n.AllowPackageManagers {
		hosts = append(hosts, registries...)
		for _, v := range env {
			hosts = append(hosts, hostsIn(v)...)
		}
	}
	if n.AllowMCPServers {
		for _, s := range a.MCPServers {
			hosts = append(hosts, hostsIn(s.URL)...)
		}
	}
	for i, h := range hosts {
		hosts[i] = strings.ToLower(h)
	}
	slices.Sort(hosts)
	return runtime.Network{Mode: runtime.NetworkLimited, Hosts: slices.Compact(hosts)}
}

// hostsIn returns the hosts of the web addresses in a text, which may be a list: GOPROXY's has commas and bars.
func hostsIn(text string) []string {
	var out []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,|\t\n", r) }) {
		if u, err := url.Parse(word); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" {
			out = append(out, u.Hostname())
		}
	}
	return out
}
