package sandbox

import (
	"net/url"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// registries are the hosts from which the package managers install by default.
var registries = []string{
	"pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "proxy.golang.org", "sum.golang.org", "storage.googleapis.com",
	"crates.io", "index.crates.io", "static.crates.io", "rubygems.org", "index.rubygems.org",
}

// networkOf says how far the sandboxes of an environment reach. env are the operator's variables, which may name other registries.
func networkOf(n environment.Networking, a agent.Config, env map[string]string) runtime.Network {
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
