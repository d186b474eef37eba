package environment_test

import (
	"testing"

	"github.com/bureau-agents/bureau/core/environment"
)

func TestCheckMCP(t *testing.T) {
	t.Parallel()
	limited := environment.Networking{Type: environment.Limited, AllowedHosts: []string{"mcp.example.com", "*.example.org"}}
	open := limited
	open.AllowMCPServers = true
	tests := []struct {
		name    string
		n       environment.Networking
		url     string
		reached bool
	}{
		{"unrestricted", environment.Networking{}, "https://anything.example/mcp", true},
		{"named", limited, "https://MCP.example.com:8443/mcp", true},
		{"subdomain", limited, "https://a.b.example.org/", true},
		{"the domain of a wildcard itself", limited, "https://example.org/", false},
		{"ends alike", limited, "https://notexample.org/", false},
		{"another", limited, "https://mcp.example.net/", false},
		{"all servers", open, "https://mcp.example.net/", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.n.CheckMCP(tt.url); (err == nil) != tt.reached {
				t.Errorf("CheckMCP(%q): %v", tt.url, err)
			}
		})
	}
}
