// Package worker talks to Bureau's worker: what runs in an instance whose agent has no program of its own. The worker reads the rules in
// the instance's work directory and writes lines into the instance's log, so that both are the instance's own on every host.
//
// The worker is the server's own binary. On a machine's own processes it is the instance's keeper; in a container it is a copy of the
// binary under the name Name, which listens on Port of all addresses. Whoever starts an instance puts a token into its environment, as
// TokenEnv, and the worker answers nobody who does not know it.
//
// A request is a line of JSON, one a connection, and so is the answer; both are bounded.
package worker
