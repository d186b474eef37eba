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
//
// # Instances
//
// A Host runs what lasts: one instance for each hosted agent, isolated as sandboxes are. An instance has a keeper, which is the server's
// own program once more, in a session of its own: it holds the instance's lock for as long as it lives, keeps its log in files of bounded
// size, writes down how it is, and answers servers on a socket, to whoever knows the token of this start. An instance therefore neither
// needs nor notices the server: the next one finds it by its directory. An agent without a program has the keeper itself for a worker,
// inside of the sandbox; otherwise the keeper stays outside, gives up the server's rights, and has the program run by a helper as
// sandboxes do.
//
// There is never more than one of an instance. Operations on one wait for each other by a lock among servers; the instance's own lock is
// taken by the server before there is a keeper, and passed on to it with its descriptor, so that there is no moment between. A keeper that
// was told all it needs goes on, whoever dies; one that was not ends. Processes are known by number, start and boot: a number that is
// somebody else's by now is left alone.
//
// Programs reach the network through a proxy, as those of sandboxes do. Its listener belongs to the keeper, and whichever server has the
// instance serves it, under that server's rules: while no server does, new connections wait, and those that were open are cut.
//
// Where control groups cannot be made, memory is watched and cores are shared out by holding programs up; a program can then pass its
// memory by what it takes in a tenth of a second, and each process by no more than four times as much and 256 MiB.
//
// Instances are children of nobody, but a supervisor that ends everything of the server's control group ends them, too: under systemd, set
// KillMode=process (and Delegate=yes for limits by control groups).
package process
