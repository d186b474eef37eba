package wire

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"

	skillv1 "github.com/bureau-agents/bureau/plugins/proto/skill/v1"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Skill is the host's end of a skill plugin. It is safe for concurrent use.
type Skill struct{ client skillv1.SkillServiceClient }

// NewSkill speaks to a skill over a connection.
func NewSkill(c grpc.ClientConnInterface) *Skill {
	return &Skill{skillv1.NewSkillServiceClient(c)}
}

// Describe asks the skill what it is and checks the answer; it also returns the author's version.
func (s *Skill) Describe(ctx context.Context) (spec tool.Spec, version string, err error) {
	d, err := s.client.Describe(ctx, &skillv1.DescribeRequest{})
	if err != nil {
		return tool.Spec{}, "", FromStatus(err)
	}
	spec = tool.Spec{
		Name: d.GetName(), Description: d.GetDescription(), InputSchema: d.GetInputSchema(), Idempotent: d.GetIdempotent(),
		Needs: tool.Needs{Domains: d.GetDomains(), Secrets: d.GetSecrets()},
	}
	if err := checkName(spec.Name); err != nil {
		return tool.Spec{}, "", err
	}
	if err := checkText("description", spec.Description); err != nil {
		return tool.Spec{}, "", err
	}
	if err := checkVersion(d.GetVersion()); err != nil {
		return tool.Spec{}, "", err
	}
	if !json.Valid(spec.InputSchema) {
		return tool.Spec{}, "", badAnswer("its input schema is not JSON")
	}
	return spec, d.GetVersion(), nil
}

// Call uses the skill and checks the answer.
func (s *Skill) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	r, err := s.client.Call(ctx, &skillv1.CallRequest{
		Key: call.Key, Input: call.Input, TenantId: call.TenantID, AgentId: call.AgentID, SessionId: call.SessionID,
		Secrets: call.Secrets,
	})
	if err != nil {
		return tool.Result{}, FromStatus(err)
	}
	if err := checkText("result", r.GetText()); err != nil {
		return tool.Result{}, err
	}
	return tool.Result{Text: r.GetText(), IsError: r.GetIsError()}, nil
}

// skillServer is the plugin's end.
type skillServer struct {
	tool    tool.Tool
	version string
}

var _ skillv1.SkillServiceServer = (*skillServer)(nil)

func (s *skillServer) Describe(context.Context, *skillv1.DescribeRequest) (*skillv1.DescribeResponse, error) {
	d := s.tool.Spec()
	return &skillv1.DescribeResponse{
		Name: d.Name, Version: s.version, Description: d.Description, InputSchema: d.InputSchema, Idempotent: d.Idempotent,
		Domains: d.Needs.Domains, Secrets: d.Needs.Secrets,
	}, nil
}

func (s *skillServer) Call(ctx context.Context, r *skillv1.CallRequest) (*skillv1.CallResponse, error) {
	res, err := s.tool.Call(ctx, tool.Call{
		Key: r.GetKey(), Input: r.GetInput(), TenantID: r.GetTenantId(), AgentID: r.GetAgentId(), SessionID: r.GetSessionId(),
		Secrets: r.GetSecrets(),
	})
	if err != nil {
		return nil, ToStatus(err)
	}
	return &skillv1.CallResponse{Text: res.Text, IsError: res.IsError}, nil
}
