// Package wellknown fetches agent cards: from the address of a card, or from where an agent's card is found below its base address
// (RFC 8615): "/.well-known/agent-card.json" since A2A 0.3.0, "/.well-known/agent.json" before it.
//
// It judges nothing: what it returns is the text as it came. Addresses are whatever people and other services say, so the transport that
// it is given should be that of a guarded client, ports/egress.
package wellknown
