package rule

import "github.com/bureau-agents/bureau/ports/id"

// Card is what is known of the agent card of a remote agent when an act goes to it. Policies may demand something of it.
type Card struct {
	Remote     id.RemoteAgent
	Digest     string // of the card's text: "sha256:..."
	Score      int    // 0 to 100, by the weights of core/card
	Valid      bool
	Signed     bool // by a key that the operator trusts
	Suspicious bool // it was signed otherwise before, and nobody has said that this is right
}
