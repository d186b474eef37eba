package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// RulesVersion is that of the rules in this package. It grows with every change that can give an old skill another report.
const RulesVersion = 1

// Severity says how much a finding weighs.
type Severity string

// The severities, from the least to the most.
const (
	Info     Severity = "info"     // worth knowing
	Low      Severity = "low"      // honest skills often have it
	Medium   Severity = "medium"   // a reviewer should look
	High     Severity = "high"     // honest skills seldom have it
	Critical Severity = "critical" // no honest skill needs it
)

// Level orders severities: 0 for info to 4 for critical, -1 for anything else.
func (s Severity) Level() int {
	return slices.Index([]Severity{Info, Low, Medium, High, Critical}, s)
}

// Verdict is what the findings come to.
type Verdict string

// The verdicts, from the best to the worst.
const (
	Pass      Verdict = "pass"
	Review    Verdict = "review"
	Warn      Verdict = "warn"
	Malicious Verdict = "malicious"
)

// Risk is how far the harm could go if the skill were turned against its user, whatever the verdict.
type Risk string

// The risks.
const (
	RiskLow    Risk = "low"    // words only
	RiskMedium Risk = "medium" // it runs programs, or speaks with the network, or has a credential
	RiskHigh   Risk = "high"   // two of these together, money, or rights over the machine
)

// Finding is one sign.
type Finding struct {
	Code     Code
	Severity Severity
	Path     string // of the file; "" for the skill as a whole
	Line     int    // from 1; 0 when it is the file as a whole
	Excerpt  string // at most 160 characters with secrets masked and invisible characters spelled out
	Message  string
}

// Reach is what a skill uses, as far as its texts show. All lists are sorted.
type Reach struct {
	Domains     []string // hosts in URLs of code; at most 100
	Env         []string // environment variables that are read; at most 100
	Credentials []string // that it declares
	Programs    []string // of the command line, of those that reach beyond a file
	Executes    bool     // it starts programs or brings scripts
	Privileged  bool     // it asks for the rights of an administrator
	Money       bool     // it moves money or has to do with keys of wallets
}

// Report is what a scan found.
type Report struct {
	Rules    int       // the RulesVersion that it was made by
	Findings []Finding // the most severe first, then by path and line; at most MaxReport
	Omitted  int       // findings beyond that
	Score    int       // 0 to 100, see the package's comment
	Verdict  Verdict
	Risk     Risk
	Reach    Reach
}

// Has reports whether a finding has this code.
func (r Report) Has(code Code) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}

// document is a report as it is kept.
type document struct {
	Rules    int               `json:"rules"`
	Score    int               `json:"score"`
	Verdict  Verdict           `json:"verdict"`
	Risk     Risk              `json:"risk"`
	Omitted  int               `json:"omitted,omitempty"`
	Reach    reachDocument     `json:"reach"`
	Findings []findingDocument `json:"findings"`
}

type reachDocument struct {
	Domains     []string `json:"domains,omitempty"`
	Env         []string `json:"env,omitempty"`
	Credentials []string `json:"credentials,omitempty"`
	Programs    []string `json:"programs,omitempty"`
	Executes    bool     `json:"executes,omitempty"`
	Privileged  bool     `json:"privileged,omitempty"`
	Money       bool     `json:"money,omitempty"`
}

type findingDocument struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Path     string   `json:"path,omitempty"`
	Line     int      `json:"line,omitempty"`
	Excerpt  string   `json:"excerpt,omitempty"`
	Message  string   `json:"message"`
}

// Encode returns the report as JSON for a store; Parse reads it.
func (r Report) Encode() ([]byte, error) {
	d := document{Rules: r.Rules, Score: r.Score, Verdict: r.Verdict, Risk: r.Risk, Omitted: r.Omitted, Reach: reachDocument(r.Reach), Findings: []findingDocument{}}
	for _, f := range r.Findings {
		d.Findings = append(d.Findings, findingDocument(f))
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return b, nil
}

// Parse reads what Encode wrote, also of other versions of the rules.
func Parse(b []byte) (Report, error) {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return Report{}, fmt.Errorf("scan: a stored report: %w", err)
	}
	r := Report{Rules: d.Rules, Score: d.Score, Verdict: d.Verdict, Risk: d.Risk, Omitted: d.Omitted, Reach: Reach(d.Reach)}
	for _, f := range d.Findings {
		r.Findings = append(r.Findings, Finding(f))
	}
	return r, nil
}

// weight is what one finding takes from the score when it is the first of its code.
func (s Severity) weight() int {
	switch s {
	case Critical:
		return 60
	case High:
		return 25
	case Medium:
		return 10
	case Low:
		return 3
	}
	return 0
}

// judge sorts findings and says what they come to.
func judge(found []Finding) Report {
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(b.Severity.Level()-a.Severity.Level(), cmp.Compare(a.Path, b.Path), a.Line-b.Line, cmp.Compare(a.Code, b.Code))
	})
	r := Report{Rules: RulesVersion, Score: 100, Verdict: Pass}
	count := map[Code]int{}
	worst := Info
	bad := false
	for _, f := range found {
		n := count[f.Code]
		count[f.Code]++
		switch {
		case n == 0:
			r.Score -= f.Severity.weight()
		case n <= 3:
			r.Score -= f.Severity.weight() / 5
		}
		if f.Severity.Level() > worst.Level() {
			worst = f.Severity
		}
		bad = bad || f.Code.Malicious() || f.Severity == Critical
	}
	r.Score = max(r.Score, 0)
	switch {
	case bad:
		r.Verdict, r.Score = Malicious, 0
	case worst == High || r.Score < 50:
		r.Verdict = Warn
	case worst == Medium || r.Score < 85:
		r.Verdict = Review
	}
	if r.Findings = found; len(found) > MaxReport {
		r.Findings, r.Omitted = found[:MaxReport], len(found)-MaxReport
	}
	return r
}
