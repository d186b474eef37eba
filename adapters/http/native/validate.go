package native

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Schema implements huma.SchemaProvider: anything, since what a card may be is what is asked.
func (cardBody) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

type (
	cardFindingWire struct {
		Path    string `json:"path" doc:"Where, dotted with indexes: skills[0].tags. Empty is the card itself."`
		Pointer string `json:"pointer" doc:"The same as a JSON Pointer (RFC 6901): /skills/0/tags."`
		Message string `json:"message" doc:"What is wrong and how to mend it."`
		Code    string `json:"code" doc:"What kind of finding it is; GET /v1/card_rules explains each. Codes do not change."`
		Source  string `json:"source,omitempty" doc:"Where the rule is written."`
		Line    int    `json:"line" doc:"In the text of the card as it was sent, from 1; of what is missing, where the object is that lacks it."`
		Column  int    `json:"column" doc:"In characters, from 1."`
	}
	cardSuggestionWire struct {
		Type       string `json:"type"`
		Field      string `json:"field" doc:"Where, as path of a finding."`
		Pointer    string `json:"pointer"`
		Suggestion string `json:"suggestion" doc:"What to do."`
		Worth      int    `json:"worth" doc:"Points that it would add to the score."`
	}
	cardMarkWire struct {
		Criterion string `json:"criterion" doc:"Its name in the weights of GET /v1/card_rules."`
		Points    int    `json:"points"`
		Weight    int    `json:"weight" doc:"The most points that it gives."`
		Reason    string `json:"reason,omitempty" doc:"Why it is less than the weight."`
	}
	cardSignatureWire struct {
		Index     int      `json:"index" doc:"In the card's signatures."`
		State     string   `json:"state" enum:"trusted,unknown,wrong,malformed"`
		KeyID     string   `json:"key_id,omitempty"`
		Algorithm string   `json:"algorithm,omitempty"`
		Reason    string   `json:"reason,omitempty" doc:"Why it is not trusted."`
		Form      string   `json:"form,omitempty" doc:"What of the card was signed."`
		Uncovered []string `json:"uncovered,omitempty" doc:"What of the card a trusted signature says nothing about."`
	}
	rateLimitWire struct {
		Used      int    `json:"used" doc:"Cards today, UTC."`
		Limit     int    `json:"limit" doc:"Per day; -1 is no limit."`
		Remaining int    `json:"remaining" doc:"-1 without a limit."`
		Plan      string `json:"plan" doc:"The plan of the account, or anonymous."`
	}
	// CardVerdictWire is what was found out about a card; it is exported because others embed it.
	CardVerdictWire struct {
		Valid        bool                 `json:"valid" doc:"Whether there is no error."`
		Errors       []cardFindingWire    `json:"errors" nullable:"false" doc:"What the specification of the applied version forbids, in the order of the card."`
		Warnings     []cardFindingWire    `json:"warnings" nullable:"false" doc:"What only its prose asks for, and what will hurt in practice."`
		Score        *int                 `json:"score,omitempty" minimum:"0" maximum:"100" doc:"The sum of the points in score_details."`
		ScoreDetails []cardMarkWire       `json:"score_details,omitzero" doc:"How the score came about."`
		Suggestions  []cardSuggestionWire `json:"suggestions,omitzero" doc:"What would make the card better, by what it is worth."`
		Signatures   []cardSignatureWire  `json:"signatures,omitzero" doc:"What came of the card's signatures."`
		Version      string               `json:"version" doc:"The version that the card was held to."`
		VersionBasis string               `json:"version_basis" enum:"option,declared,interfaces,default" doc:"Why: the option said so, the card declares it, it has supportedInterfaces (1.0), or nothing says anything (0.3.0)."`
		ReportID     string               `json:"report_id,omitempty"`
		ReportURL    string               `json:"report_url,omitempty" doc:"A page to read, which needs no key: whoever has the address can open it."`
		AgentCardID  string               `json:"agent_card_id,omitempty" doc:"Which of the account's cards it is, for its history and its badge."`
	}
	validateWire struct {
		CardVerdictWire

		Recorded  bool          `json:"recorded" doc:"Whether a report was stored."`
		TookMS    int64         `json:"response_time_ms"`
		Timestamp stamp         `json:"timestamp"`
		Rate      rateLimitWire `json:"rateLimitInfo"`
	}
	batchResultWire struct {
		ID string `json:"id" doc:"As it was sent."`
		CardVerdictWire
	}
	batchSummaryWire struct {
		Processed   int     `json:"total_processed"`
		SuccessRate float64 `json:"success_rate" doc:"The share of valid cards, 0 to 1."`
		Average     float64 `json:"average_score" doc:"The mean of the scores of all cards; that of an invalid card counts as 0."`
		TookMS      int64   `json:"processing_time_ms"`
	}
	validateBatchWire struct {
		BatchID   string            `json:"batch_id"`
		Total     int               `json:"total"`
		Valid     int               `json:"valid"`
		Invalid   int               `json:"invalid"`
		Results   []batchResultWire `json:"results" nullable:"false" doc:"In the order of the cards. The score of an invalid card is 0."`
		Summary   batchSummaryWire  `json:"summary"`
		Timestamp stamp             `json:"timestamp"`
	}
	// validationErrorWire is how the two endpoints of validation answer errors.
	validationErrorWire struct {
		Error string `json:"error" doc:"For people."`
		Code  string `json:"code" doc:"UNAUTHORIZED, FORBIDDEN, INVALID_REQUEST, INVALID_BATCH_FORMAT, BATCH_NOT_ALLOWED, PAYLOAD_TOO_LARGE, and others."`
	}
)

