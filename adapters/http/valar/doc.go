// Package valar is the face for clients of the Valar API, below /compat/valar: the registry of agents. It translates, and decides nothing:
// the same agents are served by every other face, where they have the id that is here a bare UUID.
//
// Errors are {"detail": "..."}, and {"detail": [{"loc", "msg", "type"}]} with status 422 for faulty input. Lists are arrays, newest first,
// with the number of all items in X-Total-Count.
package valar
