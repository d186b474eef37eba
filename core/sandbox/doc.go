// Package sandbox gives sessions a place in which their agents' programs run: files, a shell, what the environment asks for.
//
// A sandbox is made at the first use of one of the agent toolset's tools and kept until its session is archived or deleted. Every
// use brings it up to date first: packages of the environment are installed, resources of the session mounted, those that went
// away removed. What was done is noted in the sandbox itself, so that neither a restart of the server nor an idle hour repeats it.
// Nothing in these notes is trusted beyond the sandbox that holds them.
//
// Threads of a session work in the session's sandbox, each with a shell of its own.
//
// The package knows runtimes by their port. The files of a sandbox lie on one machine: where several servers share a database,
// a session whose turn moves to another server gets a fresh sandbox there, with packages and mounts made again. Outputs are
// safe: they are stored as files of the session after each use.
package sandbox
