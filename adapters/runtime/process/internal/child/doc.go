// Package child is the half of the process runtime that runs inside of a sandbox: the server starts its own program again under
// another name, and this package's init takes over before anything else of the server comes to life.
//
// The helper is process 1 of the sandbox's namespaces. It reads a Setup from the socket that it was started with, builds the
// sandbox's view of the file system, gives up every right that it has, answers, reads a Program, runs it, and says how it ended.
// When it ends the kernel ends everything else in the sandbox; it ends when the server closes the socket, or is gone.
package child
