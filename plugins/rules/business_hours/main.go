// Command business_hours is the rule that lets agents pay at certain times only: {"timezone": "Europe/Berlin", "days": ["mon", "tue",
// "wed", "thu", "fri"], "from": "09:00", "to": "17:00", "holidays": ["2026-12-25"]}. It concerns payments and transfers.
//
// Times are those of clocks in the time zone, so they move with daylight saving time. From is included and to is not. Hours that go over
// midnight ("22:00" to "06:00") belong to the day on which they begin.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the same time zones on every machine

	"github.com/bureau-agents/bureau/plugins/sdk"
)

func main() { sdk.Serve(businessHours()) }

// What happens at other times.
const (
	deny    = "deny"
	approve = "require_approval"
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// config is what a policy says.
type config struct {
	Timezone string   `json:"timezone" jsonschema:"example=Europe/Berlin" jsonschema_description:"a name of the IANA time zone database"`
	Days     []string `json:"days,omitempty" jsonschema_description:"mon, tue, wed, thu, fri, sat, sun; none is Monday to Friday"`
	From     string   `json:"from" jsonschema:"pattern=^([01][0-9]|2[0-3]):[0-5][0-9]$,example=09:00" jsonschema_description:"when the hours begin"`
	To       string   `json:"to" jsonschema:"pattern=^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$,example=17:00" jsonschema_description:"when they end; before from: on the next day"`
	Holidays []string `json:"holidays,omitempty" jsonschema:"maxItems=1000" jsonschema_description:"days without hours, as 2026-12-25"`
	Outside  string   `json:"outside,omitempty" jsonschema:"enum=deny,enum=require_approval,default=deny" jsonschema_description:"what happens at other times"`
}

// Validate checks what the schema cannot say.
func (c config) Validate() error {
	_, err := c.hours()
	return err
}

// hours are a configuration that has been read.
type hours struct {
	zone     *time.Location
	days     [7]bool // by time.Weekday
	from, to int     // minutes since midnight; to is after from, and over 24 hours when it is on the next day
	holidays []string
}

func (c config) hours() (h hours, err error) {
	if h.zone, err = time.LoadLocation(c.Timezone); err != nil || c.Timezone == "" || c.Timezone == "Local" {
		return h, sdk.Invalid("timezone", "must be a name of the IANA time zone database, such as Europe/Berlin")
	}
	days := c.Days
	if len(days) == 0 {
		days = weekdays[1:6]
	}
	for i, d := range days {
		n := slices.Index(weekdays, strings.ToLower(d))
		if n < 0 {
			return h, sdk.Invalid(fmt.Sprintf("days[%d]", i), "must be one of %s", strings.Join(weekdays, ", "))
		}
		h.days[n] = true
	}
	var ok bool
	if h.from, ok = minutes(c.From); !ok || h.from == 24*60 {
		return h, sdk.Invalid("from", "must be a time like 09:00")
	}
	if h.to, ok = minutes(c.To); !ok {
		return h, sdk.Invalid("to", "must be a time like 17:00")
	}
	if h.to == h.from {
		return h, sdk.Invalid("to", "must not be from; a whole day is 00:00 to 24:00")
	}
	if h.to < h.from {
		h.to += 24 * 60
	}
	for i, d := range c.Holidays {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			return h, sdk.Invalid(fmt.Sprintf("holidays[%d]", i), "must be a day like 2026-12-25")
		}
	}
	if c.Outside != "" && c.Outside != deny && c.Outside != approve {
		return h, sdk.Invalid("outside", "must be %s or %s", deny, approve)
	}
	h.holidays = c.Holidays
	return h, nil
}

// minutes reads a time of day; 24:00 is the end of one.
func minutes(s string) (int, bool) {
	if s == "24:00" {
		return 24 * 60, true
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == 5
}

// open reports whether at lies within the hours. The clock on the wall decides: of the hour that comes twice in autumn both belong.
func (h hours) open(at time.Time) bool {
	at = at.In(h.zone)
	y, m, d := at.Date()
	now := at.Hour()*60 + at.Minute()
	for back := range 2 { // hours of yesterday may reach into today
		day := time.Date(y, m, d-back, 12, 0, 0, 0, time.UTC)
		if !h.days[day.Weekday()] || slices.Contains(h.holidays, day.Format(time.DateOnly)) {
			continue
		}
		if since := now + back*24*60; since >= h.from && since < h.to {
			return true
		}
	}
	return false
}

func businessHours() sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name:    "business_hours",
		Version: "1.0.0",
		Summary: "Lets agents pay and transfer at certain times of the week only.",
		Inputs:  []string{sdk.InputTime},
	}, func(_ context.Context, cfg config, act sdk.Act) (sdk.Verdict, error) {
		if act.Action != sdk.ActionPayment && act.Action != sdk.ActionTransfer {
			return sdk.Allow(), nil
		}
		h, err := cfg.hours()
		if err != nil {
			return sdk.Verdict{}, err
		}
		if h.open(act.At) {
			return sdk.Allow(), nil
		}
		const reason = "it is %s in %s, outside of business hours"
		now := act.At.In(h.zone).Format("Mon 15:04")
		if cfg.Outside == approve {
			return sdk.RequireApproval(reason, now, cfg.Timezone), nil
		}
		return sdk.Deny(reason, now, cfg.Timezone), nil
	})
}
