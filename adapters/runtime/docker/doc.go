// Package docker runs one container for each hosted agent, through the API of a Docker engine, on this machine or another. It needs no
// registry: where no image is asked for, the image is made of Bureau's own binary.
//
// # What an instance is
//
// A container with all capabilities dropped, no_new_privs, the Engine's filters of system calls, a user without rights, a read-only root,
// a volume at runtime.WorkDir that lasts from one generation to the next, and /tmp in memory. It never has the Engine's socket, privileges,
// or a directory of the machine. An init of the Engine's buries what dies in it and passes signals on. Restarting is left to whoever asks.
//
// A container of every generation is a new one; up to Config.Kept earlier ones stay, ended, as their logs do. The current one has a name
// made of the server's and the instance's, which the Engine gives once: that is the lock between servers that start the same instance.
//
// Bureau's binary starts in every container first, gets program, secrets and files over its standard input, and becomes the program.
// So they stand neither in what `docker inspect` shows nor on the Engine's disk, files are written with the program's rights and not
// with the Engine's, and an image that is not ours needs nothing but its own program: the binary is mounted there, read-only.
//
// # Network
//
// Every container has the network mode "none": loopback, and nothing else, neither the machine, nor its network, nor other instances. Dial
// reaches it through a relay, Bureau's binary again, which the Engine executes in the container with a user of its own, so it holds for
// engines far away, too. The relay goes when it has not been used for a while.
//
// An instance with a network has a second container beside it, its gateway, made of Bureau's binary and nothing else, on a bridge where
// gateways do not see each other. The two share a Unix socket on a volume. The gateway is the proxy that the instance's environment names;
// it connects to public addresses only, and to the hosts that are listed where they are. There is no other way out, by construction rather
// than by rules of a firewall.
//
// # Limits
//
// Memory (without swap), CPU and the number of threads are the kernel's control groups; an engine that cannot set them gets no instances
// (runtime.ErrIsolation). Of Processes every thread counts, and the host's own (init, relay) are added. OpenFiles is a limit of each process.
//
// Disk is a quota of the volume where the Engine's storage has quotas (XFS or ext4 with project quotas, Docker 23 or newer). Elsewhere
// no single file can be larger, and all of them together can be: such engines are refused where Config.RequireDisk is set. What an image
// declares as volumes of its own has no limit on any of them. /tmp counts as memory.
package docker
