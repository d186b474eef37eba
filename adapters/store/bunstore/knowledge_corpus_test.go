package bunstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// corpus makes texts as companies write them down, the same for the same seed. Many are near to others: said in other words, with another
// number, with a slip of the pen, with a sentence more.
type corpus struct{ rng *rand.Rand }

func newCorpus(seed uint64) *corpus { return &corpus{rand.New(rand.NewPCG(seed, 7))} }

var (
	corpusSubjects = strings.Split("the warehouse in Lisbon|the billing team|our courier Swift Crane|the support desk|the annual audit|the returns office|"+
		"the onboarding guide|the data centre in Oslo|the loyalty programme|the mobile app|the supplier portal|the travel desk|the payroll run|"+
		"the night shift|the legal department|the press office|the test laboratory|the customs broker|the partner network|the security team", "|")
	corpusVerbs = strings.Split("opens|closes|answers requests|ships orders|files its reports|grants refunds|updates prices|checks invoices|"+
		"reviews contracts|renews licences|rotates its keys|closes tickets|counts the stock|calls suppliers|publishes changes|trains new staff", "|")
	corpusTimes = strings.Split("within %d days|every %d hours|after %d minutes|on day %d of each month|at %d o'clock|for orders above %d euros|"+
		"up to %d times a year|for teams of %d people|in room %d|since version %d", "|")
	corpusMore = strings.Split("as agreed with the works council|unless a manager says otherwise|and tells the customer by mail|which is logged for the auditors|"+
		"provided that the form was signed|and charges nothing for it|in every country but Malta|with the exception of fragile goods|"+
		"because the insurer asks for it|and keeps the record for ten years|after two people have checked it|no matter which plan was booked", "|")
	corpusOpenings = strings.Split("|As a rule, |Please note that |According to the handbook, |In general, |From next quarter on, |For all customers, ", "|")
)

func (c *corpus) pick(of []string) string { return of[c.rng.IntN(len(of))] }

// text returns a new text.
func (c *corpus) text() string {
	s := c.pick(corpusOpenings) + c.pick(corpusSubjects) + " " + c.pick(corpusVerbs) + " " + fmt.Sprintf(c.pick(corpusTimes), 1+c.rng.IntN(90))
	for range c.rng.IntN(3) {
		s += ", " + c.pick(corpusMore)
	}
	if c.rng.IntN(2) == 0 {
		s += ". Case " + fmt.Sprint(c.pick(strings.Fields("alpha beta gamma delta epsilon zeta eta theta iota kappa lambda")), " of ", c.pick(corpusSubjects))
	}
	return s + "."
}

// variant returns a text that is near to another.
func (c *corpus) variant(of string) string {
	words := strings.Fields(of)
	at := c.rng.IntN(len(words))
	switch c.rng.IntN(8) {
	case 0:
		return strings.ToUpper(of)
	case 1: // two letters change places
		if w := []rune(words[at]); len(w) > 3 {
			w[1], w[2] = w[2], w[1]
			words[at] = string(w)
		}
	case 2: // another number
		for i, w := range words {
			if w[0] >= '0' && w[0] <= '9' {
				words[i] = fmt.Sprint(1 + c.rng.IntN(90))
			}
		}
	case 3:
		words = append(words[:at], words[at+1:]...)
	case 4:
		words = append(words, "That is all.")
	case 5:
		other := c.rng.IntN(len(words))
		words[at], words[other] = words[other], words[at]
	case 6:
		words[at] += "s"
	default:
		return of + " " + c.pick(corpusMore) + "."
	}
	return strings.Join(words, " ")
}

// texts returns n texts, half of which are variants of others.
func (c *corpus) texts(n int) []string {
	var out []string
	for len(out) < n {
		if len(out) > 0 && c.rng.IntN(2) == 0 {
			out = append(out, c.variant(out[c.rng.IntN(len(out))]))
		} else {
			out = append(out, c.text())
		}
	}
	return out
}
