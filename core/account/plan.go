package account

import "github.com/bureau-agents/bureau/ports/fault"

// Plan is what a tenant has signed up for; it decides its limits.
type Plan string

// The plans.
const (
	PlanFree      Plan = "free"
	PlanPro       Plan = "pro"
	PlanTeam      Plan = "team"
	PlanUnlimited Plan = "unlimited" // the default of a server of one's own: no limits, no credits deducted
)

// ParsePlan reads the name of a plan; "builder" and "startup" are other names of pro and team. An unknown name is a
// fault.Invalid at "plan".
func ParsePlan(s string) (Plan, error) {
	switch s {
	case "free", "pro", "team", "unlimited":
		return Plan(s), nil
	case "builder":
		return PlanPro, nil
	case "startup":
		return PlanTeam, nil
	}
	return "", fault.Invalidf("plan", "must be free, pro, team or unlimited")
}

// Unlimited is the value of a limit that does not exist.
const Unlimited = -1

// Limits are what a plan allows. Each number may be Unlimited. They hold for a tenant over every face.
type Limits struct {
	Agents            int  // agents that are not archived
	SkillsPerAgent    int  // skills installed on one agent
	MonthlyCredits    int  // credits that runs may use in a calendar month, UTC
	RequestsPerMinute int  // requests per API key on the native and the valta face; the others document their own
	DailyValidations  int  // agent cards validated in a calendar day, UTC
	Swarms            bool // whether swarms are offered
	Batch             bool // whether cards may be validated in batches
}

// Limits returns what p allows. A plan that is not known gets those of PlanFree.
func (p Plan) Limits() Limits {
	switch p {
	case PlanPro:
		return Limits{
			Agents: 10, SkillsPerAgent: 20, MonthlyCredits: 500, RequestsPerMinute: 1000, DailyValidations: Unlimited,
			Swarms: true, Batch: true,
		}
	case PlanTeam:
		return Limits{
			Agents: 200, SkillsPerAgent: 100, MonthlyCredits: 2000, RequestsPerMinute: 5000, DailyValidations: Unlimited,
			Swarms: true, Batch: true,
		}
	case PlanUnlimited:
		return Limits{
			Agents: Unlimited, SkillsPerAgent: Unlimited, MonthlyCredits: Unlimited, RequestsPerMinute: Unlimited,
			DailyValidations: Unlimited, Swarms: true, Batch: true,
		}
	default:
		return Limits{Agents: 3, SkillsPerAgent: 5, MonthlyCredits: 50, RequestsPerMinute: 100, DailyValidations: 10}
	}
}
