package wire

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	rulev1 "github.com/bureau-agents/bureau/plugins/proto/rule/v1"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Rule is the host's end of a rule plugin. It is safe for concurrent use.
type Rule struct{ client rulev1.RuleServiceClient }

// NewRule speaks to a rule over a connection.
func NewRule(c grpc.ClientConnInterface) *Rule {
	return &Rule{rulev1.NewRuleServiceClient(c)}
}

// inputs are the names that a rule may ask for.
var inputs = []string{
	rule.InputAmount, rule.InputPayee, rule.InputCategory, rule.InputDescription, rule.InputTool, rule.InputArguments,
	rule.InputAgent, rule.InputTime,
}

// Describe asks the rule what it is and checks the answer; it also returns the author's version.
func (r *Rule) Describe(ctx context.Context) (desc rule.Description, version string, err error) {
	d, err := r.client.Describe(ctx, &rulev1.DescribeRequest{})
	if err != nil {
		return rule.Description{}, "", FromStatus(err)
	}
	desc = rule.Description{Name: d.GetName(), Summary: d.GetSummary(), Inputs: d.GetInputs()}
	if len(d.GetConfigSchema()) > 0 {
		desc.ConfigSchema = d.GetConfigSchema()
		if !json.Valid(desc.ConfigSchema) {
			return rule.Description{}, "", badAnswer("its configuration schema is not JSON")
		}
	}
	if err := checkName(desc.Name); err != nil {
		return rule.Description{}, "", err
	}
	if err := checkText("summary", desc.Summary); err != nil {
		return rule.Description{}, "", err
	}
	if err := checkVersion(d.GetVersion()); err != nil {
		return rule.Description{}, "", err
	}
	for _, in := range desc.Inputs {
		if !slices.Contains(inputs, in) {
			return rule.Description{}, "", badAnswer("it asks for %q, which is not one of %v", in, inputs)
		}
	}
	return desc, d.GetVersion(), nil
}

// Validate asks the rule about a configuration.
func (r *Rule) Validate(ctx context.Context, config json.RawMessage) error {
	_, err := r.client.Validate(ctx, &rulev1.ValidateRequest{Config: config})
	return FromStatus(err)
}

// Evaluate asks the rule about an act and checks the verdict. Fields that wants does not list stay here.
func (r *Rule) Evaluate(ctx context.Context, in rule.Input, wants []string) (rule.Verdict, error) {
	resp, err := r.client.Evaluate(ctx, toRequest(in, wants))
	if err != nil {
		return rule.Verdict{}, FromStatus(err)
	}
	v := rule.Verdict{Reason: resp.GetReason()}
	switch resp.GetOutcome() {
	case rulev1.Outcome_OUTCOME_ALLOW:
		v.Outcome = rule.Allow
	case rulev1.Outcome_OUTCOME_REQUIRE_APPROVAL:
		v.Outcome = rule.Approve
	case rulev1.Outcome_OUTCOME_DENY:
		v.Outcome = rule.Deny
	default:
		return rule.Verdict{}, badAnswer("its verdict is %v", resp.GetOutcome())
	}
	if err := checkText("reason", v.Reason); err != nil {
		return rule.Verdict{}, err
	}
	if v.Outcome != rule.Allow && v.Reason == "" {
		return rule.Verdict{}, badAnswer("it gives no reason for the verdict %q", v.Outcome)
	}
	for _, l := range resp.GetLimits() {
		limit, err := fromLimit(l)
		if err != nil {
			return rule.Verdict{}, err
		}
		v.Limits = append(v.Limits, limit)
	}
	return v, nil
}

func fromLimit(l *rulev1.Limit) (rule.Limit, error) {
	w := rule.Window(l.GetWindow())
	switch w {
	case rule.WindowHour, rule.WindowDay, rule.WindowWeek, rule.WindowMonth, rule.WindowAll:
	default:
		return rule.Limit{}, badAnswer("it limits the window %q, which is none", l.GetWindow())
	}
	c, err := money.ParseCurrency(l.GetMax().GetCurrency())
	if err != nil {
		return rule.Limit{}, badAnswer("a limit has no valid currency: %v", err)
	}
	if l.GetMax().GetMicros() < 0 {
		return rule.Limit{}, badAnswer("a limit is negative")
	}
	return rule.Limit{Window: w, Max: money.Of(l.GetMax().GetMicros(), c)}, nil
}

