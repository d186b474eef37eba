package card

import (
	"cmp"
	"slices"
)

// improvement is the type of all suggestions.
const improvement = "improvement"

// suggest tells what would get a valid card more points: for each criterion that does not give its whole weight one thing, the most worth
// first. Following one gains exactly its worth, whether the others are followed or not.
func (c *checker) suggest(judged []judgement) {
	lost, skills := 0, 0
	for i := range judged {
		if judged[i].points < criteria[i].Weight {
			lost++
		}
	}
	if lost == 0 {
		return
	}
	told := make([]Suggestion, 0, lost)
	for i, j := range judged {
		worth := criteria[i].Weight - j.points
		switch {
		case worth == 0:
			continue
		case j.advice == "": // there is no skill: one, well described, gets all that is given for skills
			skills += worth
			continue
		}
		told = append(told, c.suggestion(j, worth))
	}
	if skills > 0 {
		told = append(told, c.suggestion(judgement{
			at:     c.field("skills"),
			advice: "List at least one skill, with a description, two tags or more and an example: agents are found by their skills",
		}, skills))
	}
	slices.SortStableFunc(told, func(a, b Suggestion) int { return cmp.Compare(b.Worth, a.Worth) })
	c.result.Suggestions = told
}

func (c *checker) suggestion(j judgement, worth int) Suggestion {
	s := Suggestion{Type: improvement, Text: j.advice, Worth: worth}
	if j.at != nil {
		s.Field, s.Pointer = c.placeOf(j.at.start, j.key)
	}
	return s
}
