// Package app is the composition root: it wires core to its adapters and is the only importer of fx. A program that embeds Bureau
// calls New, replaces what it wants by options, mounts Handler, and calls Start and Stop.
package app
