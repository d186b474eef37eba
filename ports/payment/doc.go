// Package payment is the port to the rails over which money leaves for the outside world: card processors, stablecoin networks.
//
// A rail moves money at most once per key. Whoever uses it decides and sets money aside first, calls Charge outside of any
// transaction, and settles afterwards. Where Charge leaves the outcome open, Lookup tells it later. The ledger of this server is
// no rail: what moves inside of it is one transaction; see core/gate.
package payment
