package skill

import (
	"cmp"
	"regexp"
	"strings"
)

var (
	wholeRelease = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$`)
	partRelease  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

// SemVer spells an author's version, or the number of one, as three numbers: "1.2" is 1.2.0, "v2.0.1" is 2.0.1. What is none of that, and no
// version at all, is 0.0.0.
func SemVer(label string) string {
	label = strings.TrimPrefix(label, "v")
	switch {
	case wholeRelease.MatchString(label):
		return label
	case partRelease.MatchString(label):
		return label + strings.Repeat(".0", 2-strings.Count(label, "."))
	}
	return "0.0.0"
}

// Title is the skill's name for people, of what is pinned.
func (h Held) Title() string {
	switch {
	case h.Structured != nil:
		return h.Structured.Content.Name
	case h.Kind == ContentInstructions:
		return cmp.Or(h.Guide.DisplayName, h.Name)
	}
	return h.Name
}

// maxUseCases bounds what UseCases returns.
const maxUseCases = 20

// UseCases returns the items of the list that the description has under the heading "Use cases", whatever the heading's level and case; nil when
// there is none.
func (s Structured) UseCases() []string {
	var out []string
	inside := false
	for l := range strings.Lines(s.Description) {
		l = strings.TrimSpace(l)
		if heading := strings.TrimLeft(l, "#"); heading != l {
			inside = strings.EqualFold(strings.TrimSpace(heading), "use cases")
			continue
		}
		item, is := strings.CutPrefix(l, "- ")
		if !is {
			item, is = strings.CutPrefix(l, "* ")
		}
		if item = line(item); inside && is && item != "" && len(out) < maxUseCases {
			out = append(out, item)
		}
	}
	return out
}
