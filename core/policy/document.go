package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Document is everything that a policy demands, as one JSON object: {"limits":{...},"rules":[...]}. The same demands always give the same
// bytes, and FromDocument reads them back exactly, so stores, versions and the audit trail keep this and nothing else. Money is a decimal
// text, counts are texts where they may pass 2^53, and a rule's configuration is a text, since its bytes count.
func Document(l Limits, rules []RuleRef) (json.RawMessage, error) {
	limits, err := EncodeLimits(l)
	if err != nil {
		return nil, err
	}
	refs, err := EncodeRules(rules)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Limits json.RawMessage `json:"limits"`
		Rules  json.RawMessage `json:"rules"`
	}{limits, refs})
}

// FromDocument reads what Document wrote. An unknown member is an error: a limit that is not understood must not be lost.
func FromDocument(doc []byte) (Limits, []RuleRef, error) {
	var parts struct {
		Limits json.RawMessage `json:"limits"`
		Rules  json.RawMessage `json:"rules"`
	}
	if err := strictly(doc, &parts); err != nil {
		return Limits{}, nil, fmt.Errorf("policy: document: %w", err)
	}
	l, err := DecodeLimits(parts.Limits)
	if err != nil {
		return Limits{}, nil, err
	}
	rules, err := DecodeRules(parts.Rules)
	return l, rules, err
}

// EncodeLimits returns the member limits of a Document.
func EncodeLimits(l Limits) ([]byte, error) {
	b, err := json.Marshal(limitsDocOf(l))
	if err != nil {
		return nil, fmt.Errorf("policy: limits: %w", err)
	}
	return b, nil
}

// DecodeLimits reads what EncodeLimits wrote.
func DecodeLimits(doc []byte) (Limits, error) {
	var d limitsDoc
	if err := strictly(doc, &d); err != nil {
		return Limits{}, fmt.Errorf("policy: limits: %w", err)
	}
	return d.limits(), nil
}

// EncodeRules returns the member rules of a Document.
func EncodeRules(rules []RuleRef) ([]byte, error) {
	docs := make([]ruleDoc, len(rules))
	for i, r := range rules {
		docs[i] = ruleDoc{r.Plugin, configDoc(r.Config)}
	}
	b, err := json.Marshal(docs)
	if err != nil {
		return nil, fmt.Errorf("policy: rules: %w", err)
	}
	return b, nil
}

// DecodeRules reads what EncodeRules wrote.
func DecodeRules(doc []byte) ([]RuleRef, error) {
	var docs []ruleDoc
	if err := strictly(doc, &docs); err != nil {
		return nil, fmt.Errorf("policy: rules: %w", err)
	}
	var out []RuleRef
	for _, d := range docs {
		out = append(out, RuleRef{d.Plugin, json.RawMessage(d.Config)})
	}
	return out, nil
}

func strictly(doc []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// amountDoc is an amount of money in a document.
type amountDoc money.Amount

// MarshalJSON implements json.Marshaler.
func (d amountDoc) MarshalJSON() ([]byte, error) {
	a := money.Amount(d)
	return json.Marshal(map[string]string{"amount": a.Decimal(), "currency": string(a.Currency)})
}

// UnmarshalJSON implements json.Unmarshaler. The first documents held micro-units.
func (d *amountDoc) UnmarshalJSON(text []byte) error {
	var in struct {
		Amount   *string        `json:"amount"`
		Micros   *int64         `json:"micros"`
		Currency money.Currency `json:"currency"`
	}
	if err := strictly(text, &in); err != nil {
		return err
	}
	switch {
	case in.Micros != nil:
		*d = amountDoc(money.Of(*in.Micros, in.Currency))
	case in.Amount != nil:
		a, err := money.Parse(*in.Amount, in.Currency)
		if err != nil {
			return err
		}
		*d = amountDoc(a)
	default:
		return errors.New("an amount has no number")
	}
	return nil
}

// countDoc is a count, as a text: a JSON number is exact up to 2^53 only.
type countDoc int64

// MarshalJSON implements json.Marshaler.
func (d countDoc) MarshalJSON() ([]byte, error) {
	return []byte(strconv.Quote(strconv.FormatInt(int64(d), 10))), nil
}

// UnmarshalJSON implements json.Unmarshaler. The first documents held numbers.
func (d *countDoc) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(bytes.Trim(text, `"`)), 10, 64)
	*d = countDoc(n)
	return err
}

