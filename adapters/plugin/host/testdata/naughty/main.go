// Command naughty is a plugin that misbehaves in the ways that the host must survive. Its mode stands behind the end of its own
// file, after a line break: what is wrong from the start needs a binary of its own, and this one is built only once.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	rulev1 "github.com/bureau-agents/bureau/plugins/proto/rule/v1"
	skillv1 "github.com/bureau-agents/bureau/plugins/proto/skill/v1"
	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/wire"
)

var mode string

func main() {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	mode = string(self[bytes.LastIndexByte(self, '\n')+1:])
	switch mode {
	case "skill", "renamed":
		fmt.Fprintln(os.Stderr, "naughty is up")
		serveSkill()
	case "rule":
		serve(func(s *grpc.Server) { rulev1.RegisterRuleServiceServer(s, ruleServer{}) }, 1)
	case "garbage":
		serve(func(s *grpc.Server) { skillv1.RegisterSkillServiceServer(s, garbageServer{}) }, 1)
	case "nothing":
		serve(func(*grpc.Server) {}, 1)
	case "wrongversion":
		serve(func(*grpc.Server) {}, 99)
	case "exit":
		os.Exit(3)
	case "noise":
		fmt.Println("hello, world")
		time.Sleep(time.Hour)
	case "silent":
		time.Sleep(time.Hour)
	case "deaf": // ignores its parent's death as far as the pipe goes
		os.Unsetenv(wire.EnvParentFD)
		serveSkill()
	}
}

func serveSkill() {
	name := "naughty"
	if mode == "renamed" {
		name = "other"
	}
	sdk.Serve(sdk.RawSkill(sdk.SkillInfo{
		Name: name, Version: "0.1", Description: "Misbehaves on demand.", Secrets: []string{"wanted"},
	}, json.RawMessage(`{"type":"object"}`), call))
}

// hoard keeps what "alloc" took from being collected.
var hoard [][]byte

func call(ctx context.Context, c sdk.Call) (sdk.Result, error) {
	var in struct {
		Do   string        `json:"do"`
		Text string        `json:"text"`
		N    int           `json:"n"`
		For  time.Duration `json:"for"`
	}
	if err := json.Unmarshal(c.Input, &in); err != nil {
		return sdk.Result{Text: "bad input", IsError: true}, nil
	}
	if strings.Contains(in.Do, "no such") || string(c.Input) == `{"no such field":[[[]]]}` {
		return sdk.Result{Text: "bad input", IsError: true}, nil
	}
	switch in.Do {
	case "crash":
		os.Exit(7)
	case "panic":
		panic("as asked")
	case "fatal": // a panic that nothing recovers
		go func() { panic("in another goroutine") }()
		select {}
	case "hang":
		select {}
	case "wait":
		select {
		case <-ctx.Done():
			return sdk.Result{}, ctx.Err()
		case <-time.After(in.For):
		}
	case "alloc":
		for range in.N {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
		runtime.KeepAlive(hoard)
	case "big":
		return sdk.Result{Text: strings.Repeat("x", in.N)}, nil
	case "binary":
		return sdk.Result{Text: "\xff\xfe"}, nil
	case "env":
		return sdk.Result{Text: strings.Join(os.Environ(), "\n")}, nil
	case "pid":
		return sdk.Result{Text: fmt.Sprint(os.Getpid())}, nil
	case "secrets":
		b, err := json.Marshal(c.Secrets)
		return sdk.Result{Text: string(b)}, err
	}
	return sdk.Result{Text: in.Text}, nil
}

func serve(register func(*grpc.Server), version int) {
	hs := wire.Handshake()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  hs,
		VersionedPlugins: map[int]plugin.PluginSet{version: {"skill": raw{register: register}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

type raw struct {
	plugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
}

func (r raw) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	r.register(s)
	return nil
}

func (r raw) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

// garbageServer describes itself with a schema that is not JSON.
type garbageServer struct{}

func (garbageServer) Describe(context.Context, *skillv1.DescribeRequest) (*skillv1.DescribeResponse, error) {
	return &skillv1.DescribeResponse{Name: "garbage", Description: "x", InputSchema: []byte("{")}, nil
}

func (garbageServer) Call(context.Context, *skillv1.CallRequest) (*skillv1.CallResponse, error) {
	return &skillv1.CallResponse{}, nil
}

// ruleServer answers what the payee asks for.
type ruleServer struct{}

func (ruleServer) Describe(context.Context, *rulev1.DescribeRequest) (*rulev1.DescribeResponse, error) {
	return &rulev1.DescribeResponse{Name: "naughty_rule", Summary: "Misjudges on demand.", Inputs: []string{"payee"}}, nil
}

func (ruleServer) Validate(context.Context, *rulev1.ValidateRequest) (*rulev1.ValidateResponse, error) {
	return &rulev1.ValidateResponse{}, nil
}

func (ruleServer) Evaluate(ctx context.Context, r *rulev1.EvaluateRequest) (*rulev1.EvaluateResponse, error) {
	allow := &rulev1.EvaluateResponse{Outcome: rulev1.Outcome_OUTCOME_ALLOW}
	switch r.GetPayee() {
	case "unknown outcome":
		return &rulev1.EvaluateResponse{Outcome: 17}, nil
	case "no outcome":
		return &rulev1.EvaluateResponse{}, nil
	case "no reason":
		return &rulev1.EvaluateResponse{Outcome: rulev1.Outcome_OUTCOME_DENY}, nil
	case "bad window":
		allow.Limits = []*rulev1.Limit{{Window: "fortnight", Max: &rulev1.Amount{Micros: 1, Currency: "USDC"}}}
	case "bad currency":
		allow.Limits = []*rulev1.Limit{{Window: "day", Max: &rulev1.Amount{Micros: 1, Currency: "?"}}}
	case "negative limit":
		allow.Limits = []*rulev1.Limit{{Window: "day", Max: &rulev1.Amount{Micros: -1, Currency: "USDC"}}}
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	case "crash":
		os.Exit(7)
	case "curious":
		if r.GetAmount() != nil || r.GetDescription() != "" || r.GetAgentId() != "" || r.GetAt() != nil {
			return &rulev1.EvaluateResponse{Outcome: rulev1.Outcome_OUTCOME_DENY, Reason: "was told too much"}, nil
		}
	}
	return allow, nil
}
