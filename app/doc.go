// Package app is the composition root: it wires core to its adapters and is the only importer of fx. A program that embeds Bureau
// calls New, replaces what it wants by options, mounts Handler, and calls Start and Stop.
//
// Programs that agents choose run in sandboxes, which the process runtime makes by starting the embedding program again under another
// name. A package init takes over there, before main and most other inits: nothing needs to be called, but inits of the embedder that
// sort before it (a package without dependencies and with an import path that begins with an earlier letter) run in each sandbox, too.
// Where the machine isolates nothing App.Start logs why, and programs are refused; WithRuntime brings another runtime. A server should
// call prctl(PR_SET_DUMPABLE, 0) and clear secrets from its environment, as app/cmd/bureau does; sandboxes see neither in any case.
package app
