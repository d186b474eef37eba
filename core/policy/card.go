package policy

import "fmt"

// card holds an act towards a remote agent to what the policy demands of its card.
func (a *assessor) card(l *Limits) {
	c := a.subject.Card
	if c == nil {
		return
	}
	if l.RequireValidCard && !c.Valid {
		a.deny("require_valid_card", func() string { return "the remote agent's card is not valid" })
	}
	if l.MinCardScore != nil && c.Score < *l.MinCardScore {
		a.deny("min_card_score", func() string {
			return fmt.Sprintf("the remote agent's card has a score of %d, and min_card_score is %d", c.Score, *l.MinCardScore)
		})
	}
	switch {
	case !l.RequireSignedCard:
	case c.Suspicious:
		a.deny("require_signed_card", func() string { return "the signature of the remote agent's card is not the one that it had" })
	case !c.Signed:
		a.deny("require_signed_card", func() string { return "the remote agent's card is not signed by a key that is trusted" })
	}
}