// configDoc is a rule's configuration, as a text.
type configDoc json.RawMessage

// MarshalJSON implements json.Marshaler.
func (d configDoc) MarshalJSON() ([]byte, error) { return json.Marshal(string(d)) }

// UnmarshalJSON implements json.Unmarshaler. The first documents held objects.
func (d *configDoc) UnmarshalJSON(text []byte) error {
	if text[0] != '"' {
		*d = bytes.Clone(text)
		return nil
	}
	var s string
	err := json.Unmarshal(text, &s)
	*d = configDoc(s)
	return err
}

type ruleDoc struct {
	Plugin string    `json:"plugin"`
	Config configDoc `json:"config,omitempty"`
}

type limitsDoc struct {
	MaxPerTransaction    *amountDoc      `json:"max_per_transaction,omitempty"`
	PerRunLimit          *amountDoc      `json:"per_run_limit,omitempty"`
	HourlyLimit          *amountDoc      `json:"hourly_limit,omitempty"`
	DailyLimit           *amountDoc      `json:"daily_limit,omitempty"`
	WeeklyLimit          *amountDoc      `json:"weekly_limit,omitempty"`
	MonthlyLimit         *amountDoc      `json:"monthly_limit,omitempty"`
	AllTimeLimit         *amountDoc      `json:"all_time_limit,omitempty"`
	Windows              []windowDoc     `json:"windows,omitempty"`
	Structuring          *structuringDoc `json:"structuring,omitempty"`
	NewPayee             Action          `json:"new_payee,omitempty"`
	AllowedTimes         []timeRangeDoc  `json:"allowed_times,omitempty"`
	RequireApprovalAbove *amountDoc      `json:"require_approval_above,omitempty"`
	ApprovalTTL          int64           `json:"approval_ttl,omitempty"` // seconds
	RequiredApprovals    int             `json:"required_approvals,omitempty"`
	ApproverNotRequester bool            `json:"approver_not_requester,omitempty"`
	BlockedCategories    []string        `json:"blocked_categories,omitempty"`
	AllowedCategories    []string        `json:"allowed_categories,omitempty"`
	AllowedPayees        []string        `json:"allowed_payees,omitempty"`
	BlockedPayees        []string        `json:"blocked_payees,omitempty"`
	AllowedDomains       []string        `json:"allowed_domains,omitempty"`
	BlockedDomains       []string        `json:"blocked_domains,omitempty"`
	DailyCostLimit       *amountDoc      `json:"daily_cost_limit,omitempty"`
	MonthlyCostLimit     *amountDoc      `json:"monthly_cost_limit,omitempty"`
	DailyTokenLimit      *countDoc       `json:"daily_token_limit,omitempty"`
	MonthlyTokenLimit    *countDoc       `json:"monthly_token_limit,omitempty"`
	MinCardScore         *int            `json:"min_card_score,omitempty"`
	RequireValidCard     bool            `json:"require_valid_card,omitempty"`
	RequireSignedCard    bool            `json:"require_signed_card,omitempty"`
}

type windowDoc struct {
	Measure Measure     `json:"measure"`
	Window  rule.Window `json:"window"`
	Rolling bool        `json:"rolling,omitempty"`
	Max     *amountDoc  `json:"max,omitempty"`       // amount and cost
	Count   *countDoc   `json:"max_count,omitempty"` // count and tokens
}

type structuringDoc struct {
	Minutes     int64  `json:"window_minutes,omitempty"`
	MinPayments int    `json:"min_payments,omitempty"`
	NearPercent int    `json:"near_percent,omitempty"`
	Action      Action `json:"action,omitempty"`
}

type timeRangeDoc struct {
	Days []Weekday `json:"days,omitempty"`
	From string    `json:"from"`
	To   string    `json:"to"`
	Zone string    `json:"timezone,omitempty"`
}

