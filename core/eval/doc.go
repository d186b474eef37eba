// Package eval runs tasks against one version of an agent, several times each, and scores what came out.
//
// Each trial is a session of its own, marked by its metadata, in which the task's messages are sent one after the other as turns end. A
// run is driven by a chain of durable jobs: each looks at the trials that are live, takes them one step further, and makes the next job in
// the transaction that stores what it found. A trial's session is created in the transaction that starts the trial, so that none runs
// twice, whatever is interrupted.
package eval