const validateHelp = "An invalid card is a 200 with `valid: false`. `errors` are what the specification of the applied version forbids, `warnings` what only " +
	"its prose asks for or what will hurt in practice; each has a path and says how to mend it.\n\n" +
	"Without a key an address has 5 cards a day, the plan free 10 over all of an account's keys, and other plans as many as they like. A day ends at " +
	"00:00 UTC. Requests that are refused do not count. Every answer says in `X-RateLimit-Limit`, `X-RateLimit-Remaining` and " +
	"`X-RateLimit-Reset` (Unix seconds) what is left of the day; -1 is no limit.\n\n" +
	"Reports are kept for a year, those made without a key for 30 days, unless the operator has chosen otherwise; credentials that stand in a card are " +
	"masked before it is stored."

const cardExample = `{"protocolVersion":"0.3.0","name":"Route Planner","description":"Plans delivery routes for small fleets and explains each stop.",` +
	`"url":"https://agents.example.com/a2a","version":"1.0.0","capabilities":{"streaming":true},"defaultInputModes":["text/plain"],` +
	`"defaultOutputModes":["text/plain"],"skills":[{"id":"plan","name":"Plan a route","description":"Finds a short route through a list of addresses.",` +
	`"tags":["routing","logistics"]}]}`

func (f *face) registerValidation() {
	httpx.RegisterRaw[struct{ Body validateBody }](f.Face, httpx.Op{
		ID: "validateCard", Method: http.MethodPost, Path: "/v1/validate", Tag: "cards", Summary: "Validate an agent card",
		Description: validateHelp + "\n\nA body without `agent_card` is taken for the card itself, when it has one of `name`, `url`, `protocolVersion`, " +
			"`skills` and `supportedInterfaces`.",
		Example:     `{"agent_card":` + cardExample + `,"options":{"include_suggestions":true,"include_score":true}}`,
		OptionalKey: true, Headers: f.allowanceHeaders, Fail: failValidation(false), FailAs: reflect.TypeFor[validationErrorWire](),
		Statuses: []int{http.StatusInternalServerError},
	}, f.validateCard)

	httpx.RegisterRaw[struct{ Body validateBatchBody }](f.Face, httpx.Op{
		ID: "validateCards", Method: http.MethodPost, Path: "/v1/validate/batch", Tag: "cards", Summary: "Validate up to 100 agent cards",
		Description: "Each card is judged as if it came alone, and counts as one. For the plans pro, team and unlimited.\n\n" + validateHelp,
		Example:     `{"cards":[{"id":"card1","agent_card":` + cardExample + `},{"id":"card2","agent_card":{"name":"Unfinished"},"options":{"include_score":false}}]}`,
		AnyKey:      true, Headers: f.allowanceHeaders, Fail: failValidation(true), FailAs: reflect.TypeFor[validationErrorWire](),
		Statuses: []int{http.StatusForbidden, http.StatusInternalServerError},
	}, f.validateCards)
}

