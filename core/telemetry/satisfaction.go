package telemetry

// Verdict says whether a user was satisfied.
type Verdict int

// The verdicts.
const (
	Dissatisfied Verdict = -1
	Undecided    Verdict = 0
	Satisfied    Verdict = 1
)

// Verdict is the one rule of what counts as satisfied. A thumb decides, whatever rating comes with it: ThumbsUp is satisfied, ThumbsDown is
// not. Without a thumb the rating does: 4 and 5 are satisfied, 1 and 2 are not. A rating of 3, and none, decide nothing.
func (f Feedback) Verdict() Verdict {
	switch {
	case f.Type == ThumbsUp:
		return Satisfied
	case f.Type == ThumbsDown:
		return Dissatisfied
	case f.Rating >= 4:
		return Satisfied
	case f.Rating >= 1 && f.Rating <= 2:
		return Dissatisfied
	}
	return Undecided
}

// Satisfaction is feedback added up.
type Satisfaction struct {
	Count        int64
	Rated        int64 // those with a Rating
	RatingSum    int64
	ThumbsUp     int64
	ThumbsDown   int64
	Satisfied    int64 // by Feedback.Verdict
	Dissatisfied int64 // likewise
}

// Add returns the sum with one more.
func (s Satisfaction) Add(f Feedback) Satisfaction {
	s.Count++
	if f.Rating > 0 {
		s.Rated++
		s.RatingSum += int64(f.Rating)
	}
	switch f.Type {
	case ThumbsUp:
		s.ThumbsUp++
	case ThumbsDown:
		s.ThumbsDown++
	}
	switch f.Verdict() {
	case Satisfied:
		s.Satisfied++
	case Dissatisfied:
		s.Dissatisfied++
	}
	return s
}

// AverageRating returns the mean of the ratings, 1 to 5; nil when there are none.
func (s Satisfaction) AverageRating() *float64 { return ratio(s.RatingSum, s.Rated) }

// Share returns how many of those whose feedback decides were satisfied, 0 to 1: Satisfied / (Satisfied + Dissatisfied); nil when no feedback
// decides.
func (s Satisfaction) Share() *float64 { return ratio(s.Satisfied, s.Satisfied+s.Dissatisfied) }

func ratio(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	r := float64(part) / float64(whole)
	return &r
}

// SatisfactionGrouping is what feedback is added up by.
type SatisfactionGrouping string

// The groupings.
const (
	SatisfactionByAgent SatisfactionGrouping = "agent"
	SatisfactionByDay   SatisfactionGrouping = "day" // of Feedback.At in UTC
)

// SatisfactionGroup is the feedback of one key added up: an agent's UUID, or a day as "2026-11-21".
type SatisfactionGroup struct {
	Key string
	Satisfaction
}
