// Package chat lets people talk to agents: whoever an agent talks to has sessions of their own, a default one among them, and a memory of
// their own.
//
// # Whom an agent talks to
//
// Who names one: an agent, a channel, and a peer, which the client names, or the API key where it names none. Two of them never share a
// session, a memory store, or anything that is in the sandbox of a session. Sessions of chats are private (session.Session.Private): the
// stores that are the agent's own can only be read in them, so that nothing gets from one customer to another through them.
//
// # What is stored
//
// The session's log is the one place where messages are. This package adds which session belongs to whom, and, for messages that come
// with a name of their own (an update of a channel, an Idempotency-Key), which turn they became. Sessions that were not begun as chats,
// natively made ones, are no part of it: they are missing here.
//
// # Answers
//
// An answer is followed in the session's stream, from the event that the message became until its turn ends, whichever process runs
// it. What was shown is always the beginning of what the log will have; where a model was cut off and begins anew with other words, a
// Void piece takes back what was shown.
package chat
