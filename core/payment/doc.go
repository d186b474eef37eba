// Package payment pays over rails: money that leaves for the outside world by way of a card processor or a stablecoin network.
//
// A payment is an act of the gate that is done outside of our database. One transaction decides it, holds its amount in the agent's
// wallet, sets room aside in every counter and stores the payment; then the rail is asked to charge; another transaction captures
// what it cost, gives back the rest, and ends the act with its audit entry and its tool result.
//
// Between the two anything may be cut off. The rail is always asked under one key, made of the act's id, so it charges once; and a
// payment without an end has a time at which whoever comes first asks the rail what became of it. While nobody knows, the payment is
// Unknown, its money stays held and its counters stay taken. Only the rail's word that it has not paid and never will gives them
// back. What the rail has not seen is charged again under the same key, unless the agent has been frozen since.
//
// Invariants, whatever is killed at any moment: a payment is charged at most once; what a rail has charged is captured; a hold ends
// with its payment, neither before nor never.
package payment
