package environment

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// ignoreIDs compares environments that have none.
var ignoreIDs = cmp.AllowUnexported(id.Environment{}, id.Tenant{})

func TestHosts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM.": "api.example.com", "*.example.com": "*.example.com",
		"bücher.example": "xn--bcher-kva.example", "*.BÜCHER.example": "*.xn--bcher-kva.example", "localhost": "localhost",
		"93.184.216.34": "93.184.216.34", "2001:DB8::1": "2001:db8::1", "::ffff:10.0.0.1": "10.0.0.1", "_srv.example.com": "_srv.example.com",
		"": "", "*": "", "*.": "", "**.example.com": "", "a.*.com": "", "https://example.com": "", "example.com/path": "", "example.com:443": "",
		"user@example.com": "", "exa mple.com": "", "-a.example": "", "a-.example": "", "a..b": "", ".example.com": "", "1.2.3": "",
		"999.1.1.1": "", "fe80::1%eth0": "", "[::1]": "", "a\x00.example": "", "$(id).example": "", "a,b": "", "*.*.example.com": "",
		strings.Repeat("a", 64) + ".example": "", strings.Repeat("a.", 130) + "example": "",
	} {
		got, problem := hostOf(in)
		if got != want || (problem == "") != (want != "") {
			t.Errorf("%q: %q, %q; want %q", in, got, problem, want)
		}
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	good := map[string][]string{
		"apt":   {"ffmpeg", "ffmpeg=7:6.1-1", "g++", "libstdc++6:amd64", "python3.12"},
		"cargo": {"ripgrep", "ripgrep@14.1.0", "cargo-edit@^0.12"},
		"gem":   {"rails", "rails:7.1.0"},
		"go":    {"golang.org/x/tools/cmd/goimports@latest", "github.com/a/b", "example.com/m/v2@v2.0.0-rc.1"},
		"npm":   {"express", "express@4.18.0", "@scope/x@1", "@types/node@^20", "left-pad@latest"},
		"pip":   {"requests", "requests==2.31", "httpx[http2,socks]>=0.27,<1", "numpy~=1.26", "a!=1.*"},
	}
	everywhere := []string{
		"", "-x", "--help", "a b", "a;b", "a&b", "a|b", "$(id)", "`id`", "a\nb", "a\x00", "a'b", `a"b`, `a\b`, "/etc/passwd", "../x", "./x", "a/../b",
		"https://example.com/x.tgz", "git+https://example.com/x", "file:///x", "a@../b", "a@-b", "ünï", "-r=x", strings.Repeat("a", MaxPackage+1),
	}
	bad := map[string][]string{
		"apt": {"Ffmpeg", "a=-o", "./a.deb"}, "cargo": {"a@", "a@-1"}, "gem": {"a:-v", "a:x"}, "go": {"fmt", "cmd/x", "example.com/../x", "a.b/./c"},
		"npm": {"a/b", "@/a", "@a", "a@npm:b", "@-a/b", "a@file:b"}, "pip": {"a==", "a>x", "a @ b", "a==1;x", "a[", "a==-1", "a=1"},
	}
	for _, m := range managers {
		check := func(p string) []fault.Field {
			k := &checker{}
			c := Config{}
			*m.of(&c.Packages) = []string{p}
			k.config(c)
			return k.Fields
		}
		for _, p := range good[m.name] {
			if f := check(p); f != nil {
				t.Errorf("%s %q: %v", m.name, p, f)
			}
		}
		for _, p := range append(bad[m.name], everywhere...) {
			if f := check(p); len(f) != 1 || f[0].Path != "config.packages."+m.name+"[0]" {
				t.Errorf("%s %q: %v", m.name, p, f)
			}
		}
	}
}

// FuzzPackages looks for a name that is let pass and would be more than one harmless argument.
func FuzzPackages(f *testing.F) {
	f.Add("requests==2.31")
	f.Add("@scope/x@^1")
	f.Add("golang.org/x/tools@v0.1.0")
	f.Fuzz(func(t *testing.T, p string) {
		for _, m := range managers {
			k := &checker{}
			c := Config{}
			*m.of(&c.Packages) = []string{p}
			k.config(c)
			if len(k.Fields) > 0 {
				continue
			}
			if p == "" || strings.HasPrefix(p, "-") || strings.ContainsAny(p, " \t\r\n\x00'\"`$&;|\\(){}#%?") || strings.HasPrefix(p, "/") ||
				strings.HasPrefix(p, ".") || strings.Contains(p, "://") || strings.Contains(p, "/../") {
				t.Errorf("%s lets %q pass", m.name, p)
			}
		}
	})
}

