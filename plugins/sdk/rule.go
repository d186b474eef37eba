package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// RuleInfo describes a rule.
type RuleInfo struct {
	Name    string // [a-z0-9_-]{1,64}, as policies name it; required
	Version string // your own; for people
	Summary string // one sentence for operators; required
	// Inputs are the fields of Act that the rule reads: InputAmount, InputPayee and so on. The others are not sent.
	Inputs []string
}

// The names that RuleInfo.Inputs may list.
const (
	InputAmount      = rule.InputAmount
	InputPayee       = rule.InputPayee
	InputCategory    = rule.InputCategory
	InputDescription = rule.InputDescription
	InputTool        = rule.InputTool
	InputArguments   = rule.InputArguments
	InputAgent       = rule.InputAgent
	InputTime        = rule.InputTime
)

// Act is what an agent wants to do.
type Act = rule.Input

// The kinds of act, in Act.Action. New ones may come: a rule allows what does not concern it.
const (
	ActionPayment   = rule.ActionPayment
	ActionTransfer  = rule.ActionTransfer
	ActionModelCall = rule.ActionModelCall
	ActionToolCall  = rule.ActionToolCall
	ActionRunStart  = rule.ActionRunStart
)

// Verdict is a rule's answer. Make one with Allow, RequireApproval or Deny.
type Verdict = rule.Verdict

// Limit is a cap on what the agent may spend in a window, the act in question included. The server keeps the count, in the same
// transaction as the payment, so that concurrent acts cannot pass it together.
type Limit = rule.Limit

// The windows of limits. Calendar windows end at midnight UTC.
const (
	WindowHour  = rule.WindowHour
	WindowDay   = rule.WindowDay
	WindowWeek  = rule.WindowWeek
	WindowMonth = rule.WindowMonth
	WindowAll   = rule.WindowAll
)

// Amount is money: millionths of a currency's unit.
type Amount = money.Amount

// ParseAmount reads a decimal string with at most six places, such as "20.00", and an upper-case currency code.
func ParseAmount(decimal, currency string) (Amount, error) {
	c, err := money.ParseCurrency(currency)
	if err != nil {
		return Amount{}, err
	}
	return money.Parse(decimal, c)
}

// Allow lets the act pass, within the limits if there are any.
func Allow(limits ...Limit) Verdict { return Verdict{Outcome: rule.Allow, Limits: limits} }

// RequireApproval asks a person. The reason is shown to that person.
func RequireApproval(format string, args ...any) Verdict {
	return Verdict{Outcome: rule.Approve, Reason: fmt.Sprintf(format, args...)}
}

// Deny stops the act. The reason is shown to the agent.
func Deny(format string, args ...any) Verdict {
	return Verdict{Outcome: rule.Deny, Reason: fmt.Sprintf(format, args...)}
}

// Invalid is the error of a configuration with a faulty field, for a Validate method.
func Invalid(field, format string, args ...any) error {
	return fault.Invalidf(field, format, args...)
}

// Validator is implemented by a rule's configuration that must hold more than its JSON schema can say. Its error is shown to who
// writes the policy; Invalid names the field.
type Validator interface {
	// Validate returns what is wrong with the configuration, or nil.
	Validate() error
}

// Rule makes a rule of a function. Its configuration is Config, a struct; its JSON schema comes from the fields and tags as for
// Skill. A configuration is checked when a policy is written: unknown fields are refused, and a Config that is a Validator has its
// say. judge must give the same verdict for the same act, and has no more than two seconds. An error of judge denies.
func Rule[Config any](info RuleInfo, judge func(ctx context.Context, cfg Config, act Act) (Verdict, error)) Plugin {
	schema, err := inputSchema[Config]()
	switch {
	case err != nil:
		return Plugin{err: fmt.Errorf("sdk: rule %s: %w", info.Name, err)}
	case !pluginName.MatchString(info.Name):
		return Plugin{err: fmt.Errorf("sdk: the rule's name %q must match %s", info.Name, pluginName)}
	case strings.TrimSpace(info.Summary) == "":
		return Plugin{err: fmt.Errorf("sdk: rule %s: Summary is required", info.Name)}
	case judge == nil:
		return Plugin{err: fmt.Errorf("sdk: rule %s: the function is required", info.Name)}
	}
	return Plugin{served: wire.Served{Version: info.Version, Rule: &ruleOf[Config]{
		desc:  rule.Description{Name: info.Name, Summary: info.Summary, ConfigSchema: schema, Inputs: info.Inputs},
		judge: judge,
	}}}
}

type ruleOf[Config any] struct {
	desc  rule.Description
	judge func(ctx context.Context, cfg Config, act Act) (Verdict, error)
}

var _ rule.Evaluator = (*ruleOf[struct{}])(nil)

func (r *ruleOf[Config]) Describe() rule.Description { return r.desc }

func (r *ruleOf[Config]) Validate(_ context.Context, config json.RawMessage) (err error) {
	defer recovered(r.desc.Name, &err)
	_, err = r.config(config)
	return err
}

// config reads a configuration; none is the same as an empty object.
func (r *ruleOf[Config]) config(config json.RawMessage) (Config, error) {
	var cfg Config
	if len(config) == 0 {
		config = json.RawMessage("{}")
	}
	if err := decodeStrict(config, &cfg); err != nil {
		return cfg, badConfig(err)
	}
	if v, ok := any(cfg).(Validator); ok {
		return cfg, asInvalid(v.Validate())
	}
	if v, ok := any(&cfg).(Validator); ok {
		return cfg, asInvalid(v.Validate())
	}
	return cfg, nil
}

// asInvalid makes whatever a Validate method returned the caller's fault.
func asInvalid(err error) error {
	if err == nil || fault.KindOf(err) == fault.Invalid {
		return err
	}
	return badConfig(err)
}

// badConfig is the fault of a configuration as a whole: it names no field, so that the host names the configuration.
func badConfig(err error) error { return fault.New(fault.Invalid, "invalid_request", err.Error()) }

func (r *ruleOf[Config]) Evaluate(ctx context.Context, act rule.Input) (v rule.Verdict, err error) {
	defer recovered(r.desc.Name, &err)
	cfg, err := r.config(act.Config)
	if err != nil {
		return Verdict{}, err
	}
	return r.judge(ctx, cfg, act)
}
