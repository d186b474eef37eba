package card

import (
	"strconv"
	"strings"
)

// judgement is what a criterion gives a card, and how to get the rest.
type judgement struct {
	points int
	reason string // why it is not the whole weight
	advice string // what to do about it; "" when another criterion's advice covers it
	at     *node  // where; nil: the card
	key    string // of a member of at that is missing
}

// score gives the card its points, with what would get it more.
func (c *checker) score() {
	c.result.Marks = make([]Mark, len(criteria))
	var judged [len(criteria)]judgement
	for i := range criteria {
		judged[i] = criteria[i].judge(c)
	}
	if c.errors.any() {
		c.scoreInvalid(judged[:])
		return
	}
	for i := range criteria {
		c.result.Marks[i] = Mark{Criterion: criteria[i].Name, Points: judged[i].points, Weight: criteria[i].Weight, Reason: judged[i].reason}
		c.result.Score += judged[i].points
	}
	c.suggest(judged[:])
}

// scoreInvalid scores a card that has errors: by their number, and by nothing else. What there is to do first is to mend them, which is
// worth the difference to what the card would be given then as it is.
func (c *checker) scoreInvalid(judged []judgement) {
	mended := validWeight
	for i := range criteria {
		c.result.Marks[i] = Mark{Criterion: criteria[i].Name, Weight: criteria[i].Weight, Reason: "Counted once the card has no errors"}
		if i > 0 {
			mended += judged[i].points
		}
	}
	c.result.Marks[0].Points, c.result.Marks[0].Reason = judged[0].points, judged[0].reason
	c.result.Score = judged[0].points
	if c.version == "" { // nothing of the card could be read
		return
	}
	first := &c.errors.notes[0]
	for i := range c.errors.notes {
		if n := &c.errors.notes[i]; n.offset < first.offset {
			first = n
		}
	}
	path, pointer := c.placeOf(first.at, first.missing)
	c.result.Suggestions = []Suggestion{{
		Type: improvement, Field: path, Pointer: pointer, Worth: mended - c.result.Score,
		Text: "Mend the " + count(c.errors.total(), "error") + ": only a valid card is given " + strconv.Itoa(validWeight) + " points and more",
	}}
}

// total returns how many notes there were, with those that were not kept.
func (s *sink) total() int { return len(s.notes) + s.more }

// count spells a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// share returns a part of the weight, rounded down. Of none it gives none.
func share(weight, good, all int) int {
	if all == 0 {
		return 0
	}
	return weight * good / all
}

func judgeValid(c *checker) judgement {
	switch n := c.errors.total(); {
	case n == 0:
		return judgement{points: validWeight}
	case c.version == "":
		return judgement{reason: "The text is no JSON object"}
	default:
		return judgement{points: (validWeight - 1) * 4 / (4 + n), reason: "The card has " + count(n, "error")}
	}
}

// thin says how much of a description there is: 2 when it is long enough, 1 when it is half of that, 0 when it says nothing that the name
// does not.
func thin(description, name string, enough int) int {
	switch w := width(description, enough); {
	case w < enough/2 || strings.EqualFold(strings.TrimSpace(description), strings.TrimSpace(name)):
		return 0
	case w < enough:
		return 1
	}
	return 2
}

func judgeDescription(c *checker) judgement {
	const weight, enough = 8, 40
	j := judgement{
		at: c.root, key: "description", reason: "The description is shorter than 40 characters, or the name again",
		advice: "Describe in at least 40 characters what the agent does and for whom: it is what others choose it by",
	}
	if n := c.field("description"); n.kind == kindString {
		j.at, j.key = n, ""
	}
	switch thin(c.field("description").str, c.field("name").str, enough) {
	case 2:
		return judgement{points: weight}
	case 1:
		j.points, j.reason = weight/2, "The description is shorter than 40 characters"
	}
	return j
}

func judgeProvider(c *checker) judgement {
	switch n := c.field("provider"); {
	case n.kind != kindObject:
		return judgement{
			reason: "No provider is named", advice: "Say who provides the agent: provider with organization and url", at: c.root, key: "provider",
		}
	case c.exam.badProvider:
		return judgement{
			reason: "The provider's url cannot be used", advice: "Give the provider a public URL: that of the organization", at: n.get("url"),
		}
	}
	return judgement{points: 5}
}

func judgeDocumentation(c *checker) judgement {
	switch n := c.field("documentationUrl"); {
	case n.kind != kindString:
		return judgement{
			reason: "There is no documentationUrl", advice: "Say in documentationUrl where the agent is documented", at: c.root,
			key: "documentationUrl",
		}
	case c.exam.badDocumentation:
		return judgement{reason: "documentationUrl cannot be used", advice: "Make documentationUrl a public URL", at: n}
	}
	return judgement{points: 4}
}

func judgeAddresses(c *checker) judgement {
	const weight = 8
	good := c.exam.endpoints - c.exam.badEndpoints
	if c.exam.badEndpoints == 0 && good > 0 {
		return judgement{points: weight}
	}
	return judgement{
		points: share(weight, good, c.exam.endpoints), at: c.exam.endpoint,
		reason: strconv.Itoa(c.exam.badEndpoints) + " of " + count(c.exam.endpoints, "URL") + " cannot be called safely from everywhere",
		advice: "Give every interface an absolute https URL with a public host and without credentials",
	}
}

