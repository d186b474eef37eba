package validation

import (
	"cmp"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/core/card"
)

// Config tunes a Service. But for RateScale the zero value is the default.
type Config struct {
	// RateScale multiplies the daily allowances; 0 switches them off. Whatever it is, those who have an allowance have at least one card.
	RateScale float64
	// Keys are trusted to have signed cards; nil: signatures are not verified.
	Keys *card.Keys
	// KeepFor is how long tenants' reports are kept, 0 is 365 days; KeepAnonymous those of callers without a key, 0 is 30 days. Neither is
	// more than MaxKeepFor.
	KeepFor, KeepAnonymous time.Duration
	// Room is what a tenant's reports may take, RoomAnonymous those of all callers without a key together. Zero fields are those of
	// DefaultRoom and DefaultRoomAnonymous, and none is more than that of MaxRoom. RoomAnonymous.PerCard counts for nothing: such reports
	// are of no card of anybody's.
	Room, RoomAnonymous Room
}

// How long reports are kept unless Config says otherwise, and at most.
const (
	DefaultKeepFor       = 365 * 24 * time.Hour
	DefaultKeepAnonymous = 30 * 24 * time.Hour
	MaxKeepFor           = 3650 * 24 * time.Hour
)

// The rooms that reports have unless Config says otherwise, and the largest: the reports of a card are counted whenever one more is made.
var (
	DefaultRoom          = Room{Reports: 20_000, PerCard: 200, Bytes: 512 << 20}
	DefaultRoomAnonymous = Room{Reports: 5_000, PerCard: 5_000, Bytes: 64 << 20}
	MaxRoom              = Room{Reports: 10_000_000, PerCard: 10_000, Bytes: 1 << 40}
)

func (r Room) or(otherwise Room) Room {
	return Room{cmp.Or(r.Reports, otherwise.Reports), cmp.Or(r.PerCard, otherwise.PerCard), cmp.Or(r.Bytes, otherwise.Bytes)}
}

func (c Config) withDefaults() Config {
	c.Room, c.RoomAnonymous = c.Room.or(DefaultRoom), c.RoomAnonymous.or(DefaultRoomAnonymous)
	c.KeepFor, c.KeepAnonymous = cmp.Or(c.KeepFor, DefaultKeepFor), cmp.Or(c.KeepAnonymous, DefaultKeepAnonymous)
	return c
}

// check names what is out of range, defaults filled in.
func (c Config) check() error {
	if !(c.RateScale >= 0) {
		return fmt.Errorf("validation: Config.RateScale is %g; it must not be negative", c.RateScale)
	}
	for name, keep := range map[string]time.Duration{"KeepFor": c.KeepFor, "KeepAnonymous": c.KeepAnonymous} {
		if keep < 0 || keep > MaxKeepFor {
			return fmt.Errorf("validation: Config.%s is %v; it must be from 0 to %v", name, keep, MaxKeepFor)
		}
	}
	for name, r := range map[string]Room{"Room": c.Room, "RoomAnonymous": c.RoomAnonymous} {
		for _, f := range []struct {
			name       string
			value, max int
		}{{"Reports", r.Reports, MaxRoom.Reports}, {"PerCard", r.PerCard, MaxRoom.PerCard}, {"Bytes", r.Bytes, MaxRoom.Bytes}} {
			if f.value < 1 || f.value > f.max {
				return fmt.Errorf("validation: Config.%s.%s is %d; it must be from 1 to %d", name, f.name, f.value, f.max)
			}
		}
	}
	return nil
}
