package webhook

import (
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
)

// Kind is one thing that can be told of.
type Kind struct {
	Name string // dotted, lower-case
	Doc  string // when it is told, as part of a sentence
	// Needs is the permission without which a key neither reads such notices nor has them sent somewhere, since they say what it guards;
	// "" is none.
	Needs account.Permission
}

// The kinds that this package itself publishes.
const (
	KindTest     = "webhook.test"     // somebody asked for it; goes to that webhook alone
	KindDisabled = "webhook.disabled" // a webhook was disabled because its deliveries fail
)

// kinds are all that Publish takes.
var kinds = []Kind{
	{"agent.approval_required", "an act of an agent waits for a person", account.Approvals},
	{"agent.frozen", "an agent was frozen", account.AgentsRead},
	{"agent.run.completed", "a run has reached its end", account.AgentsRead},
	{"agent.run.failed", "a run ended without reaching it: it failed, was denied or was canceled", account.AgentsRead},
	{"agent.unfrozen", "a frozen agent may act again", account.AgentsRead},
	{"approval.decided", "an approval was given, denied, voided, or has expired", account.Approvals},
	{
		"budget.alert", "50, 80 or 100 % of a limit with a window are spent or set aside, or the limit has denied an act; or models have cost " +
			"what a budget wants to be told of",
		account.PoliciesRead,
	},
	{"policy.violation", "an act was denied", account.PoliciesRead},
	{"remote_agent.card_changed", "the card of a remote agent is another one", account.AgentsRead},
	{"skill.quarantined", "a skill was pulled from every agent that has it", account.Skills},
	{"swarm.frozen", "the agents of a swarm were frozen", account.SwarmsRead},
	{"swarm.unfrozen", "the agents of a swarm may act again", account.SwarmsRead},
	{"tenant.frozen", "the account was frozen", ""},
	{"tenant.unfrozen", "the account may act again", ""},
	{"transaction.completed", "a payment or a transfer was made", account.WalletsRead},
	{"wallet.deposit", "money came into a wallet from outside", account.WalletsRead},
	{"wallet.low_balance", "what a wallet has available fell below its threshold", account.WalletsRead},
	{KindDisabled, "a webhook was disabled because its deliveries fail", ""},
	{KindTest, "somebody tests a webhook; it goes to that one alone", ""},
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

// readable returns the kinds that a key may read.
func readable(sc account.Scope) []string {
	names := []string{}
	for _, k := range kinds {
		if k.Needs == "" || sc.Can(k.Needs) {
			names = append(names, k.Name)
		}
	}
	return names
}

// mayRead returns account.ErrForbidden when a key may not read a kind.
func mayRead(sc account.Scope, kind string) error {
	for _, k := range kinds {
		if k.Name == kind && k.Needs != "" && !sc.Can(k.Needs) {
			return account.ErrForbidden.Withf("notices of the kind %s need the scope %q, which the API key lacks", k.Name, k.Needs)
		}
	}
	return nil
}

// maySend returns account.ErrForbidden when events stand for a kind that a key may not read.
func maySend(sc account.Scope, events []string) error {
	for _, k := range kinds {
		if !slices.ContainsFunc(patterns(k.Name), func(p string) bool { return slices.Contains(events, p) }) {
			continue
		}
		if err := mayRead(sc, k.Name); err != nil {
			return err
		}
	}
	return nil
}
