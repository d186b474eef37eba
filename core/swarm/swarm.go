package swarm

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of a swarm, in characters (Unicode code points) or agents.
const (
	MaxName        = 100
	MaxSlug        = 63
	MaxDescription = 2048
	MaxIcon        = 64
	MaxAgents      = 1000
	MaxMembers     = 1000 // people
)

// Standing says whether the agents of a swarm may act.
type Standing string

// The standings.
const (
	Active Standing = "active"
	Frozen Standing = "frozen" // no act of a member starts, whatever the member's own standing
)

// Swarm is a group of agents.
type Swarm struct {
	ID          id.Swarm
	Tenant      id.Tenant
	Name        string // 1 to MaxName characters; twins are allowed
	Slug        string // [a-z0-9-], 1 to MaxSlug characters, no dash at either end, unique in the tenant; a change of Name keeps it
	Description string // at most MaxDescription characters
	Icon        string // an emoji, or what else the client takes for one; at most MaxIcon characters
	Standing    Standing
	Agents      int // how many belong to it, archived ones apart; counted when it is read
	Members     int // how many people; counted when it is read
	CreatedAt   time.Time
	UpdatedAt   time.Time // when it was changed last; joining, leaving and freezing do not count
}

// New is a swarm to be made.
type New struct {
	Name        string
	Slug        string // "" makes one from Name, with a number behind it when another swarm has that
	Description string
	Icon        string
}

// Patch is a change of a swarm; nil leaves what is there, and an empty Description or Icon clears it.
type Patch struct {
	Name, Slug, Description, Icon *string
}

func (p Patch) apply(s *Swarm) {
	for _, c := range []struct {
		from *string
		to   *string
	}{{p.Name, &s.Name}, {p.Slug, &s.Slug}, {p.Description, &s.Description}, {p.Icon, &s.Icon}} {
		if c.from != nil {
			*c.to = *c.from
		}
	}
}

// check returns ErrInvalid with every place that breaks a rule.
func (s Swarm) check() error {
	var fields []fault.Field
	add := func(path, message string) { fields = append(fields, fault.Field{Path: path, Message: message}) }
	for _, t := range []struct {
		path, text  string
		least, most int
	}{{"name", s.Name, 1, MaxName}, {"description", s.Description, 0, MaxDescription}, {"icon", s.Icon, 0, MaxIcon}} {
		n := utf8.RuneCountInString(t.text)
		switch {
		case !utf8.ValidString(t.text) || strings.ContainsRune(t.text, 0):
			add(t.path, "must be UTF-8 without NUL")
		case t.least > 0 && strings.TrimSpace(t.text) == "":
			add(t.path, "is required")
		case n > t.most:
			add(t.path, "is too long")
		}
	}
	if !validSlug(s.Slug) {
		add("slug", "must be 1 to 63 of a-z, 0-9 and -, with no dash at either end")
	}
	if len(fields) == 0 {
		return nil
	}
	return ErrInvalid.Withf("%s %s", fields[0].Path, fields[0].Message).WithFields(fields...)
}

func validSlug(s string) bool {
	if s == "" || len(s) > MaxSlug || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) < 0
}

// Slug makes a slug from a name: accents go, what else is no letter or digit of ASCII becomes one dash. It is always valid.
func Slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(cases.Fold().String(name)) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r):
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= MaxSlug {
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "swarm"
}

// numbered returns a slug with a suffix, cut so that both fit.
func numbered(slug, suffix string) string {
	if most := MaxSlug - len(suffix) - 1; len(slug) > most {
		slug = strings.TrimRight(slug[:most], "-")
	}
	return slug + "-" + suffix
}
