package main

import "golang.org/x/sys/unix"

// undumpable keeps other processes of the same user, plugins among them, from reading this one's memory and the environment that
// it was started with: clearing a variable does not clear what /proc shows.
func undumpable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
