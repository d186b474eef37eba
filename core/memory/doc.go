// Package memory owns memory stores: texts by path that agents keep from one session to the next, with the history of every change.
//
// Invariants:
//   - a memory's content, its place in the index and its newest version are written together;
//   - no path is another memory's, or a folder of another's;
//   - a version never changes, save that it can be redacted, after which what it said is gone.
package memory
