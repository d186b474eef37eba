// Package process is a runtime.Runtime on one machine: sandboxes are processes of the server's own user's making, in namespaces of
// their own, and directories below one directory of the host.
//
// A program finds the machine's /usr and what little of /etc programs need, read-only; the sandbox's own directories (runtime.Dirs);
// /proc, /dev and a loopback interface of its own. It finds no other process, no other file, none of the server's environment and no
// network but the proxy, through which the server connects under the rules of ports/egress. It has no capability and cannot get any,
// and a filter refuses the system calls that ways out have been made of. Where the server is root, programs run as a user of the
// sandbox's own; elsewhere as the server's user, in a namespace for users, which the machine must allow. Where namespaces are
// refused, so are programs, with runtime.ErrIsolation: Landlock alone would leave the server's processes, datagrams and unix sockets
// in sight, and could not give the sandbox's directories their names. Config.Unsafe runs them nevertheless, with nothing but a
// directory of their own.
//
// The runtime starts the program that it is linked into again, under another name. A package init recognizes the name and takes over;
// whoever embeds Bureau has nothing to call, and must not start goroutines, or threads that change their rights, in inits.
//
// Each call is a namespace of processes: when its program ends, or takes too long, or the server is gone, the kernel ends all that it
// has started. Memory and processes are counted by control groups where the server may make some (version 2, or 1), for all programs
// of a sandbox together; elsewhere each process has limits, and their sum is watched. Files are counted before, during and after a call: a
// sandbox that is full can read and delete, and a program that fills it is ended. Between two counts it can pass its limit by what
// the disk takes in half a second.
package process
