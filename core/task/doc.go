// Package task gives agents tasks and keeps what became of them.
//
// A run is a task given to an agent, with an outcome. It is a session of its own with one message, and its id is the run_ spelling of that
// session's UUID; everything that a session is, a run is too: its log can be read, its stream followed, its acts pass the gate. The run
// adds how it ended, what that cost in credits, and a status that is one of four words.
//
// How a run ends is decided in the transaction in which its session's first turn ends, and so are its audit entry and its charge: after a
// crash either all of it is there or the turn goes on.
//
//   - A run is completed when its turn ended by itself and nothing that it tried was refused.
//   - It is failed when an act of the run, in whichever thread, was denied by a rule, a limit or a person, or was not approved in time,
//     even when the model went on; Error and Rule name the first refusal. A refusal of a person or by time names the rule that had asked.
//   - It is failed when a model could not be asked, when the turn was ended from outside, by a freeze or a cancellation, and when the agent
//     asked for a tool that a client answers: runs have no client.
//
// A run costs 3, 5 or 10 credits by how many acts it took: up to 2, up to 6, more. Acts are the tool calls, payments and transfers of the
// run in all of its threads, refused ones included; model calls are none. 3 credits must be there to start.
package task
