package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payee"
)

// DefaultApprovalTTL is how long an approval waits for a person when no policy says otherwise.
const DefaultApprovalTTL = 24 * time.Hour

// The bounds of policies, so that judging one act stays short: every act reads all of them that apply, and other acts wait meanwhile.
const (
	MaxPerScope    = 50       // policies that hold for one agent, one swarm, or the whole tenant
	MaxRules       = 20       // plugin rules per policy
	MaxListItems   = 1000     // entries per list
	MaxApprovals   = 10       // approvals that an act may need
	maxItemBytes   = 256      // bytes per list entry
	maxConfigBytes = 16 << 10 // bytes of a rule's configuration
	maxTTL         = 30 * 24 * time.Hour
)

// Policy limits what the agents of its scope may do. Every policy whose scope includes an agent applies to it; the strictest
// wins.
type Policy struct {
	ID        id.Policy
	Tenant    id.Tenant
	Scope     Scope
	Limits    Limits
	Rules     []RuleRef
	Mode      Mode // "" is Enforce
	Version   int  // from 1, one more with each change
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Scope says for whom a policy holds; exactly one field is set. A window limit caps what the whole scope spends together: a
// tenant's daily limit is shared by its agents.
type Scope struct {
	Tenant bool
	Swarm  id.Swarm
	Agent  id.Agent
	// Session is one session with its threads, and thereby a run, which is a session with a task.
	Session id.Session
}

// Whom says on whose behalf an act is done: every policy whose scope includes one of them applies.
type Whom struct {
	Agent   id.Agent
	Swarm   id.Swarm   // that the agent belongs to; zero: none
	Session id.Session // at the top of its threads; zero: the act was asked for by API
}

// RuleRef names a plugin rule and configures it.
type RuleRef struct {
	Plugin string          // the rule's name: [a-z0-9_]{1,64}
	Config json.RawMessage // as the rule's schema wants it; nil is {}
}

// Limits are the built-in rules. A nil limit and an empty list limit nothing.
//
// Limits of money hold for payments and transfers. An act in another currency than a limit's is denied by that limit: nothing
// converts between currencies. Windows are calendar windows in UTC; see Window.
type Limits struct {
	MaxPerTransaction *money.Amount // the most that one payment or transfer may move; no approval lifts it
	HourlyLimit       *money.Amount
	DailyLimit        *money.Amount
	WeeklyLimit       *money.Amount // from Monday
	MonthlyLimit      *money.Amount
	AllTimeLimit      *money.Amount
	PerRunLimit       *money.Amount // in one run; see WindowRun

	// Windows are further window limits: rolling ones, of counts, of costs and tokens, per run. At most MaxWindows, no two of one name
	// and unit, those fields included that are window limits themselves.
	Windows []WindowLimit

	Structuring *Structuring // nil: payments may be split
	// NewPayee is what happens to a payment or transfer to somebody whom nobody of the policy's scope has paid before, whether or not the
	// policy was there by then; see PayeeKey. "" is Allow.
	NewPayee Action
	// AllowedTimes are when payments and transfers are allowed; none: always.
	AllowedTimes []TimeRange

	RequireApprovalAbove *money.Amount // at or above this a person must approve; not over MaxPerTransaction
	ApprovalTTL          time.Duration // until an approval expires into a denial; 0 is DefaultApprovalTTL, at most 30 days
	// RequiredApprovals is how many different keys must approve what this policy parks, by its threshold or by its rules: 1 to
	// MaxApprovals, 0 is 1. Of several policies that park an act, the most counts.
	RequiredApprovals int
	// ApproverNotRequester keeps the key that asked for an act by API from approving it; it holds by itself where more than one
	// approval is required. What an agent asks for in a session was asked for by no key.
	ApproverNotRequester bool

	// Categories are compared without regard to case, and '-', '_' and space are the same. They hold for payments.
	BlockedCategories []string
	AllowedCategories []string
	// Payees are compared without regard to case and to runs of spaces. They hold for payments and, by the agent's id, transfers.
	AllowedPayees []string
	BlockedPayees []string
	// Domains hold for payments whose payee is a host name, a URL or an e-mail address. An allowed "example.com" is that host
	// alone and "*.example.com" its subdomains; blocked, either of them stops the host with its subdomains. Blocked beats allowed.
	AllowedDomains []string
	BlockedDomains []string

	// Cost limits are budgets for what models and tools cost, in USD; they never touch a wallet.
	DailyCostLimit    *money.Amount
	MonthlyCostLimit  *money.Amount
	DailyTokenLimit   *int64 // input and output tokens of model calls
	MonthlyTokenLimit *int64

	// The limits of cards hold for acts that go to a remote agent, as a tool or as what answers a session; see rule.Card.
	MinCardScore      *int // 0 to 100: the least score of its card
	RequireValidCard  bool // its card is a valid one
	RequireSignedCard bool // its card is signed by a key that the operator trusts, and was not signed otherwise before
}

var rulePattern = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// Validate checks everything but the rules' configurations, which only the rules themselves can judge. It returns a
// fault.Invalid that names every faulty field, spelled as native callers do.
func (p Policy) Validate() error {
	var bad []fault.Field
	add := func(path, format string, args ...any) {
		bad = append(bad, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	if n := p.Scope.fields(); n != 1 {
		add("scope", "must have exactly one of tenant, swarm_id, agent_id, session_id")
	}
	if !p.Mode.valid() {
		add("mode", "must be enforce or observe")
	}
	p.Limits.validate(add)
	if len(p.Rules) > MaxRules {
		add("rules", "must be at most %d", MaxRules)
	}
	for i, r := range p.Rules {
		if !rulePattern.MatchString(r.Plugin) {
			add(fmt.Sprintf("rules[%d].plugin", i), "must be the name of a rule: lower-case letters, digits and '_', at most 64")
		}
		if len(r.Config) > maxConfigBytes {
			add(fmt.Sprintf("rules[%d].config", i), "must have at most %d bytes", maxConfigBytes)
		}
	}
	if len(bad) > 0 {
		return fault.New(fault.Invalid, "policy_invalid", bad[0].Path+": "+bad[0].Message).WithFields(bad...)
	}
	return nil
}

func (s Scope) fields() (n int) {
	for _, set := range []bool{s.Tenant, !s.Swarm.IsZero(), !s.Agent.IsZero(), !s.Session.IsZero()} {
		if set {
			n++
		}
	}
	return n
}

func (l Limits) validate(add func(path, format string, args ...any)) {
	for _, a := range l.amounts() {
		switch {
		case a.amount == nil:
		case a.amount.Micros < 0:
			add("limits."+a.name, "must not be negative")
		case a.cost && a.amount.Currency != money.USD:
			add("limits."+a.name, "must be in USD, the currency of costs")
		default:
			if _, err := money.ParseCurrency(string(a.amount.Currency)); err != nil {
				add("limits."+a.name, "must have a currency of 3 to 8 upper-case letters or digits, like %q", money.USDC)
			}
		}
	}
	for _, t := range l.tokens() {
		if t.max != nil && *t.max < 0 {
			add("limits."+t.name, "must not be negative")
		}
	}
	if top, ask := l.MaxPerTransaction, l.RequireApprovalAbove; top != nil && ask != nil {
		if top.Currency != ask.Currency {
			add("limits.require_approval_above", "must be in the currency of max_per_transaction")
		} else if ask.Micros > top.Micros {
			add("limits.require_approval_above", "must not be over max_per_transaction, which has no approval path")
		}
	}
	if l.ApprovalTTL < 0 || l.ApprovalTTL > maxTTL {
		add("limits.approval_ttl", "must be between 1 second and 30 days")
	}
	if n := l.RequiredApprovals; n < 0 || n > MaxApprovals {
		add("limits.required_approvals", "must be between 1 and %d", MaxApprovals)
	}
	if n := l.MinCardScore; n != nil && (*n < 0 || *n > 100) {
		add("limits.min_card_score", "must be between 0 and 100")
	}
	l.validateMore(add)
	for _, list := range l.lists() {
		if len(list.items) > MaxListItems {
			add("limits."+list.name, "must have at most %d entries", MaxListItems)
			continue
		}
		for i, item := range list.items {
			path := fmt.Sprintf("limits.%s[%d]", list.name, i)
			if len(item) > maxItemBytes || list.norm(item) == "" {
				add(path, "must be a text of 1 to %d bytes", maxItemBytes)
			} else if list.domain {
				if _, _, err := payee.ParsePattern(item); err != nil {
					add(path, "must be a host name like \"example.com\" or \"*.example.com\"")
				}
			}
		}
	}
}

type namedAmount struct {
	name   string
	amount *money.Amount
	cost   bool
}

func (l Limits) amounts() []namedAmount {
	return []namedAmount{
		{"max_per_transaction", l.MaxPerTransaction, false},
		{"hourly_limit", l.HourlyLimit, false},
		{"daily_limit", l.DailyLimit, false},
		{"weekly_limit", l.WeeklyLimit, false},
		{"monthly_limit", l.MonthlyLimit, false},
		{"all_time_limit", l.AllTimeLimit, false},
		{"per_run_limit", l.PerRunLimit, false},
		{"require_approval_above", l.RequireApprovalAbove, false},
		{"daily_cost_limit", l.DailyCostLimit, true},
		{"monthly_cost_limit", l.MonthlyCostLimit, true},
	}
}

type namedTokens struct {
	name string
	max  *int64
}

func (l Limits) tokens() []namedTokens {
	return []namedTokens{{"daily_token_limit", l.DailyTokenLimit}, {"monthly_token_limit", l.MonthlyTokenLimit}}
}

type namedList struct {
	name   string
	items  []string
	norm   func(string) string
	domain bool
}

func (l Limits) lists() []namedList {
	return []namedList{
		{"blocked_categories", l.BlockedCategories, normCategory, false},
		{"allowed_categories", l.AllowedCategories, normCategory, false},
		{"blocked_payees", l.BlockedPayees, payee.Fold, false},
		{"allowed_payees", l.AllowedPayees, payee.Fold, false},
		{"blocked_domains", l.BlockedDomains, payee.Fold, true},
		{"allowed_domains", l.AllowedDomains, payee.Fold, true},
	}
}
