package ruletest_test

import (
	"testing"

	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
)

func TestRule(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New: func(*testing.T) rule.Evaluator {
			return ruletest.Rule{Description: rule.Description{Name: "mild", Summary: "Allows everything."}}
		},
		Input: rule.Input{Action: rule.ActionPayment},
	})
}
