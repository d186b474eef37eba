// Package run is the agent loop: it answers each message of a session by asking a model and doing what the model asks for, until
// the model has nothing more to do.
//
// A turn is run by the process that accepted its message, or by the one that finds it orphaned. Everything that the loop learns
// is appended to the session's log in the transaction that makes it true: a model's answer together with its usage and the end of
// its reservation, a payment together with its result. So the log tells at any moment how far a turn came, and whoever continues
// it neither asks the model again for an answer that the log holds nor repeats an act:
//
//   - a tool use is in the log before it is judged;
//   - every act goes through the gate under the id of its tool use, and the gate knows whether it was begun;
//   - an act that was begun and has no end is repeated only if its tool is idempotent; otherwise its result says that the outcome
//     is unknown.
//
// A coordinator's delegations, the judging of outcomes and the summaries of long conversations go the same way: each is a step whose
// end is appended together with what it means, and the calls of the model that they need are acts like every other.
//
// Nothing is silent: a turn that cannot go on says so in a session.error before the session becomes idle.
package run
