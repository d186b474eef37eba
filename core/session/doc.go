// Package session owns conversations with agents: sessions, their append-only event logs, and the turns in which agents answer.
//
// # The log
//
// A session's log is its state. Events have gapless sequence numbers from 1; nothing rewrites or removes one. What is asked often
// (status, stop reason, usage sums, open tool uses) is projected in the same transaction as the append, so no read scans a log
// and an append costs the same at any length. A user's message has no number while it is queued: it gets one when its turn
// begins, so that it sorts after everything that was said before it was taken and before everything that it caused.
//
// # Turns
//
// Every user.message is a turn of its own. At most one turn of a session is active (running, parked or ready); the others queue
// in the order of their arrival. Who runs a turn holds it by a lease and an epoch: whoever takes the turn over, or ends it, raises
// the epoch, and every append of the former holder fails with ErrFenced from then on.
//
// # Tool uses
//
// A tool use is open from the event that asks for it until the one event that answers it. Answering closes it in the same
// transaction, and only an open use can be answered, so each gets exactly one result whatever races.
//
// # Threads
//
// An agent that delegates makes a thread: a session of its own row, log and turns, whose parent is the delegating one and whose root
// is the session at the top. It is reached through the root alone. The tool use that delegated waits in state UseThread until the
// thread's turn ends; the thread and the waiting begin in one transaction, and the answer closes the use in another, so a delegation
// makes one thread and gets one result. Follow carries what happens in a thread to the root's log, from the number up to which it was
// carried before: a process that dies in between leaves it to the next one. Locks are taken from the top down: turns, then threads,
// then sessions.
//
// # Outcomes
//
// A user.define_outcome is a turn whose work is judged before it ends. How far it came is a row of its own, moved in the transactions
// that append what it stands for, so each iteration is judged once.
//
// # Parts
//
// Journal appends and moves turns; it is what core/run and core/gate write through, and needs neither. Hub tells the streams of
// this process and of the others that there is news. Service is what faces call.
package session
