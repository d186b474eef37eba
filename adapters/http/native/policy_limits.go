package native

import (
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

type windowWire struct {
	Name     string     `json:"name" doc:"How decisions name the limit, such as rolling_daily_limit or hourly_count_limit."`
	Measure  string     `json:"measure" enum:"amount,count,cost,tokens"`
	Window   string     `json:"window" enum:"hour,day,week,month,all_time,run"`
	Rolling  bool       `json:"rolling"`
	Max      *moneyWire `json:"max"`
	MaxCount *int64     `json:"max_count"`
}

type structuringWire struct {
	WindowMinutes int64  `json:"window_minutes"`
	MinPayments   int    `json:"min_payments"`
	NearPercent   int    `json:"near_percent"`
	Action        string `json:"action" enum:"deny,require_approval"`
}

type timeRangeWire struct {
	Days     []string `json:"days" nullable:"false"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Timezone string   `json:"timezone"`
}

// showMore completes what showPolicy shows of limits.
func (w *limitsWire) showMore(l policy.Limits) {
	w.PerRunLimit, w.NewPayee = showMoneyPtr(l.PerRunLimit), string(l.NewPayee)
	if w.NewPayee == "" {
		w.NewPayee = string(policy.Allow)
	}
	w.Windows, w.AllowedTimes = []windowWire{}, []timeRangeWire{}
	for _, win := range l.Windows {
		out := windowWire{Name: win.Name(), Measure: string(win.Measure), Window: string(win.Window), Rolling: win.Rolling}
		if win.Currency != "" {
			out.Max = ptr(showMoney(money.Of(win.Max, win.Currency)))
		} else {
			out.MaxCount = ptr(win.Max)
		}
		w.Windows = append(w.Windows, out)
	}
	if s := l.Structuring; s != nil {
		full := s.WithDefaults()
		w.Structuring = &structuringWire{int64(full.Window / time.Minute), full.MinPayments, full.NearPercent, string(full.Action)}
	}
	for _, t := range l.AllowedTimes {
		out := timeRangeWire{Days: []string{}, From: t.From, To: t.To, Timezone: t.Zone}
		for _, d := range t.Days {
			out.Days = append(out.Days, string(d))
		}
		if out.Timezone == "" {
			out.Timezone = "UTC"
		}
		w.AllowedTimes = append(w.AllowedTimes, out)
	}
}

type windowInput struct {
	Measure  string           `json:"measure" enum:"amount,count,cost,tokens" doc:"amount: what payments and transfers move; count: how many there are; cost: what models and tools cost, in USD; tokens: those of model calls."`
	Window   string           `json:"window" enum:"hour,day,week,month,all_time,run" doc:"A run is a session with its threads; an act by API outside of a session is a run of its own."`
	Rolling  bool             `json:"rolling,omitempty" doc:"The last hour, 24 hours, 7 days or 30 days instead of the calendar's, in 60 buckets: an amount leaves when its whole bucket has left. Not for all_time and run."`
	Max      moneyInput       `json:"max,omitempty" doc:"For amount and cost."`
	MaxCount httpx.Opt[int64] `json:"max_count,omitempty" minimum:"0" doc:"For count and tokens."`
}

type structuringInput struct {
	WindowMinutes int64  `json:"window_minutes,omitempty" minimum:"0" maximum:"10080" doc:"60 when it is left out."`
	MinPayments   int    `json:"min_payments,omitempty" minimum:"0" maximum:"1000" doc:"3 when it is left out; at least 2."`
	NearPercent   int    `json:"near_percent,omitempty" minimum:"0" maximum:"100" doc:"50 when it is left out. Times min_payments it must be over 100."`
	Action        string `json:"action,omitempty" enum:",deny,require_approval" doc:"deny when it is left out."`
}

type timeRangeInput struct {
	Days     []string `json:"days,omitempty" maxItems:"7" enum:"mon,tue,wed,thu,fri,sat,sun" doc:"None: every day."`
	From     string   `json:"from" doc:"Inclusive, like 09:00."`
	To       string   `json:"to" doc:"Exclusive, like 17:00; 24:00 is the end of the day. Not after from: the range goes over midnight and belongs to the day on which it begins."`
	Timezone string   `json:"timezone,omitempty" maxLength:"100" doc:"Of the IANA database, such as Europe/Berlin; UTC when it is left out. The times are those on the wall there, also when daylight saving begins or ends."`
}

// MoreLimitsInput are the limits that are not one amount, one number or one list of texts. Its type is exported because others embed it.
type MoreLimitsInput struct {
	PerRunLimit  moneyInput                  `json:"per_run_limit,omitempty" doc:"Per run: a session with its threads. An act by API outside of a session is a run of its own."`
	Windows      httpx.Opt[[]windowInput]    `json:"windows,omitempty" doc:"Further window limits: rolling ones, of counts (velocity), of costs and tokens, per run. At most 20; replaced as a whole. An act counts in the window of its authorization, by the database's clock in UTC. Limits that differ in nothing but the currency hold side by side; an act in a currency that none of them names is denied."`
	Structuring  httpx.Opt[structuringInput] `json:"structuring,omitempty" doc:"Stops payments that are split to stay below a threshold: max_per_transaction and require_approval_above, each by itself. A payment is near a threshold when it is at least near_percent of it and the threshold does not stop it. When a payment is near, those allowed before it in the last window_minutes (rolling, 60 buckets) that were near the same threshold, to the same payee, by the policy's whole scope, are counted; if it would be number min_payments or more, action is taken, since together they pass the threshold. It is decided under the lock of the reserving transaction. Replaced as a whole; null removes it."`
	NewPayee     httpx.Opt[string]           `json:"new_payee,omitempty" enum:"allow,require_approval,deny" doc:"What happens to a payment or transfer to somebody whom nobody of the policy's scope has paid before; what was paid before there was a policy counts. Payees are the same by the host of a URL or host name, by a whole e-mail address, or by a name regardless of case and spaces. null is allow."`
	AllowedTimes httpx.Opt[[]timeRangeInput] `json:"allowed_times,omitempty" doc:"When payments and transfers are allowed; none: always. Replaced as a whole."`

	MinCardScore      httpx.Opt[int]  `json:"min_card_score,omitempty" minimum:"0" maximum:"100" doc:"The least score of the card of a remote agent that is called, as a tool or in a session with it."`
	RequireValidCard  httpx.Opt[bool] `json:"require_valid_card,omitempty" doc:"Remote agents are called only while their cards are valid."`
	RequireSignedCard httpx.Opt[bool] `json:"require_signed_card,omitempty" doc:"Remote agents are called only while their cards are signed by a key that the operator trusts, the one that signed them before."`
}

// applyCards merges the limits of cards.
func (in MoreLimitsInput) applyCards(l *policy.Limits) {
	switch {
	case in.MinCardScore.Null:
		l.MinCardScore = nil
	case in.MinCardScore.Set:
		l.MinCardScore = ptr(in.MinCardScore.Value)
	}
	if in.RequireValidCard.Set {
		l.RequireValidCard = in.RequireValidCard.Value
	}
	if in.RequireSignedCard.Set {
		l.RequireSignedCard = in.RequireSignedCard.Value
	}
}

// applyMore merges the request into limits: what it leaves out stays, null clears.
func (in MoreLimitsInput) applyMore(l *policy.Limits) error {
	in.applyCards(l)
	switch {
	case in.PerRunLimit.null:
		l.PerRunLimit = nil
	case in.PerRunLimit.set:
		a, err := in.PerRunLimit.readIn("limits.per_run_limit", money.USDC)
		if err != nil {
			return err
		}
		l.PerRunLimit = &a
	}
	if in.Windows.Set {
		l.Windows = nil
		for i, w := range in.Windows.Value {
			read, err := w.read(fmt.Sprintf("limits.windows[%d]", i))
			if err != nil {
				return err
			}
			l.Windows = append(l.Windows, read)
		}
	}
	switch s := in.Structuring; {
	case s.Null:
		l.Structuring = nil
	case s.Set:
		v := s.Value
		l.Structuring = &policy.Structuring{
			Window:      time.Duration(min(max(v.WindowMinutes, -1), 1<<20)) * time.Minute, // far over the bound, and safe to multiply
			MinPayments: v.MinPayments, NearPercent: v.NearPercent, Action: policy.Action(v.Action),
		}
	}
	if in.NewPayee.Set {
		l.NewPayee = policy.Action(in.NewPayee.Value)
		if l.NewPayee == policy.Allow {
			l.NewPayee = "" // so that null and allow are one
		}
	}
	if in.AllowedTimes.Set {
		l.AllowedTimes = nil
		for _, t := range in.AllowedTimes.Value {
			out := policy.TimeRange{From: t.From, To: t.To, Zone: t.Timezone}
			for _, d := range t.Days {
				out.Days = append(out.Days, policy.Weekday(d))
			}
			l.AllowedTimes = append(l.AllowedTimes, out)
		}
	}
	return nil
}

func (in windowInput) read(path string) (policy.WindowLimit, error) {
	w := policy.WindowLimit{Measure: policy.Measure(in.Measure), Window: rule.Window(in.Window), Rolling: in.Rolling}
	amount, count := in.Max.set && !in.Max.null, in.MaxCount.Set && !in.MaxCount.Null
	counts := w.Measure == policy.MeasureCount || w.Measure == policy.MeasureTokens
	switch {
	case counts && amount:
		return w, fault.Invalidf(path+".max", "is for the measures amount and cost; %s has max_count", w.Measure)
	case counts && !count:
		return w, fault.Invalidf(path+".max_count", "is required for the measure %s", w.Measure)
	case counts:
		w.Max = in.MaxCount.Value
		if w.Max < 0 {
			return w, fault.Invalidf(path+".max_count", "must not be negative")
		}
		return w, nil
	case count:
		return w, fault.Invalidf(path+".max_count", "is for the measures count and tokens; %s has max", w.Measure)
	case !amount:
		return w, fault.Invalidf(path+".max", "is required for the measure %s", w.Measure)
	}
	def := money.USDC
	if w.Measure == policy.MeasureCost {
		def = money.USD
	}
	a, err := in.Max.readIn(path+".max", def)
	w.Max, w.Currency = a.Micros, a.Currency
	return w, err
}
