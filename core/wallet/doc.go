// Package wallet keeps agents' money in a double-entry ledger.
//
// Every movement is one Entry whose lines sum to zero. A wallet has two accounts, what is available and what is held;
// the outside world is two accounts per tenant and currency: Source, from which deposits come, and Sink, to which
// payments go. The two accounts of a wallet carry a balance that is written in the same transaction as the lines.
// Source and Sink carry none: a row that every payment of a tenant had to lock would put them all in one queue. Their
// balances are the sums of their lines.
//
// Invariants: debits equal credits; nothing is ever below zero; a balance is the sum of its lines; what is held is the
// sum of the open holds; an act pays at most once. Service.CheckInvariants recomputes all of it from the lines.
//
// Who may spend, and how much, is not decided here: core/gate does that and calls Pay and Transfer in its own
// transaction.
package wallet