func toRequest(in rule.Input, wants []string) *rulev1.EvaluateRequest {
	req := &rulev1.EvaluateRequest{Action: string(in.Action), Config: in.Config}
	for _, w := range wants {
		switch w {
		case rule.InputAmount:
			if in.Amount != nil {
				req.Amount = &rulev1.Amount{Micros: in.Amount.Micros, Currency: string(in.Amount.Currency)}
			}
		case rule.InputPayee:
			req.Payee = in.Payee
		case rule.InputCategory:
			req.Category = in.Category
		case rule.InputDescription:
			req.Description = in.Description
		case rule.InputTool:
			req.Tool = in.Tool
		case rule.InputArguments:
			req.Arguments = in.Arguments
		case rule.InputAgent:
			req.AgentId, req.AgentName, req.Labels = in.AgentID, in.AgentName, in.Labels
		case rule.InputTime:
			if !in.At.IsZero() {
				req.At = timestamppb.New(in.At)
			}
		}
	}
	return req
}

// ruleServer is the plugin's end.
type ruleServer struct {
	rule    rule.Evaluator
	version string
}

var _ rulev1.RuleServiceServer = (*ruleServer)(nil)

func (s *ruleServer) Describe(context.Context, *rulev1.DescribeRequest) (*rulev1.DescribeResponse, error) {
	d := s.rule.Describe()
	return &rulev1.DescribeResponse{
		Name: d.Name, Version: s.version, Summary: d.Summary, ConfigSchema: d.ConfigSchema, Inputs: d.Inputs,
	}, nil
}

func (s *ruleServer) Validate(ctx context.Context, r *rulev1.ValidateRequest) (*rulev1.ValidateResponse, error) {
	if err := s.rule.Validate(ctx, r.GetConfig()); err != nil {
		return nil, ToStatus(err)
	}
	return &rulev1.ValidateResponse{}, nil
}

// outcomes maps what a rule wants to what travels; anything else travels as no verdict, which the host takes for a defect.
var outcomes = map[rule.Outcome]rulev1.Outcome{
	rule.Allow: rulev1.Outcome_OUTCOME_ALLOW, rule.Approve: rulev1.Outcome_OUTCOME_REQUIRE_APPROVAL, rule.Deny: rulev1.Outcome_OUTCOME_DENY,
}

func (s *ruleServer) Evaluate(ctx context.Context, r *rulev1.EvaluateRequest) (*rulev1.EvaluateResponse, error) {
	in := rule.Input{
		Action: rule.Action(r.GetAction()), Config: r.GetConfig(), Payee: r.GetPayee(), Category: r.GetCategory(),
		Description: r.GetDescription(), Tool: r.GetTool(), Arguments: r.GetArguments(), AgentID: r.GetAgentId(),
		AgentName: r.GetAgentName(), Labels: r.GetLabels(),
	}
	if a := r.GetAmount(); a != nil {
		c, err := money.ParseCurrency(a.GetCurrency())
		if err != nil {
			return nil, ToStatus(fieldError("amount", err))
		}
		amount := money.Of(a.GetMicros(), c)
		in.Amount = &amount
	}
	if r.GetAt() != nil {
		in.At = r.GetAt().AsTime().In(time.UTC)
	}
	v, err := s.rule.Evaluate(ctx, in)
	if err != nil {
		return nil, ToStatus(err)
	}
	resp := &rulev1.EvaluateResponse{Outcome: outcomes[v.Outcome], Reason: v.Reason}
	for _, l := range v.Limits {
		resp.Limits = append(resp.Limits, &rulev1.Limit{
			Window: string(l.Window), Max: &rulev1.Amount{Micros: l.Max.Micros, Currency: string(l.Max.Currency)},
		})
	}
	return resp, nil
}
