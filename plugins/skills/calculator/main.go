// Command calculator is the skill with which agents do arithmetic: exact decimals and fractions of any size that fits its
// limits, + - * / % ^ and parentheses, and the functions sqrt, abs, min, max and round.
//
// It is also the smallest complete example of a typed skill: an input struct, a function, and Serve.
package main

import (
	"context"

	"github.com/bureau-agents/bureau/plugins/sdk"
)

func main() { sdk.Serve(calculator()) }

// input is what the model fills in.
type input struct {
	Expression string `json:"expression" jsonschema:"example=(17 + 3) * 2.5,minLength=1,maxLength=1000" jsonschema_description:"the arithmetic to work out, with + - * / % ^ ( ) and sqrt(x), abs(x), min(x, y, ...), max(x, y, ...), round(x, places)"`
}

func calculator() sdk.Plugin {
	return sdk.Skill(sdk.SkillInfo{
		Name:    "calculator",
		Version: "1.0.0",
		Description: "Works out arithmetic exactly: sums, products, quotients, remainders, powers, roots and rounding of numbers of " +
			"any size. Use it to calculate or compute whenever numbers matter, instead of guessing.",
		Idempotent: true,
	}, func(_ context.Context, in input) (string, error) { return calculate(in.Expression) })
}
