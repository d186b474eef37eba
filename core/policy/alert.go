package policy

import "time"

// AlertLevels are the parts of a cap, in percent, of which people are told when they are reached.
func AlertLevels() [3]int { return [3]int{50, 80, 100} }

// Crossed returns the levels that a demand reaches which its counter had not reached before, lowest first; nil for none. What is set
// aside counts as spent, so when an act costs less than was set aside for it, the counter falls, and a later act may reach a level
// again. A cap of nothing has no levels.
func Crossed(d Demand, c Counter) []int {
	before := c.Spent + c.Reserved
	after := before + d.Amount
	if d.Max <= 0 || d.Amount <= 0 || after < 0 { // below zero: an overflow, which no cap lets pass
		return nil
	}
	var out []int
	for _, percent := range AlertLevels() {
		// The cap may be close to the end of int64, so that it is divided first. Rounded up: 50 % of 3 are reached by 2.
		p := int64(percent)
		level := d.Max/100*p + (d.Max%100*p+99)/100
		if before < level && level <= after {
			out = append(out, percent)
		}
	}
	return out
}

// Begin returns when the window of the counter began: of one that rolls, the one that ends now.
func (k Key) Begin() time.Time {
	if !Rolls(k.Window) {
		return k.Start
	}
	return oldest(k)
}

// Period names the time in which people are told of a level of the counter at most once: the window itself, and for one that rolls one of
// the windows of its length that follow each other from the Unix epoch on.
func (k Key) Period() time.Time {
	width, ok := bucketWidth(k.Window)
	if !ok {
		return k.Start
	}
	return bucketOf(Buckets*width, k.Start)
}
