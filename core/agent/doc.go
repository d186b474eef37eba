// Package agent registers agents: what each one is told, which model answers, which tools it has, and whether it may act.
//
// An agent's configuration is versioned. A version never changes: an update that changes anything stores the next one, an
// update that changes nothing keeps the current one, and a session goes on with the version that it was created with. Beside
// the versions an agent has one standing (active, frozen, archived), which every act locks before it begins.
package agent
