// Package audit keeps what was done, by whom and to whom, in a trail that nobody can change unnoticed.
//
// An entry is written in the transaction that did the thing, so there is none without the other. It is chained
// afterwards: a sealer per tenant gives every committed entry the next number and a SHA-256 hash over its stored form
// and the hash before it. Chaining inside the transaction would make all of a tenant's transactions wait for each
// other. Numbers follow the order of sealing; an entry whose transaction committed late gets a later number than its
// time suggests, and none is left out.
//
// Whatever reads the trail seals first, so a reader never meets an entry that is not chained.
//
// An Export holds all that is needed to check it without the server: VerifyExport.
package audit
