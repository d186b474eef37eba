// Package reconciliation compares the books that Bureau keeps beside each other: the ledger of wallets, the gate's acts with their
// decisions, the audit trail, and the usage of models with what sessions say that they cost.
//
// Each is written in the same transaction as the others, so they agree at every moment, and a difference is a defect, a change by
// hand, or damage. Nothing is repaired here: a Difference names what disagrees and what was expected.
//
// Costs are compared in picodollars, in which usage rows, acts and sessions all keep them: a session carries what is below a
// micro-dollar, and only the counters of limits round, each call up to the next micro-dollar.
package reconciliation
