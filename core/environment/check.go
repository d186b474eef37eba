package environment

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/bureau-agents/bureau/ports/fault"
)

// checker gathers every fault of an environment.
type checker struct{ fields []fault.Field }

func (k *checker) addf(path, format string, args ...any) {
	k.fields = append(k.fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

// text checks a text of least to most characters. Postgres cannot store NUL.
func (k *checker) text(path, s string, least, most int) {
	n := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s):
		k.addf(path, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		k.addf(path, "must not contain the NUL character")
	case n < least || n > 0 && least > 0 && strings.TrimSpace(s) == "":
		k.addf(path, "must not be empty")
	case n > most:
		k.addf(path, "has %d characters; at most %d are allowed", n, most)
	}
}

func (k *checker) err(kind *fault.Error) error {
	if len(k.fields) == 0 {
		return nil
	}
	return kind.Withf("%s: %s", k.fields[0].Path, k.fields[0].Message).WithFields(k.fields...)
}

// admitted returns e with its defaults filled and its hosts in their stored form, or ErrInvalid or ErrMetadata.
func (e Environment) admitted() (Environment, error) {
	k := &checker{}
	k.text("name", e.Name, 1, MaxName)
	k.text("description", e.Description, 0, MaxDescription)
	switch e.Scope {
	case "":
		e.Scope = Organization
	case Organization, Account:
	default:
		k.addf("scope", "must be organization or account")
	}
	e.Config = k.config(e.Config)
	if err := k.err(ErrInvalid); err != nil {
		return Environment{}, err
	}
	if len(e.Metadata) > MaxMetadata {
		k.addf("metadata", "has %d pairs; at most %d are allowed", len(e.Metadata), MaxMetadata)
	}
	for key, value := range e.Metadata {
		if n := utf8.RuneCountInString(key); n == 0 || n > MaxMetadataKey || !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
			k.addf("metadata", "keys must have 1 to %d characters, none of them NUL", MaxMetadataKey)
			continue
		}
		k.text("metadata."+key, value, 0, MaxMetadataValue)
	}
	slices.SortFunc(k.fields, func(a, b fault.Field) int { return strings.Compare(a.Path, b.Path) })
	return e, k.err(ErrMetadata)
}

// config returns c with its defaults filled and its hosts in their stored form.
func (k *checker) config(c Config) Config {
	switch c.Type {
	case "":
		c.Type = Cloud
	case Cloud:
	case SelfHosted:
		if c.Networking.Type != "" || len(c.Networking.AllowedHosts) > 0 || !c.Packages.Empty() {
			k.addf("config", "networking and packages belong to a cloud environment")
		}
		return c
	default:
		k.addf("config.type", "must be cloud or self_hosted")
		return c
	}
	n := &c.Networking
	switch n.Type {
	case "", Unrestricted:
		n.Type = Unrestricted
		if len(n.AllowedHosts) > 0 || n.AllowMCPServers || n.AllowPackageManagers {
			k.addf("config.networking.type", "must be limited for allowed_hosts, allow_mcp_servers and allow_package_managers to mean something")
		}
	case Limited:
		n.AllowedHosts = k.hosts(n.AllowedHosts)
		if !c.Packages.Empty() && !n.AllowPackageManagers {
			k.addf("config.networking.allow_package_managers", "must be true when packages are given, or they could not be downloaded")
		}
	default:
		k.addf("config.networking.type", "must be unrestricted or limited")
	}
	for _, m := range managers {
		list := *m.of(&c.Packages)
		path := "config.packages." + m.name
		if len(list) > MaxPackages {
			k.addf(path, "has %d entries; at most %d are allowed", len(list), MaxPackages)
			continue
		}
		for i, p := range list {
			if len(p) > MaxPackage || !m.pattern.MatchString(p) || strings.Contains(p, "/..") || strings.Contains(p, "/./") {
				k.addf(fmt.Sprintf("%s[%d]", path, i), "must be the name of a package with or without a version, such as %s", m.example)
			}
		}
	}
	return c
}

// hosts returns the stored form of hosts: lower case, ASCII, without a trailing dot, each once.
func (k *checker) hosts(hosts []string) []string {
	const path = "config.networking.allowed_hosts"
	if len(hosts) > MaxHosts {
		k.addf(path, "has %d entries; at most %d are allowed", len(hosts), MaxHosts)
		return nil
	}
	var out []string
	for i, h := range hosts {
		stored, problem := hostOf(h)
		if problem != "" {
			k.addf(fmt.Sprintf("%s[%d]", path, i), "%s", problem)
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
