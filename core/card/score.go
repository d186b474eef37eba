package card

// score scores the card.
func (c *checker) score() {}
