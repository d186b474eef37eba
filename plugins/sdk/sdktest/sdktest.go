// Package sdktest runs a plugin inside a test: no process is started, but every call crosses the wire protocol, and what the
// server would refuse fails the test.
package sdktest

import (
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Skill serves p and returns it as the server sees it. It fails the test when p is not a skill, or says of itself what a server
// would refuse.
func Skill(t testing.TB, p sdk.Plugin) tool.Tool {
	t.Helper()
	c := wire.NewSkill(connect(t, p))
	spec, _, err := c.Describe(t.Context())
	if err != nil {
		t.Fatalf("sdktest: the plugin is not a skill that a server would take: %v", err)
	}
	return skill{c, spec}
}

// Call uses a skill with an input that is encoded as JSON, and returns its answer. An error of the skill fails the test; a
// result for the model to mend does not.
func Call(t testing.TB, s tool.Tool, input any) sdk.Result {
	t.Helper()
	b, err := json.Marshal(input)
	if err != nil {
		t.Fatalf("sdktest: the input: %v", err)
	}
	res, err := s.Call(t.Context(), sdk.Call{Key: "test", Input: b})
	if err != nil {
		t.Fatalf("sdktest: %s: %v", s.Spec().Name, err)
	}
	return res
}

// Rule serves p and returns it as the server sees it. It fails the test when p is not a rule, or says of itself what a server
// would refuse.
func Rule(t testing.TB, p sdk.Plugin) rule.Evaluator {
	t.Helper()
	c := wire.NewRule(connect(t, p))
	desc, _, err := c.Describe(t.Context())
	if err != nil {
		t.Fatalf("sdktest: the plugin is not a rule that a server would take: %v", err)
	}
	return evaluator{c, desc}
}

// Judge asks a rule about an act under a configuration that is encoded as JSON. An error of the rule fails the test.
func Judge(t testing.TB, r rule.Evaluator, config any, act sdk.Act) sdk.Verdict {
	t.Helper()
	b, err := json.Marshal(config)
	if err != nil {
		t.Fatalf("sdktest: the configuration: %v", err)
	}
	if err := r.Validate(t.Context(), b); err != nil {
		t.Fatalf("sdktest: the configuration %s: %v", b, err)
	}
	if act.At.IsZero() {
		act.At = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	}
	act.Config = b
	v, err := r.Evaluate(t.Context(), act)
	if err != nil {
		t.Fatalf("sdktest: %s: %v", r.Describe().Name, err)
	}
	return v
}

// Reach lets skills that are made from now on reach a server of the test through sdk.HTTPClient, although it has a private
// address. It sets the environment, so the test cannot run in parallel with others.
func Reach(t *testing.T, servers ...*httptest.Server) {
	t.Helper()
	list := ""
	for _, s := range servers {
		list += s.Listener.Addr().String() + ","
	}
	t.Setenv(wire.EnvEgressAllow, list)
}

// connect serves p over a connection inside the process.
func connect(t testing.TB, p sdk.Plugin) grpc.ClientConnInterface {
	t.Helper()
	served, err := p.Served()
	if err != nil {
		t.Fatal(err)
	}
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer()
	wire.Register(srv, served)
	go srv.Serve(lis)
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient("passthrough:///plugin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

type skill struct {
	*wire.Skill

	spec tool.Spec
}

var _ tool.Tool = skill{}

func (s skill) Spec() tool.Spec { return s.spec }

type evaluator struct {
	*wire.Rule

	desc rule.Description
}

var _ rule.Evaluator = evaluator{}

func (e evaluator) Describe() rule.Description { return e.desc }

func (e evaluator) Evaluate(ctx context.Context, in rule.Input) (rule.Verdict, error) {
	return e.Rule.Evaluate(ctx, in, e.desc.Inputs)
}
