// Package validation judges agent cards for callers, counts how many they have had judged today, and keeps what was found.
//
// The judging itself is core/card's. This package adds who asks:
//
//   - An Allowance per day (UTC): of a tenant over all of its keys, or of an address that sends no key. It is counted in the database, in the
//     transaction that stores what was found, so that callers who come at once, at several servers, get exactly as many as there are.
//     A request that is refused or malformed counts nothing.
//   - A Report of each validation, unless the mode is CLI. Whoever has its address may read it, without a key; the address cannot be guessed.
//   - Cards that a tenant has had judged, each with its reports: what the same agent's card was like over time. Two texts are the same card
//     when they name the same primary URL or, without one, the same name.
//
// # What is kept
//
// Reports are kept for Config.KeepFor, those of callers without a key for Config.KeepAnonymous. An owner has room for so many reports and bytes
// (Room); the oldest make room for new ones. Callers without a key share one room, so that they cannot fill a disk.
//
// Secrets that stand in a card are masked before anything is stored, see Mask: a report is meant to be passed on.
package validation