func limitsDocOf(l Limits) limitsDoc {
	d := limitsDoc{
		MaxPerTransaction: (*amountDoc)(l.MaxPerTransaction), PerRunLimit: (*amountDoc)(l.PerRunLimit),
		HourlyLimit: (*amountDoc)(l.HourlyLimit), DailyLimit: (*amountDoc)(l.DailyLimit), WeeklyLimit: (*amountDoc)(l.WeeklyLimit),
		MonthlyLimit: (*amountDoc)(l.MonthlyLimit), AllTimeLimit: (*amountDoc)(l.AllTimeLimit),
		NewPayee: l.NewPayee, RequireApprovalAbove: (*amountDoc)(l.RequireApprovalAbove), ApprovalTTL: int64(l.ApprovalTTL / time.Second),
		RequiredApprovals: l.RequiredApprovals, ApproverNotRequester: l.ApproverNotRequester,
		BlockedCategories: l.BlockedCategories, AllowedCategories: l.AllowedCategories,
		AllowedPayees: l.AllowedPayees, BlockedPayees: l.BlockedPayees,
		AllowedDomains: l.AllowedDomains, BlockedDomains: l.BlockedDomains,
		DailyCostLimit: (*amountDoc)(l.DailyCostLimit), MonthlyCostLimit: (*amountDoc)(l.MonthlyCostLimit),
		DailyTokenLimit: (*countDoc)(l.DailyTokenLimit), MonthlyTokenLimit: (*countDoc)(l.MonthlyTokenLimit),
		MinCardScore: l.MinCardScore, RequireValidCard: l.RequireValidCard, RequireSignedCard: l.RequireSignedCard,
	}
	for _, w := range l.Windows {
		doc := windowDoc{Measure: w.Measure, Window: w.Window, Rolling: w.Rolling}
		if w.Currency != "" {
			doc.Max = new(amountDoc(money.Of(w.Max, w.Currency)))
		} else {
			doc.Count = new(countDoc(w.Max))
		}
		d.Windows = append(d.Windows, doc)
	}
	if s := l.Structuring; s != nil {
		d.Structuring = &structuringDoc{int64(s.Window / time.Minute), s.MinPayments, s.NearPercent, s.Action}
	}
	for _, t := range l.AllowedTimes {
		d.AllowedTimes = append(d.AllowedTimes, timeRangeDoc(t))
	}
	return d
}

func (d limitsDoc) limits() Limits {
	l := Limits{
		MaxPerTransaction: (*money.Amount)(d.MaxPerTransaction), PerRunLimit: (*money.Amount)(d.PerRunLimit),
		HourlyLimit: (*money.Amount)(d.HourlyLimit), DailyLimit: (*money.Amount)(d.DailyLimit), WeeklyLimit: (*money.Amount)(d.WeeklyLimit),
		MonthlyLimit: (*money.Amount)(d.MonthlyLimit), AllTimeLimit: (*money.Amount)(d.AllTimeLimit),
		NewPayee: d.NewPayee, RequireApprovalAbove: (*money.Amount)(d.RequireApprovalAbove), ApprovalTTL: time.Duration(d.ApprovalTTL) * time.Second,
		RequiredApprovals: d.RequiredApprovals, ApproverNotRequester: d.ApproverNotRequester,
		BlockedCategories: d.BlockedCategories, AllowedCategories: d.AllowedCategories,
		AllowedPayees: d.AllowedPayees, BlockedPayees: d.BlockedPayees,
		AllowedDomains: d.AllowedDomains, BlockedDomains: d.BlockedDomains,
		DailyCostLimit: (*money.Amount)(d.DailyCostLimit), MonthlyCostLimit: (*money.Amount)(d.MonthlyCostLimit),
		DailyTokenLimit: (*int64)(d.DailyTokenLimit), MonthlyTokenLimit: (*int64)(d.MonthlyTokenLimit),
		MinCardScore: d.MinCardScore, RequireValidCard: d.RequireValidCard, RequireSignedCard: d.RequireSignedCard,
	}
	for _, w := range d.Windows {
		limit := WindowLimit{Measure: w.Measure, Window: w.Window, Rolling: w.Rolling}
		if w.Max != nil {
			limit.Max, limit.Currency = w.Max.Micros, w.Max.Currency
		} else if w.Count != nil {
			limit.Max = int64(*w.Count)
		}
		l.Windows = append(l.Windows, limit)
	}
	if s := d.Structuring; s != nil {
		l.Structuring = &Structuring{time.Duration(s.Minutes) * time.Minute, s.MinPayments, s.NearPercent, s.Action}
	}
	for _, t := range d.AllowedTimes {
		l.AllowedTimes = append(l.AllowedTimes, TimeRange(t))
	}
	return l
}
