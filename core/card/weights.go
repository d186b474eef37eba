package card

// Criterion is one line of the table by which cards are scored.
type Criterion struct {
	Name   string // "description"
	Weight int    // the most points that it gives
	Text   string // what it gives them for, sentences
}

// validWeight is what a card is given for having no error. An invalid one is given less, and nothing else, so that it is below every
// valid one.
const validWeight = 40

// criterion is one with how it is judged.
type criterion struct {
	Criterion
	judge func(*checker) judgement
}

// criteria are all, in the order of Result.Marks. Their weights sum up to 100, and every one can be earned in full by a card of every
// version: what a version does not know costs it nothing.
var criteria = [...]criterion{
	{Criterion{
		"valid", validWeight,
		"The specification of the card's version forbids nothing in it. A card with errors is given 156 / (4 + their number) points, rounded " +
			"down, and nothing for the other criteria; a text that is no JSON object is given 0.",
	}, judgeValid},
	{Criterion{
		"description", 8,
		"The description is at least 40 characters long and not the name; from 20 characters on it is given half. A character of Chinese, " +
			"Japanese or Korean counts as three.",
	}, judgeDescription},
	{Criterion{
		"provider", 5,
		"The provider is named, and its url is an absolute URL that others can reach.",
	}, judgeProvider},
	{Criterion{
		"documentation", 4,
		"documentationUrl is an absolute URL that others can reach.",
	}, judgeDocumentation},
	{Criterion{
		"addresses", 8,
		"The share of the URLs at which the agent is called that are absolute, public, without credentials and on https.",
	}, judgeAddresses},
	{Criterion{
		"interfaces", 4,
		"The transports are declared, known, told once and without contradiction. Half is given when additionalInterfaces leaves out url " +
			"with its transport.",
	}, judgeInterfaces},
	{Criterion{
		"security", 7,
		"Security schemes are declared and required, and the requirements name schemes and scopes that exist. A public agent is given all " +
			"when it says so by requirements that ask for nothing: an empty list, or [{}]. Schemes that nothing requires are given 3.",
	}, judgeSecurity},
	{Criterion{
		"capabilities", 3,
		"streaming and pushNotifications are both said, be it true or false; one alone is given 1.",
	}, judgeCapabilities},
	{Criterion{
		"modes", 4,
		"The share of the input and output modes, the skills' own too, that are media types. An empty list counts as one that is none.",
	}, judgeModes},
	{Criterion{
		"skill_descriptions", 5,
		"The share of the skills whose description is at least 20 characters long and not the name.",
	}, judgeSkillDescriptions},
	{Criterion{
		"skill_tags", 4,
		"The share of the skills that have two different tags or more.",
	}, judgeSkillTags},
	{Criterion{
		"skill_examples", 4,
		"The share of the skills that have an example.",
	}, judgeSkillExamples},
	{Criterion{
		"tidy", 4,
		"There are no warnings besides those that cost points above; each costs one point.",
	}, judgeTidy},
}

// Weights returns the table by which cards are scored, in the order of Result.Marks. The weights sum up to 100. A score is the sum of
// what each criterion gives; shares are rounded down, so that a criterion gives its whole weight only when nothing is left to do. The
// slice is the caller's.
func Weights() []Criterion {
	table := make([]Criterion, len(criteria))
	for i := range criteria {
		table[i] = criteria[i].Criterion
	}
	return table
}
