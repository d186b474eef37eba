package account

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Standing says whether a tenant may act.
type Standing string

// The standings.
const (
	Active Standing = "active"
	Frozen Standing = "frozen" // no act of its agents starts; reading goes on
)

// Tenant is an isolated customer of the server: nothing of one tenant can be seen by another.
type Tenant struct {
	ID        id.Tenant
	Name      string // 1 to 100 characters; need not be unique
	Plan      Plan
	Standing  Standing
	Operator  bool // the operator's own tenant, made at the first start; exactly one tenant is
	CreatedAt time.Time
}

// maxNameLength bounds the names of tenants and keys, in characters.
const maxNameLength = 100

func checkName(path, name string) error {
	switch n := utf8.RuneCountInString(name); {
	case strings.TrimSpace(name) == "":
		return fault.Invalidf(path, "must not be blank")
	case n > maxNameLength:
		return fault.Invalidf(path, "must have at most %d characters", maxNameLength)
	}
	return nil
}
