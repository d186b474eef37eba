package environment

import (
	"net/url"
	"strings"

	"github.com/bureau-agents/bureau/ports/fault"
)

// ErrUnreached is returned for a server that an environment's networking leaves out.
var ErrUnreached = fault.New(fault.Forbidden, "host_not_allowed", "the environment's networking does not reach this host")

// CheckMCP returns ErrUnreached when the environment does not let a session use the MCP server at serverURL. Servers are reached
// from the server's own process, so Networking is held against them here and not by a sandbox.
func (n Networking) CheckMCP(serverURL string) error {
	if n.Type != Limited || n.AllowMCPServers {
		return nil
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return ErrUnreached
	}
	host, problem := hostOf(u.Hostname())
	if problem != "" {
		return ErrUnreached
	}
	for _, allowed := range n.AllowedHosts {
		if suffix, wildcard := strings.CutPrefix(allowed, "*."); host == allowed || wildcard && strings.HasSuffix(host, "."+suffix) {
			return nil
		}
	}
	return ErrUnreached.Withf("the environment's networking does not reach %s; name it in allowed_hosts or set allow_mcp_servers", host)
}
