package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// variables returns the credentials of the session that programs get by their environment: those whose value the sandbox's network keeps
// where it may be sent. The model and the readers of the session are told which ones are left out.
func (s *Service) variables(ctx context.Context, u *scene) (map[string]string, error) {
	out := map[string]string{}
	if s.d.Variables == nil || len(u.sess.Vaults) == 0 {
		return out, nil
	}
	all, err := s.d.Variables.Variables(ctx, u.sc, u.sess.Vaults)
	if err != nil {
		return nil, err
	}
	u.box.mu.Lock()
	defer u.box.mu.Unlock()
	for _, v := range all {
		thing := "variable " + v.Name
		beyond := v.beyond(u.box.spec.Network)
		if beyond == "" {
			out[v.Name] = v.Value
			s.tell(ctx, u, thing, "", session.Entry{})
			continue
		}
		message := fmt.Sprintf("the variable %s is not set: its credential may be sent to %s only, and this sandbox reaches %s",
			v.Name, allowed(v.Hosts), beyond)
		u.notes = append(u.notes, message)
		s.tell(ctx, u, thing, message, warning(message))
	}
	return out, nil
}

func allowed(hosts []string) string {
	if len(hosts) == 0 {
		return "no host"
	}
	return strings.Join(hosts, ", ")
}

// beyond says what a network reaches to which the variable may not be sent; "" when there is nothing.
func (v Variable) beyond(n runtime.Network) string {
	switch {
	case !v.Limited || n.Mode == runtime.NetworkNone:
		return ""
	case n.Mode != runtime.NetworkLimited:
		return "any public host, since its environment's networking is not limited"
	}
	var other []string
	for _, host := range n.Hosts {
		if !slices.ContainsFunc(v.Hosts, func(allowed string) bool { return covers(allowed, host) }) {
			other = append(other, host)
		}
	}
	const most = 5
	if len(other) > most {
		other = append(other[:most], "others")
	}
	return strings.Join(other, ", ")
}

// covers reports whether everything that host stands for is among what allowed stands for. Both are names, addresses, or "*." and a name,
// which stands for its subdomains.
func covers(allowed, host string) bool {
	allowed, host = strings.ToLower(allowed), strings.ToLower(host)
	if domain, any := strings.CutPrefix(allowed, "*"); any {
		return strings.HasSuffix(host, domain) && len(host) > len(domain)
	}
	return allowed == host
}
