package sandbox

import (
	"testing"

	"github.com/bureau-agents/bureau/ports/runtime"
)

func TestVariableBeyond(t *testing.T) {
	t.Parallel()
	limited := func(hosts ...string) runtime.Network {
		return runtime.Network{Mode: runtime.NetworkLimited, Hosts: hosts}
	}
	public := runtime.Network{Mode: runtime.NetworkPublic}
	for name, c := range map[string]struct {
		v    Variable
		n    runtime.Network
		want string
	}{
		"anywhere":               {Variable{}, public, ""},
		"no network":             {Variable{Limited: true}, runtime.Network{}, ""},
		"nothing reached":        {Variable{Limited: true}, limited(), ""},
		"everything reached":     {Variable{Limited: true, Hosts: []string{"a.example"}}, public, "any public host, since its environment's networking is not limited"},
		"the same host":          {Variable{Limited: true, Hosts: []string{"A.example"}}, limited("a.Example"), ""},
		"one of two":             {Variable{Limited: true, Hosts: []string{"a.example"}}, limited("a.example", "b.example"), "b.example"},
		"fewer than allowed":     {Variable{Limited: true, Hosts: []string{"a.example", "b.example"}}, limited("a.example"), ""},
		"a subdomain":            {Variable{Limited: true, Hosts: []string{"*.example.com"}}, limited("x.y.example.com"), ""},
		"not the domain itself":  {Variable{Limited: true, Hosts: []string{"*.example.com"}}, limited("example.com"), "example.com"},
		"another domain":         {Variable{Limited: true, Hosts: []string{"*.example.com"}}, limited("badexample.com"), "badexample.com"},
		"all subdomains":         {Variable{Limited: true, Hosts: []string{"*.example.com"}}, limited("*.example.com"), ""},
		"subdomains of one":      {Variable{Limited: true, Hosts: []string{"*.example.com"}}, limited("*.a.example.com"), ""},
		"more than a host":       {Variable{Limited: true, Hosts: []string{"a.example.com"}}, limited("*.example.com"), "*.example.com"},
		"more than subdomains":   {Variable{Limited: true, Hosts: []string{"*.a.example.com"}}, limited("*.example.com"), "*.example.com"},
		"no host and some":       {Variable{Limited: true}, limited("a.example"), "a.example"},
		"very many":              {Variable{Limited: true}, limited("a", "b", "c", "d", "e", "f", "g"), "a, b, c, d, e, others"},
		"an address, not a name": {Variable{Limited: true, Hosts: []string{"192.0.2.1"}}, limited("192.0.2.1", "192.0.2.10"), "192.0.2.10"},
	} {
		if got := c.v.beyond(c.n); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