// FuzzHosts checks that the stored form of a host is stable and holds nothing but a name or an address.
func FuzzHosts(f *testing.F) {
	for _, s := range []string{"api.example.com", "*.bücher.example", "::1", "1.2.3.4", "https://x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, h string) {
		stored, problem := hostOf(h)
		if problem != "" {
			return
		}
		if strings.ContainsAny(stored, " /@?#\\\x00") || stored != strings.ToLower(stored) {
			t.Errorf("%q is stored as %q", h, stored)
		}
		if again, problem := hostOf(stored); problem != "" || again != stored {
			t.Errorf("%q is stored as %q and then as %q (%s)", h, stored, again, problem)
		}
	})
}

func TestAdmitted(t *testing.T) {
	t.Parallel()
	e, err := Environment{Name: "a"}.admitted()
	if err != nil {
		t.Fatal(err)
	}
	want := Environment{Name: "a", Scope: Organization, Config: Config{Type: Cloud, Networking: Networking{Type: Unrestricted}}}
	if d := cmp.Diff(want, e, ignoreIDs); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
	many := make([]string, MaxPackages+1)
	pairs := map[string]string{}
	for i := range many {
		many[i] = fmt.Sprint("p", i)
		pairs[many[i]] = ""
	}
	for path, e := range map[string]Environment{
		"name":                   {Name: " "},
		"description":            {Name: "a", Description: strings.Repeat("é", MaxDescription+1)},
		"scope":                  {Name: "a", Scope: "planet"},
		"config.type":            {Name: "a", Config: Config{Type: "moon"}},
		"config":                 {Name: "a", Config: Config{Type: SelfHosted, Packages: Packages{Pip: []string{"a"}}}},
		"config.networking.type": {Name: "a", Config: Config{Networking: Networking{AllowedHosts: []string{"a.b"}}}},
		"config.packages.npm":    {Name: "a", Config: Config{Packages: Packages{Npm: many}}},
		"config.networking.allow_package_managers": {Name: "a", Config: Config{
			Networking: Networking{Type: Limited}, Packages: Packages{Pip: []string{"a"}},
		}},
		"config.networking.allowed_hosts[1]": {Name: "a", Config: Config{
			Networking: Networking{Type: Limited, AllowedHosts: []string{"a.b", "http://a"}},
		}},
		"metadata":   {Name: "a", Metadata: pairs},
		"metadata.k": {Name: "a", Metadata: map[string]string{"k": strings.Repeat("x", MaxMetadataValue+1)}},
	} {
		_, err := e.admitted()
		f, ok := fault.As(err)
		if !ok || f.Kind != fault.Invalid || len(f.Fields) == 0 || f.Fields[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
		if code := "environment_invalid"; ok && !strings.HasPrefix(path, "metadata") && f.Code != code {
			t.Errorf("%s: code %s", path, f.Code)
		} else if code = "invalid_metadata"; ok && strings.HasPrefix(path, "metadata") && f.Code != code {
			t.Errorf("%s: code %s", path, f.Code)
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	hosts := []string{"b.example"}
	yes, none := true, []string(nil)
	old := Environment{
		Name: "a", Description: "d", Metadata: map[string]string{"keep": "1", "drop": "2"},
		Config: Config{
			Type: Cloud, Networking: Networking{Type: Limited, AllowedHosts: []string{"a.example"}, AllowPackageManagers: true},
			Packages: Packages{Pip: []string{"x"}, Npm: []string{"y"}},
		},
	}
	limited, open := Limited, Unrestricted
	got := Patch{
		Description: text(""), Metadata: map[string]*string{"drop": nil, "new": text("3")},
		Config: &ConfigPatch{
			Networking: &NetworkingPatch{Type: &limited, AllowedHosts: &hosts, AllowMCPServers: &yes}, Packages: &PackagesPatch{Pip: &none},
		},
	}.Apply(old)
	want := Environment{
		Name: "a", Metadata: map[string]string{"keep": "1", "new": "3"},
		Config: Config{
			Type: Cloud, Packages: Packages{Npm: []string{"y"}},
			Networking: Networking{Type: Limited, AllowedHosts: hosts, AllowMCPServers: true, AllowPackageManagers: true},
		},
	}
	if d := cmp.Diff(want, got, ignoreIDs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if old.Metadata["drop"] != "2" || old.Config.Networking.AllowedHosts[0] != "a.example" {
		t.Error("the old environment changed")
	}
	anew := Patch{Config: &ConfigPatch{Networking: &NetworkingPatch{Type: &open}}}.Apply(old).Config.Networking
	if d := cmp.Diff(Networking{Type: Unrestricted}, anew); d != "" {
		t.Errorf("networking of another type (-want +got):\n%s", d)
	}
}
