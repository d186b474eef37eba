// Package policy owns what agents may do: policies with their limits, the evaluation of built-in and plugin rules, window
// counters, decisions and approvals.
//
// Invariants: deny beats approval beats allow, over every policy that applies; a rule that cannot be asked, does not answer in
// time or answers nonsense denies; a cap on a window holds exactly, because it is checked and counted under one lock.
//
// The package decides; package gate makes it bite. Everything here that judges is a pure function of policies, verdicts and
// counters, so that a decision can be simulated and replayed.
package policy
