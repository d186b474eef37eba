package hosting

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Program is a program of an agent's own, which answers in place of Bureau's agent loop.
type Program struct {
	Image      string   // what a container is made of; "" on hosts that run commands of this machine
	Command    []string // with its arguments; empty is the image's own
	Port       int      // where it listens, 1 to 65535
	Protocol   Protocol // how it is spoken to; "" becomes ProtocolOpenAI
	HealthPath string   // that answers 2xx by GET once it is ready; "": it is ready when it takes connections
	Model      string   // as which it is asked by ProtocolOpenAI; "" is "agent"
	TokenName  string   // of the agent's secret that is shown to it as a bearer token; "" is none
	Network    runtime.Network
}

// AskedModel returns Model, or what stands in for it.
func (p Program) AskedModel() string {
	if p.Model == "" {
		return "agent"
	}
	return p.Model
}

// Protocol is how an agent's own program is spoken to.
type Protocol string

// The protocols.
const (
	ProtocolOpenAI Protocol = "openai" // POST /v1/chat/completions
	ProtocolA2A    Protocol = "a2a"    // Agent2Agent, JSON-RPC
)

// Limits of what is stored.
const (
	MaxConfig    = 64 << 10 // bytes of a Deployment's Config
	MaxDepth     = 32       // how deep objects and arrays of a Config are nested
	MaxAvatarURL = 2048     // characters
	MaxImage     = 512
	MaxArgs      = 64 // of a Program's Command, of MaxArg characters each
	MaxArg       = 4096
	MaxHosts     = 64 // of a Program's Network
	MaxModel     = 256
	MaxTokenName = 128

	MaxMemory    = int64(1) << 40 // bytes, of Limits
	MaxCPU       = 256_000        // thousandths of a core
	MaxProcesses = 100_000
	MinMemory    = 16 << 20 // what Bureau's worker needs
)

// providers are what Config's member llmProvider may name.
var providers = []string{"anthropic", "openai", "google", "offline"}

// check gathers what is wrong with a deployment's settings.
func (d Deployment) check() error {
	var f check.Faults
	if d.Region != RegionUS && d.Region != RegionEU {
		f.Addf("region", "must be us or eu")
	}
	f.Text("avatar_url", d.AvatarURL, MaxAvatarURL)
	if d.AvatarURL != "" && !strings.HasPrefix(d.AvatarURL, "https://") && !strings.HasPrefix(d.AvatarURL, "http://") &&
		!strings.HasPrefix(d.AvatarURL, "data:image/") {
		f.Addf("avatar_url", "must be an http or https URL, or an image as a data URL")
	}
	checkConfig(&f, d.Config)
	checkLimits(&f, d.Limits)
	if d.Program != nil {
		d.Program.check(&f)
	}
	return f.Err(ErrInvalid)
}

func checkConfig(f *check.Faults, config json.RawMessage) {
	if len(config) > MaxConfig {
		f.Addf("config", "has %d bytes; at most %d are allowed", len(config), MaxConfig)
		return
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(config, &members) != nil {
		f.Addf("config", "must be an object")
		return
	}
	if strings.Contains(string(config), `\u0000`) {
		f.Addf("config", "must not contain the NUL character")
	}
	if raw, ok := members["llmProvider"]; ok {
		var name string
		if json.Unmarshal(raw, &name) != nil || !slices.Contains(providers, name) {
			f.Addf("config.llmProvider", "must be one of %s", strings.Join(providers, ", "))
		}
	}
}

func checkLimits(f *check.Faults, l Limits) {
	for _, v := range []struct {
		name        string
		value, most int64
	}{
		{"memory", l.Memory, MaxMemory}, {"processes", int64(l.Processes), MaxProcesses}, {"disk", l.Disk, MaxMemory},
		{"cpu", int64(l.CPU), MaxCPU}, {"open_files", int64(l.OpenFiles), 1 << 20},
	} {
		if v.value < 0 || v.value > v.most {
			f.Addf("limits."+v.name, "must be 0 to %d", v.most)
		}
	}
	if l.Memory > 0 && l.Memory < MinMemory {
		f.Addf("limits.memory", "must be 0 or at least %d bytes", MinMemory)
	}
}

func (p Program) check(f *check.Faults) {
	f.Text("program.image", p.Image, MaxImage)
	if p.Image == "" && len(p.Command) == 0 {
		f.Addf("program", "needs an image or a command")
	}
	if len(p.Command) > MaxArgs {
		f.Addf("program.command", "has %d parts; at most %d are allowed", len(p.Command), MaxArgs)
	}
	for i, arg := range p.Command {
		f.Text(fmt.Sprintf("program.command[%d]", i), arg, MaxArg)
	}
	if len(p.Command) > 0 && strings.TrimSpace(p.Command[0]) == "" {
		f.Addf("program.command[0]", "must not be empty")
	}
	if p.Port < 1 || p.Port > 65535 {
		f.Addf("program.port", "must be 1 to 65535")
	}
	if p.Protocol != ProtocolOpenAI && p.Protocol != ProtocolA2A {
		f.Addf("program.protocol", "must be openai or a2a")
	}
	f.Text("program.health_path", p.HealthPath, MaxAvatarURL)
	if p.HealthPath != "" && (!strings.HasPrefix(p.HealthPath, "/") || strings.ContainsAny(p.HealthPath, " \r\n\t#")) {
		f.Addf("program.health_path", "must be a path that begins with /")
	}
	f.Text("program.model", p.Model, MaxModel)
	f.Text("program.token_name", p.TokenName, MaxTokenName)
	switch p.Network.Mode {
	case runtime.NetworkNone, runtime.NetworkPublic:
		if len(p.Network.Hosts) > 0 {
			f.Addf("program.network.hosts", "belong to a limited network")
		}
	case runtime.NetworkLimited:
		if len(p.Network.Hosts) > MaxHosts {
			f.Addf("program.network.hosts", "has %d entries; at most %d are allowed", len(p.Network.Hosts), MaxHosts)
		}
		for i, h := range p.Network.Hosts {
			f.Given(fmt.Sprintf("program.network.hosts[%d]", i), h, 253)
		}
	default:
		f.Addf("program.network.mode", "must be none, public or limited")
	}
}
