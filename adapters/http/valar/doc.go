// Package valar is the face for clients of the Valar API, below /compat/valar: agents, their events, the messages between them, feedback, usage,
// skills with their review and marketplace, and links of users to agents. It translates, and decides nothing: the same things are served by
// the native face, where they have the ids that are here bare UUIDs.
//
// Errors are {"detail": "..."}, and {"detail": [{"loc", "msg", "type"}]} with status 422 for faulty input. Lists are arrays, newest first,
// with the number of all items in X-Total-Count.
package valar
