// Package integration connects tenants to workspaces elsewhere, where people talk to their agents: Slack, GitHub.
//
// An Installation is a workspace that somebody has connected by OAuth 2.0; its token is sealed, and no face shows it. A Publication lets
// one agent answer there. What happens in a workspace arrives as a signed webhook:
//
//	Receive  the event is stored once, whatever the provider repeats, and answered at once
//	Begin    a job chooses the publication, finds or makes the session, and queues the message as a turn of it
//	Sweep    notices that the turn has ended, or waits for somebody, and puts into the outbox what is to be said
//	Send     a job says it in the workspace
//
// Each step commits together with the job of the next one, so a crash anywhere repeats a step and loses none. Saying something is the one
// step outside of our database: before it is repeated, the provider is asked whether it was said.
//
// A workspace belongs to one tenant of the server at a time, so what is said in it reaches no other.
package integration
