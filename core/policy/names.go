package policy

import (
	"slices"

	"github.com/bureau-agents/bureau/ports/rule"
)

// LimitNames returns the names of all limits, in snake case, as decisions name them.
func LimitNames() []string {
	var names []string
	for _, a := range (Limits{}).amounts() {
		names = append(names, a.name)
	}
	for _, t := range (Limits{}).tokens() {
		names = append(names, t.name)
	}
	for _, l := range (Limits{}).lists() {
		names = append(names, l.name)
	}
	for _, m := range []Measure{MeasureAmount, MeasureCount, MeasureCost, MeasureTokens} {
		for _, w := range []rule.Window{rule.WindowHour, rule.WindowDay, rule.WindowWeek, rule.WindowMonth, rule.WindowAll, WindowRun} {
			for _, rolling := range []bool{false, true} {
				limit := WindowLimit{Measure: m, Window: w, Rolling: rolling}
				if Rolls(limit.span()) == rolling && !slices.Contains(names, limit.Name()) {
					names = append(names, limit.Name())
				}
			}
		}
	}
	return append(names, "structuring", "new_payee", "allowed_times")
}
