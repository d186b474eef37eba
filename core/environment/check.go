package environment

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/internal/metadata"
)

// checker gathers every fault of an environment.
type checker struct{ check.Faults }

// admitted returns e with its defaults filled and its hosts in their stored form, or ErrInvalid or ErrMetadata.
func (e Environment) admitted() (Environment, error) {
	k := &checker{}
	k.Given("name", e.Name, MaxName)
	k.Text("description", e.Description, MaxDescription)
	switch e.Scope {
	case "":
		e.Scope = Organization
	case Organization, Account:
	default:
		k.Addf("scope", "must be organization or account")
	}
	e.Config = k.config(e.Config)
	if err := k.Err(ErrInvalid); err != nil {
		return Environment{}, err
	}
	metadata.Check(&k.Faults, e.Metadata)
	return e, k.Err(ErrMetadata)
}

// config returns c with its defaults filled and its hosts in their stored form.
func (k *checker) config(c Config) Config {
	switch c.Type {
	case "":
		c.Type = Cloud
	case Cloud:
	case SelfHosted:
		if c.Networking.Type != "" || len(c.Networking.AllowedHosts) > 0 || !c.Packages.Empty() {
			k.Addf("config", "networking and packages belong to a cloud environment")
		}
		return c
	default:
		k.Addf("config.type", "must be cloud or self_hosted")
		return c
	}
	n := &c.Networking
	switch n.Type {
	case "", Unrestricted:
		n.Type = Unrestricted
		if len(n.AllowedHosts) > 0 || n.AllowMCPServers || n.AllowPackageManagers {
			k.Addf("config.networking.type", "must be limited for allowed_hosts, allow_mcp_servers and allow_package_managers to mean something")
		}
	case Limited:
		n.AllowedHosts = k.hosts(n.AllowedHosts)
		if !c.Packages.Empty() && !n.AllowPackageManagers {
			k.Addf("config.networking.allow_package_managers", "must be true when packages are given, or they could not be downloaded")
		}
	default:
		k.Addf("config.networking.type", "must be unrestricted or limited")
	}
	for _, m := range managers {
		list := *m.of(&c.Packages)
		path := "config.packages." + m.name
		if len(list) > MaxPackages {
			k.Addf(path, "has %d entries; at most %d are allowed", len(list), MaxPackages)
			continue
		}
		for i, p := range list {
			if len(p) > MaxPackage || !m.pattern.MatchString(p) || strings.Contains(p, "/..") || strings.Contains(p, "/./") {
				k.Addf(fmt.Sprintf("%s[%d]", path, i), "must be the name of a package with or without a version, such as %s", m.example)
			}
		}
	}
	return c
}

// hosts returns the stored form of hosts: lower case, ASCII, without a trailing dot, each once.
func (k *checker) hosts(hosts []string) []string {
	const path = "config.networking.allowed_hosts"
	if len(hosts) > MaxHosts {
		k.Addf(path, "has %d entries; at most %d are allowed", len(hosts), MaxHosts)
		return nil
	}
	var out []string
	for i, h := range hosts {
		stored, problem := hostOf(h)
		if problem != "" {
			k.Addf(fmt.Sprintf("%s[%d]", path, i), "%s", problem)
			continue
		}
		if !slices.Contains(out, stored) {
			out = append(out, stored)
		}
	}
	return out
}

// hostOf returns the stored form of one allowed host, or what is wrong with it.
func hostOf(h string) (stored, problem string) {
	const want = "must be a host name such as api.example.com, *.example.com for all subdomains, or an IP address"
	if strings.Contains(h, "://") || strings.ContainsAny(h, "/?#@") {
		return "", want + ", not a URL"
	}
	if a, err := netip.ParseAddr(h); err == nil {
		if a.Zone() != "" {
			return "", want
		}
		return a.Unmap().String(), ""
	}
	if strings.Contains(h, ":") {
		return "", want + ", without a port"
	}
	name, wildcard := strings.CutPrefix(h, "*.")
	name = strings.TrimSuffix(name, ".")
	if h == "*" {
		return "", "must name a host; to reach all of them use networking of the type unrestricted"
	}
	ascii, err := names.ToASCII(name)
	if err != nil || len(ascii) > 253 || !hostPattern.MatchString(ascii) || !utf8.ValidString(name) {
		return "", want
	}
	if wildcard {
		ascii = "*." + ascii
	}
	return ascii, ""
}

// names turns names to ASCII; which characters are left is hostPattern's affair, since that allows for underscores.
var names = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(false))

// hostPattern is that of RFC 1123, with the underscore that some names have; the last label is no number, or the name would be read as
// an address.
var hostPattern = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*([a-z]([a-z0-9-]{0,61}[a-z0-9])?)$`)

// manager is one package manager: where its packages are, and what they look like. Nothing that these patterns let pass begins with
// "-", holds white space, a quote, "$", "`", ";", "&", "|", "\" or a bracket that is not pip's, or is a URL or a path.
type manager struct {
	name, example string
	pattern       *regexp.Regexp
	of            func(*Packages) *[]string
}

// version is how most managers spell one.
const version = `[0-9A-Za-z^~=][0-9A-Za-z.+_^~-]*`

var managers = []manager{
	{"apt", "ffmpeg or ffmpeg=7:6.1-1",
		regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[0-9A-Za-z][0-9A-Za-z.+:~-]*)?$`), func(p *Packages) *[]string { return &p.Apt }},
	{"cargo", "ripgrep@14.1.0",
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(@` + version + `)?$`), func(p *Packages) *[]string { return &p.Cargo }},
	{"gem", "rails:7.1.0",
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9][0-9A-Za-z.-]*)?$`), func(p *Packages) *[]string { return &p.Gem }},
	{"go", "golang.org/x/tools/cmd/goimports@latest",
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._~][A-Za-z0-9._~-]*)*(@[A-Za-z0-9][A-Za-z0-9.+_-]*)?$`),
		func(p *Packages) *[]string { return &p.Go }},
	{"npm", "express@4.18.0 or @scope/name@1",
		regexp.MustCompile(`^(@[A-Za-z0-9~][A-Za-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*(@` + version + `)?$`),
		func(p *Packages) *[]string { return &p.Npm }},
	{"pip", "requests==2.31.0",
		regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(\[[A-Za-z0-9._-]+(,[A-Za-z0-9._-]+)*\])?` +
			`(` + pipVersion + `(,` + pipVersion + `)*)?$`),
		func(p *Packages) *[]string { return &p.Pip }},
}

// pipVersion is one clause of a version specifier: https://packaging.python.org/en/latest/specifications/version-specifiers/.
const pipVersion = `(===|==|!=|<=|>=|~=|<|>)v?[0-9][0-9A-Za-z.*+!_-]*`
