// Package a2a shows agents to those who speak the Agent2Agent protocol: other agents, and programs of other makers.
//
// # Tasks
//
// A message of a peer becomes a turn of a session, and that turn is the task: the id of the task is the turn's. What the agent does is in the
// session's log, so that policies, approvals, budgets and freezes hold for peers as for everybody. This package adds whose a task is, its
// state in the words of the protocol, and which message began it. The state is written in the transaction that moves the turn, so a server
// that dies loses none, and any server of a database answers for any task.
//
// # Peers
//
// A peer is an API key that talks to an agent. Two of them never share a task, a context, a session or what the agent remembers: sessions are
// private (session.Session.Private), each peer has a memory store of its own.
//
// # Contexts
//
// A context of the protocol is a session. The server names those that are begun without a name; a name that a client brings is kept, and
// means something only among the contexts of that client.
//
// # Messages
//
// The id of a message makes sending it safe to repeat: said again, it begins no second turn, and the answer is the task that it began.
package a2a
