package wire

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	rulev1 "github.com/bureau-agents/bureau/plugins/proto/rule/v1"
	skillv1 "github.com/bureau-agents/bureau/plugins/proto/skill/v1"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Protocol is the newest version of the plugin protocol, and at the moment the only one.
const Protocol = 1

// The names under which a plugin set holds the two services.
const (
	SkillPlugin = "skill"
	RulePlugin  = "rule"
)

// Environment variables that the host sets for a plugin; it sets no others but those of go-plugin and Go's runtime.
const (
	// EnvParentFD is the number of an inherited file descriptor: the reading end of a pipe that the host holds open as long as it
	// lives. A plugin exits when it reads the end of file.
	EnvParentFD = "BUREAU_PLUGIN_PARENT_FD"
	// EnvEgressAllow is the operator's list of private addresses that may be reached; see egress.Config.Allow.
	EnvEgressAllow = "BUREAU_EGRESS_ALLOW"
)

// Handshake tells a plugin that it was started by a server and not by hand. It is a courtesy to people, not a protection.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  Protocol,
		MagicCookieKey:   "BUREAU_PLUGIN",
		MagicCookieValue: "7f3c1d6a0e5b4f0d9a1c2be86f40d7a3",
	}
}

// HostPlugins are the versions of the protocol that a host speaks.
func HostPlugins() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{1: {SkillPlugin: &service{}, RulePlugin: &service{}}}
}

// ServedPlugins are the versions of the protocol in which a plugin serves s.
func ServedPlugins(s Served) map[int]plugin.PluginSet {
	if s.Rule != nil {
		return map[int]plugin.PluginSet{1: {RulePlugin: &service{served: s}}}
	}
	return map[int]plugin.PluginSet{1: {SkillPlugin: &service{served: s}}}
}

// Served is what a plugin offers: exactly one of a skill and a rule.
type Served struct {
	Version string // the author's
	Tool    tool.Tool
	Rule    rule.Evaluator
}

// Register puts the service of s on a gRPC server.
func Register(r grpc.ServiceRegistrar, s Served) {
	if s.Tool != nil {
		skillv1.RegisterSkillServiceServer(r, &skillServer{tool: s.Tool, version: s.Version})
	}
	if s.Rule != nil {
		rulev1.RegisterRuleServiceServer(r, &ruleServer{rule: s.Rule, version: s.Version})
	}
}

// service adapts Served, and on the host's side the bare connection, to go-plugin.
type service struct {
	plugin.NetRPCUnsupportedPlugin

	served Served
}

// GRPCServer registers what the plugin serves.
func (s *service) GRPCServer(_ *plugin.GRPCBroker, r *grpc.Server) error {
	Register(r, s.served)
	return nil
}

// GRPCClient returns the connection, a grpc.ClientConnInterface, for NewSkill and NewRule.
func (s *service) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// ErrAnswer is returned when a plugin says what cannot be right: an unknown verdict, invalid JSON, a name that is not one.
var ErrAnswer = fault.New(fault.Internal, "plugin_answer", "the plugin answered what cannot be right")

func badAnswer(format string, args ...any) error { return ErrAnswer.Withf(format, args...) }

// checkName refuses what cannot name a plugin.
func checkName(s string) error {
	if s == "" || len(s) > 64 {
		return badAnswer("its name has %d characters; 1 to 64 are possible", len(s))
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return badAnswer("its name %q must have the characters a-z, 0-9, _ and - only", s)
		}
	}
	return nil
}

// checkText refuses text that could not be stored or shown.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return badAnswer("its %s is not UTF-8", what)
	}
	return nil
}

// checkVersion limits the author's version to what fits a line.
func checkVersion(s string) error {
	if len(s) > 64 {
		return badAnswer("its version has %d bytes; 64 are possible", len(s))
	}
	return checkText("version", s)
}

func fieldError(field string, err error) error { return fmt.Errorf("%s: %w", field, err) }