// failValidation writes errors as the documented validation API does.
func failValidation(batch bool) func(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	return func(w http.ResponseWriter, _ *http.Request, status int, e *fault.Error) {
		status, code := validationCode(batch, status, e)
		body, err := json.Marshal(validationErrorWire{Error: e.Message, Code: code})
		if err != nil { // two strings always marshal
			panic(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(append(body, '\n')) // the caller went away; there is nobody to tell
	}
}

// validationCode returns the documented status and code of an error.
func validationCode(batch bool, status int, e *fault.Error) (int, string) {
	of := func(single, several string) string {
		if batch {
			return several
		}
		return single
	}
	switch {
	case e.Code == validation.ErrValidator.Code:
		return http.StatusInternalServerError, of("VALIDATION_ERROR", "BATCH_VALIDATION_ERROR")
	case e.Code == validation.ErrBatchNotAllowed.Code:
		return status, "BATCH_NOT_ALLOWED"
	case status == http.StatusRequestTimeout:
		return status, "REQUEST_TIMEOUT"
	case status == http.StatusMethodNotAllowed:
		return status, "METHOD_NOT_ALLOWED"
	}
	switch e.Kind {
	case fault.Unauthenticated:
		return status, "UNAUTHORIZED"
	case fault.NotFound:
		return status, "NOT_FOUND"
	case fault.Forbidden, fault.RateLimited:
		return status, "FORBIDDEN"
	case fault.Invalid:
		return status, of("INVALID_REQUEST", "INVALID_BATCH_FORMAT")
	case fault.TooLarge:
		return status, "PAYLOAD_TOO_LARGE"
	case fault.Conflict:
		return status, "CONFLICT"
	default:
		return http.StatusInternalServerError, of("SERVER_ERROR", "BATCH_SERVER_ERROR")
	}
}

func validationCaller(ctx context.Context) validation.Caller {
	return validation.Caller{Scope: httpx.Scope(ctx), Addr: httpx.ClientAddr(ctx)}
}

// allowanceHeaders says what is left of the caller's day. When the store cannot say it, the answer names the limit and nothing left.
func (f *face) allowanceHeaders(ctx context.Context) {
	a, _ := f.deps.Validation.Allowance(ctx, validationCaller(ctx))
	sayAllowance(ctx, a)
}

func sayAllowance(ctx context.Context, a validation.Allowance) {
	httpx.SetRate(ctx, a.Limit, a.Remaining, a.Resets)
}

func (f *face) validateCard(ctx context.Context, body []byte) (*validateWire, error) {
	began := f.deps.Clock.Now()
	text, options, mode, err := readValidate(body)
	if err != nil {
		return nil, err
	}
	out, err := f.deps.Validation.Validate(ctx, validationCaller(ctx), mode, validation.Item{Text: text, Version: options.version})
	if err != nil {
		if fault.KindOf(err) == fault.RateLimited {
			sayAllowance(ctx, out.Allowance)
		}
		return nil, err
	}
	sayAllowance(ctx, out.Allowance)
	options.suggestions = options.suggestions && mode != validation.CLI
	j := out.Judged[0]
	return &validateWire{
		CardVerdictWire: f.showJudged(ctx, j, options), Recorded: !j.Report.IsZero(), TookMS: f.since(began), Timestamp: stampOf(out.At),
		Rate: rateLimitWire{Used: out.Allowance.Used, Limit: out.Allowance.Limit, Remaining: out.Allowance.Remaining, Plan: out.Allowance.Plan},
	}, nil
}

func (f *face) validateCards(ctx context.Context, body []byte) (*validateBatchWire, error) {
	began := f.deps.Clock.Now()
	sc := httpx.Scope(ctx)
	if err := validation.MayBatch(sc); err != nil {
		return nil, err
	}
	cards, mode, err := readBatch(body)
	if err != nil {
		return nil, err
	}
	items := make([]validation.Item, len(cards))
	for i, c := range cards {
		items[i] = c.Item
	}
	out, err := f.deps.Validation.ValidateBatch(ctx, sc, mode, items)
	if err != nil {
		if fault.KindOf(err) == fault.RateLimited {
			sayAllowance(ctx, out.Allowance)
		}
		return nil, err
	}
	sayAllowance(ctx, out.Allowance)
	w := &validateBatchWire{
		BatchID: validation.SpellBatch(out.Batch, out.At), Total: len(out.Judged), Results: make([]batchResultWire, len(out.Judged)),
		Timestamp: stampOf(out.At),
	}
	sum := 0
	for i, j := range out.Judged {
		if j.Result.Valid {
			w.Valid++
			sum += j.Result.Score
		} else {
			w.Invalid++
			j.Result.Score = 0
		}
		o := cards[i].options
		o.suggestions = o.suggestions && mode != validation.CLI
		w.Results[i] = batchResultWire{ID: j.Label, CardVerdictWire: f.showJudged(ctx, j, o)}
		if !j.Result.Valid {
			w.Results[i].ScoreDetails = nil // they explain what a card of its own would be given
		}
	}
	w.Summary = batchSummaryWire{
		Processed: w.Total, SuccessRate: float64(w.Valid) / float64(w.Total), Average: math.Round(100*float64(sum)/float64(w.Total)) / 100,
		TookMS: f.since(began),
	}
	return w, nil
}

// since returns the milliseconds that a request took.
func (f *face) since(began time.Time) int64 {
	return max(0, f.deps.Clock.Now().Sub(began).Milliseconds())
}

// showJudged writes what the caller asked to be told of a card.
func (f *face) showJudged(ctx context.Context, j validation.Judged, o cardOptions) CardVerdictWire {
	w := showVerdict(j.Result)
	if !o.score {
		w.Score, w.ScoreDetails = nil, nil
	}
	if !o.suggestions {
		w.Suggestions = nil
	}
	if !j.Report.IsZero() {
		w.ReportID = validation.SpellReport(j.Report, j.At)
		w.ReportURL = f.publicURL(ctx) + reportsPath + w.ReportID
		w.AgentCardID = j.Card.String()
	}
	return w
}

// publicURL is where callers reach this server.
func (f *face) publicURL(ctx context.Context) string {
	if f.deps.PublicURL != "" {
		return strings.TrimRight(f.deps.PublicURL, "/")
	}
	return "http://" + httpx.Request(ctx).Host
}

func showVerdict(r card.Result) CardVerdictWire {
	return CardVerdictWire{
		Valid: r.Valid, Errors: showAll(r.Errors, showFinding), Warnings: showAll(r.Warnings, showFinding), Score: &r.Score,
		ScoreDetails: showAll(r.Marks, func(m card.Mark) cardMarkWire { return cardMarkWire(m) }),
		Suggestions: showAll(r.Suggestions, func(g card.Suggestion) cardSuggestionWire {
			return cardSuggestionWire{g.Type, g.Field, g.Pointer, g.Text, g.Worth}
		}),
		Signatures: showSignatures(r.Signatures), Version: string(r.Version), VersionBasis: string(r.Basis),
	}
}

func showFinding(f card.Finding) cardFindingWire {
	return cardFindingWire{f.Path, f.Pointer, f.Message, f.Code, f.Source, f.Line, f.Column}
}

// showSignatures leaves cards without signatures without them.
func showSignatures(all []card.SignatureVerdict) []cardSignatureWire {
	if len(all) == 0 {
		return nil
	}
	return showAll(all, func(v card.SignatureVerdict) cardSignatureWire {
		return cardSignatureWire{v.Index, string(v.State), v.KeyID, v.Algorithm, v.Reason, string(v.Form), v.Uncovered}
	})
}

// showAll writes a list that is there even when it is empty.
func showAll[A, B any](all []A, show func(A) B) []B {
	out := make([]B, len(all))
	for i, v := range all {
		out[i] = show(v)
	}
	return out
}