func judgeInterfaces(c *checker) judgement {
	const weight = 4
	switch {
	case c.exam.badTransports > 0:
		j := judgement{
			reason: "The transports are not all declared, known, told once and without contradiction",
			advice: "Declare for every URL the transport that is spoken there: JSONRPC, GRPC or HTTP+JSON", at: c.exam.transport,
		}
		if j.at == c.root {
			j.key = "preferredTransport"
		}
		return j
	case c.exam.unlisted:
		return judgement{
			points: weight / 2, reason: "additionalInterfaces leaves out url with its transport",
			advice: "Add url with preferredTransport to additionalInterfaces, so that the list is whole", at: c.field("additionalInterfaces"),
		}
	}
	return judgement{points: weight}
}

func judgeSecurity(c *checker) judgement {
	const weight = 7
	field := c.requirementField()
	declared, list := len(c.field("securitySchemes").members) > 0, c.field(field)
	switch {
	case c.exam.badSecurity > 0:
		return judgement{
			reason: "The security requirements ask for what is not declared",
			advice: "Make every security requirement name a declared scheme, and scopes that it offers", at: c.exam.requirement,
		}
	case c.exam.requires || list.kind == kindArray:
		return judgement{points: weight}
	case declared:
		return judgement{
			points: 3, reason: "No requirement asks for the declared security schemes",
			advice: "Say in " + field + " which of the schemes callers must use", at: c.root, key: field,
		}
	}
	return judgement{
		reason: "Nothing says whether callers must authenticate", at: c.root, key: field,
		advice: "Declare securitySchemes and require them in " + field + "; a public agent says so by an empty list there",
	}
}

func judgeCapabilities(c *checker) judgement {
	const weight = 3
	said, missing := 0, ""
	n := c.field("capabilities")
	for _, key := range [...]string{"pushNotifications", "streaming"} {
		if n.get(key).kind == kindBool {
			said++
		} else {
			missing = key
		}
	}
	if said == 2 {
		return judgement{points: weight}
	}
	return judgement{
		points: share(weight, said, 2), reason: "streaming and pushNotifications are not both said",
		advice: "Say both streaming and pushNotifications, be it true or false, so that clients need not try", at: n, key: missing,
	}
}

func judgeModes(c *checker) judgement {
	const weight = 4
	good := c.exam.modes - c.exam.badModes
	if c.exam.badModes == 0 && good > 0 {
		return judgement{points: weight}
	}
	return judgement{
		points: share(weight, good, c.exam.modes), at: c.exam.mode,
		reason: strconv.Itoa(c.exam.badModes) + " of " + count(c.exam.modes, "mode") + " are no media types",
		advice: "Write modes as media types, such as \"text/plain\" and \"application/json\"",
	}
}

// judgeSkills gives a criterion's weight for the share of the skills that are good.
func judgeSkills(c *checker, weight int, good func(*node) bool, key, reason, advice string) judgement {
	skills := c.field("skills").items
	if len(skills) == 0 {
		return judgement{reason: "There are no skills", at: c.field("skills")}
	}
	var bad *node
	n := 0
	for i := range skills {
		if good(&skills[i]) {
			n++
		} else if bad == nil {
			bad = &skills[i]
		}
	}
	if bad == nil {
		return judgement{points: weight}
	}
	j := judgement{
		points: share(weight, n, len(skills)), reason: strconv.Itoa(len(skills)-n) + " of " + count(len(skills), "skill") + " " + reason,
		advice: advice,
		at:     bad, key: key,
	}
	if there := bad.get(key); there.kind != kindAbsent {
		j.at, j.key = there, ""
	}
	return j
}

func judgeSkillDescriptions(c *checker) judgement {
	return judgeSkills(c, 5, func(skill *node) bool {
		return thin(skill.get("description").str, skill.get("name").str, 20) == 2
	}, "description", "described in fewer than 20 characters", "Describe in at least 20 characters what each skill does")
}

func judgeSkillTags(c *checker) judgement {
	return judgeSkills(c, 4, func(skill *node) bool {
		first := ""
		tags := skill.get("tags").items
		for i := range tags {
			tag := strings.TrimSpace(tags[i].str)
			switch {
			case tag == "":
			case first == "":
				first = tag
			case !strings.EqualFold(tag, first):
				return true
			}
		}
		return false
	}, "tags", "with fewer than two tags", "Give each skill at least two tags by which it is found")
}

func judgeSkillExamples(c *checker) judgement {
	return judgeSkills(c, 4, func(skill *node) bool {
		examples := skill.get("examples").items
		for i := range examples {
			if strings.TrimSpace(examples[i].str) != "" {
				return true
			}
		}
		return false
	}, "examples", "without an example", "Give each skill an example of what can be asked")
}

func judgeTidy(c *checker) judgement {
	const weight = 4
	left := c.warnings.total() - c.exam.counted
	for i := range c.warnings.notes {
		if c.warnings.notes[i].code == codeVersionDiffers { // it is about what was asked, not about the card
			left--
		}
	}
	if left <= 0 {
		return judgement{points: weight}
	}
	return judgement{
		points: max(0, weight-left), reason: "The card has " + count(left, "warning") + " besides those that cost points above",
		advice: "Settle " + count(left, "warning") + " besides those that the other suggestions settle",
	}
}

// field returns a field of the card, an absent one when there is no card.
func (c *checker) field(key string) *node {
	if c.root == nil {
		return &none
	}
	return c.root.get(key)
}
