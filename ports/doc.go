// Package ports indexes what core needs from outside. Every port is a small interface with the value types that cross it; its
// package <port>test holds the conformance suite that each implementation runs.
//
//	fault      error kinds and codes          (vocabulary)
//	id         typed ids                      (vocabulary)
//	money      integer amounts                (vocabulary)
//	page       lists that are read in parts   (vocabulary)
//	payee      whom a payment goes to         (vocabulary)
//	blob       bytes by key
//	bus        hints between processes
//	channel    services in which people write to agents
//	clock      the time
//	egress     the guarded HTTP client        (one implementation, standard library only)
//	embedding  text to vectors
//	jobs       durable background work
//	keeper     sealing of secrets
//	llm        language models
//	payment    rails over which money leaves
//	rule       policy rules
//	runtime    sandboxes for programs that models choose
//	tool       what agents can do
//	tx         transactions
//
// Packages under ports import the standard library and each other only; payee needs golang.org/x/net/idna and golang.org/x/text besides.
package ports
