package webhook

import (
	"slices"
	"strings"
)

// Kind is one thing that can be told of.
type Kind struct {
	Name string // dotted, lower-case
	Doc  string // when it is told, as part of a sentence
}

// The kinds that this package itself publishes.
const (
	KindTest     = "webhook.test"     // somebody asked for it; goes to that webhook alone
	KindDisabled = "webhook.disabled" // a webhook was disabled because its deliveries fail
)

// kinds are all that Publish takes.
var kinds = []Kind{
	{"agent.approval_required", "an act of an agent waits for a person"},
	{"agent.frozen", "an agent was frozen"},
	{"agent.run.completed", "a run has reached its end"},
	{"agent.run.failed", "a run ended without reaching it: it failed, was denied or was canceled"},
	{"agent.unfrozen", "a frozen agent may act again"},
	{"approval.decided", "an approval was given, denied, voided, or has expired"},
	{"budget.alert", "50, 80 or 100 % of a limit with a window are spent or set aside, or the limit has denied an act"},
	{"policy.violation", "an act was denied"},
	{"swarm.frozen", "the agents of a swarm were frozen"},
	{"swarm.unfrozen", "the agents of a swarm may act again"},
	{"tenant.frozen", "the account was frozen"},
	{"tenant.unfrozen", "the account may act again"},
	{"transaction.completed", "a payment or a transfer was made"},
	{"wallet.deposit", "money came into a wallet from outside"},
	{"wallet.low_balance", "what a wallet has available fell below its threshold"},
	{KindDisabled, "a webhook was disabled because its deliveries fail"},
	{KindTest, "somebody tests a webhook; it goes to that one alone"},
}

// Kinds returns every kind of notice, by name.
func Kinds() []Kind { return slices.Clone(kinds) }

func known(kind string) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return k.Name == kind })
}

// patterns returns what a webhook may say that it wants kind by: "a.b.c", "a.b.*", "a.*" and "*".
func patterns(kind string) []string {
	out := []string{"*", kind}
	for i, c := range kind {
		if c == '.' {
			out = append(out, kind[:i]+".*")
		}
	}
	return out
}

// wanted reports whether a pattern stands for at least one kind.
func wanted(pattern string) bool {
	return slices.ContainsFunc(kinds, func(k Kind) bool { return slices.Contains(patterns(k.Name), pattern) })
}

// kindNames lists the kinds for an error.
func kindNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}
