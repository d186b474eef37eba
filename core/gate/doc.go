// Package gate is the one path by which agents act: everything that costs or matters passes it.
//
// An act is judged (plugin rules, outside any transaction), reserved (one short transaction that locks standing, window
// counters and wallet in that order, and checks each cap under its lock), done, and settled. A payment or a transfer is a write in
// our own database, so reserving, doing, settling, the audit entry and what a session shows of it are a single transaction: it
// is finished or not begun.
//
// Invariants, at any number of concurrent callers and processes, also when one is killed at any moment:
//
//   - Nothing is spent past a cap: counters are checked and raised under one lock.
//   - Nothing is done twice: there is one row per act, unique by tenant and key; what an act wrote commits with it.
//   - After a freeze has committed, no act starts: each takes a share of the lock that a freeze takes whole.
//   - No act is decided by a policy that has changed: versions are read under the same lock, and a change takes it whole.
//
// Locks are taken in the order standing, turns of the session, approval, act, counters, wallet, and what the observer writes last, so
// that acts do not deadlock with each other. The wallet comes as late as can be, since every payment out of it waits for it.
package gate
