package sandbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
)

// Prompt returns the paragraph that tells a model about its sandbox; "" when it has none.
func (s *Service) Prompt(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent) (string, error) {
	set, ok := a.Config.Toolset()
	if !ok {
		return "", nil
	}
	usable := false
	for _, name := range []string{"bash", "read", "write", "edit", "glob", "grep"} {
		enabled, _ := set.Lookup(name)
		usable = usable || enabled
	}
	if !usable {
		return "", nil
	}
	root, err := s.root(ctx, sc, sess)
	if err != nil {
		return "", err
	}
	env, err := s.environment(ctx, sc, root)
	if err != nil || env.Config.Type == environment.SelfHosted {
		return "", nil //nolint:nilerr // the first use of a tool says that the environment is gone
	}
	var out strings.Builder
	fmt.Fprintf(&out, "You have a sandbox: a Linux machine of your own, with files that stay for the whole conversation. "+
		"Programs start in %s. Put files that the user is to get into %s.", session.WorkspaceDir, session.OutputsDir)
	n := env.Config.Networking
	switch {
	case n.Type == environment.Limited && len(n.AllowedHosts) == 0 && !n.AllowPackageManagers && !n.AllowMCPServers:
		out.WriteString(" Its programs cannot reach the network.")
	case n.Type == environment.Limited:
		out.WriteString(" Its programs reach only some hosts of the network")
		if len(n.AllowedHosts) > 0 {
			out.WriteString(", among them " + strings.Join(n.AllowedHosts, ", "))
		}
		out.WriteString(".")
	}
	var lines []string
	for _, r := range root.Resources {
		if r.Type == session.ResourceRepository {
			lines = append(lines, fmt.Sprintf("- %s: a clone of %s", r.Mount, r.URL))
		}
	}
	for _, m := range s.d.Mounters {
		mounts, err := m.Mounts(ctx, sc, root, a)
		if err != nil {
			continue // the first use of a tool says so
		}
		for _, mount := range mounts {
			if mount.About == "" {
				continue
			}
			line := "- " + mount.Path + ": " + mount.About
			if mount.ReadOnly {
				line += " (read-only)"
			}
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		out.WriteString(" It holds:\n" + strings.Join(lines, "\n"))
	}
	return out.String(), nil
}
