package main

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/bureau-agents/bureau/plugins/sdk"
)

// The bounds of an expression. The cost is CEL's own measure of work, about one per step: a rule has two seconds, and this is far below.
const (
	maxExpression = 4096
	maxDepth      = 64
	maxCost       = 1_000_000
)

// env is what every expression may use.
var env = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("action", cel.StringType),
		cel.Variable("amount", cel.NullableType(cel.IntType)),
		cel.Variable("currency", cel.StringType),
		cel.Variable("payee", cel.StringType),
		cel.Variable("host", cel.StringType),
		cel.Variable("category", cel.StringType),
		cel.Variable("description", cel.StringType),
		cel.Variable("tool", cel.StringType),
		cel.Variable("arguments", cel.DynType),
		cel.Variable("agent_id", cel.StringType),
		cel.Variable("agent_name", cel.StringType),
		cel.Variable("labels", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable("time", cel.TimestampType),
		cel.Function("money", cel.Overload("money_string", []*cel.Type{cel.StringType}, cel.IntType, cel.UnaryBinding(micros))),
		ext.Strings(), ext.Lists(), ext.Sets(), ext.Math(),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.DefaultUTCTimeZone(true),
	)
})

// micros is CEL's money: a decimal text in millionths.
func micros(v ref.Val) ref.Val {
	text, ok := v.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	a, err := sdk.ParseAmount(text, "USD") // whichever currency: the millionths are the same
	if err != nil {
		return types.NewErr("money(%q): %v", text, err)
	}
	return types.Int(a.Micros)
}

// compiling is held while an expression is checked: the library fills in what faults are described with then, for all who share env at once.
var compiling sync.Mutex

func compile(expression string) (cel.Program, error) {
	e, err := env()
	if err != nil {
		return nil, err
	}
	compiling.Lock()
	ast, issues := e.Compile(expression)
	err = issues.Err()
	compiling.Unlock()
	if err != nil {
		return nil, err
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.StringType) && !t.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("it yields %s; it must yield a bool, or one of 'allow', 'require_approval' and 'deny'", t)
	}
	return e.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(100), cel.EvalOptions(cel.OptOptimize))
}

// maxPrograms bounds how many compiled expressions are kept.
const maxPrograms = 1000

// programs keeps compiled expressions, since compiling takes far longer than evaluating. It is safe for concurrent use.
type programs struct {
	mu   sync.Mutex
	kept map[string]cel.Program
}

func (p *programs) get(expression string) (cel.Program, error) {
	p.mu.Lock()
	program, ok := p.kept[expression]
	p.mu.Unlock()
	if ok {
		return program, nil
	}
	program, err := compile(expression)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept == nil || len(p.kept) >= maxPrograms {
		p.kept = map[string]cel.Program{}
	}
	p.kept[expression] = program
	return program, nil
}
