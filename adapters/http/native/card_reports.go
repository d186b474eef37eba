package native

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

type (
	// CardReportWire is a report in a list; it is exported because others embed it.
	CardReportWire struct {
		ID           string  `json:"id"`
		AgentCardID  string  `json:"agent_card_id" doc:"Which of the account's cards it is about."`
		BatchID      *string `json:"batch_id" doc:"The batch that it was a part of; null otherwise."`
		Label        *string `json:"label" doc:"What the card was called in its batch."`
		Name         string  `json:"name" doc:"The card's; empty when it does not say it."`
		URL          string  `json:"url" doc:"Where the card's agent is reached first; empty when it does not say it."`
		Valid        bool    `json:"valid"`
		Score        int     `json:"score" minimum:"0" maximum:"100"`
		Version      string  `json:"version"`
		VersionBasis string  `json:"version_basis"`
		ErrorCount   int     `json:"error_count"`
		WarningCount int     `json:"warning_count"`
		Size         int     `json:"size" doc:"Of the card, in bytes."`
		Digest       string  `json:"digest" doc:"SHA-256 of the card as it was sent, in hexadecimal."`
		ReportURL    string  `json:"report_url" doc:"A page to read, without a key."`
		BadgeURL     string  `json:"badge_url" doc:"A picture of the verdict, without a key."`
		CreatedAt    stamp   `json:"created_at"`
	}
	// CardFindingsWire is what a report found; it is exported because others embed it.
	CardFindingsWire struct {
		Errors       []cardFindingWire    `json:"errors" nullable:"false" doc:"At most 200; error_count says how many there were."`
		Warnings     []cardFindingWire    `json:"warnings" nullable:"false" doc:"At most 200; warning_count says how many there were."`
		Suggestions  []cardSuggestionWire `json:"suggestions" nullable:"false"`
		ScoreDetails []cardMarkWire       `json:"score_details" nullable:"false"`
		Signatures   []cardSignatureWire  `json:"signatures,omitzero"`
		Text         *string              `json:"text" doc:"The card, credentials masked; null when it was too long to be kept."`
		Masked       int                  `json:"masked" doc:"How many credentials are masked in the text."`
	}
	// fullCardReportWire is a report with what it found.
	fullCardReportWire struct {
		CardReportWire
		CardFindingsWire
	}

	cardPointWire struct {
		Valid bool  `json:"valid"`
		Score int   `json:"score"`
		At    stamp `json:"at"`
	}
	validatedCardWire struct {
		ID           string          `json:"id"`
		Name         string          `json:"name" doc:"As the newest report has it."`
		URL          string          `json:"url"`
		Version      string          `json:"version" doc:"That the newest report held it to."`
		Valid        bool            `json:"valid" doc:"The newest verdict."`
		Score        int             `json:"score"`
		ErrorCount   int             `json:"error_count"`
		WarningCount int             `json:"warning_count"`
		Newest       string          `json:"newest_report_id"`
		Reports      int             `json:"reports" doc:"How many are kept."`
		Trend        []cardPointWire `json:"trend" nullable:"false" doc:"The verdicts of the newest reports, at most 10, the oldest first."`
		BadgeURL     string          `json:"badge_url" doc:"A picture of the newest verdict, without a key. It names nothing else of the card."`
		FirstAt      stamp           `json:"first_validated_at"`
		NewestAt     stamp           `json:"validated_at"`
	}
)

// CardReportInput names a report.
type CardReportInput struct {
	ReportID string `path:"report_id" doc:"The report's id."`
}

// AgentCardInput names a card of the account.
type AgentCardInput struct {
	AgentCardID string `path:"agent_card_id" doc:"The card's id."`
}

// CardReportQuery chooses reports.
type CardReportQuery struct {
	Valid   string    `query:"valid" enum:"true,false" doc:"Only of cards with this verdict."`
	Version string    `query:"version" enum:"0.2.0,0.2.1,0.2.2,0.2.3,0.2.4,0.2.5,0.2.6,0.3.0,1.0" doc:"Only of cards that were held to this version."`
	Since   time.Time `query:"since" doc:"Only what is not older."`
}

func (q CardReportQuery) read() validation.ListReports {
	return validation.ListReports{Valid: yesOrNo(q.Valid), Version: card.Version(q.Version), Since: q.Since}
}

// yesOrNo reads a filter that may be left out.
func yesOrNo(s string) *bool {
	if s == "" {
		return nil
	}
	return new(s == "true")
}

type listCardReportsInput struct {
	AgentCardID string `query:"agent_card_id" doc:"Only reports of this card."`
	BatchID     string `query:"batch_id" doc:"Only reports of this batch."`
	CardReportQuery
	httpx.PageQuery
}

type listReportsOfCardInput struct {
	AgentCardInput
	CardReportQuery
	httpx.PageQuery
}

type listCardsInput struct {
	Valid string `query:"valid" enum:"true,false" doc:"Only cards whose newest verdict is this."`
	httpx.PageQuery
}

func (f *face) registerCardReports() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listCardReports", Method: http.MethodGet, Path: "/v1/card_reports", Tag: "cards",
		Summary: "List reports of validated agent cards, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listCardReportsInput) (*output[httpx.List[CardReportWire]], error) {
		r := in.read()
		r.Request = in.Request()
		var err error
		if in.AgentCardID != "" {
			if r.Card, err = id.Parse[id.AgentCardKind](in.AgentCardID); err != nil {
				return nil, err
			}
		}
		if in.BatchID != "" {
			if r.Batch, err = validation.ParseBatch(in.BatchID); err != nil {
				return nil, err
			}
		}
		return f.cardReports(ctx, r)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getCardReport", Method: http.MethodGet, Path: "/v1/card_reports/{report_id}", Tag: "cards",
		Summary: "Read a report of a validated agent card", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *CardReportInput) (*output[fullCardReportWire], error) {
		of, err := validation.ParseReport(in.ReportID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Validation.Report(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(fullCardReportWire{f.showCardReport(ctx, r), showCardFindings(r)}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteCardReport", Method: http.MethodDelete, Path: "/v1/card_reports/{report_id}", Tag: "cards",
		Summary: "Delete a report of a validated agent card", Permission: account.AgentsWrite,
		Description: "Its page and its badge are gone. The card goes with the last of its reports.",
	}, func(ctx context.Context, in *CardReportInput) (*output[httpx.Deleted], error) {
		of, err := validation.ParseReport(in.ReportID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Validation.DeleteReport(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: in.ReportID, Type: "card_report_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listValidatedCards", Method: http.MethodGet, Path: "/v1/cards", Tag: "cards",
		Summary: "List the agent cards that were validated, the last one first", Permission: account.AgentsRead,
		Description: "Validations of cards with the same primary URL, or without one the same name, are the history of one card.",
	}, func(ctx context.Context, in *listCardsInput) (*output[httpx.List[validatedCardWire]], error) {
		p, err := f.deps.Validation.Cards(ctx, httpx.Scope(ctx), validation.ListCards{Request: in.Request(), Valid: yesOrNo(in.Valid)})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, func(c validation.Card) validatedCardWire { return f.showValidatedCard(ctx, c) })), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getValidatedCard", Method: http.MethodGet, Path: "/v1/cards/{agent_card_id}", Tag: "cards",
		Summary: "Read an agent card that was validated", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentCardInput) (*output[validatedCardWire], error) {
		of, err := id.Parse[id.AgentCardKind](in.AgentCardID)
		if err != nil {
			return nil, err
		}
		c, err := f.deps.Validation.Card(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(f.showValidatedCard(ctx, c)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listReportsOfCard", Method: http.MethodGet, Path: "/v1/cards/{agent_card_id}/reports", Tag: "cards",
		Summary: "List the reports of a card, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listReportsOfCardInput) (*output[httpx.List[CardReportWire]], error) {
		of, err := id.Parse[id.AgentCardKind](in.AgentCardID)
		if err != nil {
			return nil, err
		}
		r := in.read()
		r.Request, r.Card = in.Request(), of
		return f.cardReports(ctx, r)
	})
}

func (f *face) cardReports(ctx context.Context, r validation.ListReports) (*output[httpx.List[CardReportWire]], error) {
	p, err := f.deps.Validation.Reports(ctx, httpx.Scope(ctx), r)
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(p, func(r validation.Report) CardReportWire { return f.showCardReport(ctx, r) })), nil
}

func (f *face) showCardReport(ctx context.Context, r validation.Report) CardReportWire {
	spelled := validation.SpellReport(r.ID, r.CreatedAt)
	page := f.publicURL(ctx) + reportsPath + spelled
	w := CardReportWire{
		ID: spelled, AgentCardID: r.Card.String(), Name: r.Result.Name, URL: r.Result.URL, Valid: r.Result.Valid, Score: r.Result.Score,
		Version: string(r.Result.Version), VersionBasis: string(r.Result.Basis), ErrorCount: r.ErrorCount, WarningCount: r.WarningCount,
		Size: r.Size, Digest: r.Digest, ReportURL: page, BadgeURL: page + badgePath, CreatedAt: stampOf(r.CreatedAt),
	}
	if !r.Batch.IsZero() {
		w.BatchID, w.Label = new(validation.SpellBatch(r.Batch, r.CreatedAt)), &r.Label
	}
	return w
}

func showCardFindings(r validation.Report) CardFindingsWire {
	v := showVerdict(r.Result)
	w := CardFindingsWire{
		Errors: v.Errors, Warnings: v.Warnings, Suggestions: v.Suggestions, ScoreDetails: v.ScoreDetails, Signatures: v.Signatures, Masked: r.Masked,
	}
	if r.Text != "" {
		w.Text = &r.Text
	}
	return w
}

func (f *face) showValidatedCard(ctx context.Context, c validation.Card) validatedCardWire {
	return validatedCardWire{
		ID: c.ID.String(), Name: c.Name, URL: c.URL, Version: string(c.Version), Valid: c.Valid, Score: c.Score, ErrorCount: c.ErrorCount,
		WarningCount: c.WarningCount, Newest: validation.SpellReport(c.Newest, c.NewestAt), Reports: c.Reports,
		Trend:    showAll(c.Trend, func(p validation.Point) cardPointWire { return cardPointWire{p.Valid, p.Score, stampOf(p.At)} }),
		BadgeURL: f.publicURL(ctx) + cardsPath + c.ID.String() + badgePath, FirstAt: stampOf(c.FirstAt), NewestAt: stampOf(c.NewestAt),
	}
}

type (
	cardCodeWire struct {
		Code     string `json:"code"`
		Title    string `json:"title"`
		Text     string `json:"text" doc:"Why it matters and how to mend it."`
		Severity string `json:"severity" enum:"error,warning"`
		Source   string `json:"source,omitempty" doc:"Where the rule is written."`
	}
	cardWeightWire struct {
		Criterion string `json:"criterion"`
		Weight    int    `json:"weight" doc:"The most points that it gives; the weights sum up to 100."`
		Text      string `json:"text" doc:"What it gives them for."`
	}
	cardRulesWire struct {
		Versions []string         `json:"versions" nullable:"false" doc:"Of the protocol, that cards can be held to."`
		Codes    []cardCodeWire   `json:"codes" nullable:"false" doc:"Every kind of finding."`
		Weights  []cardWeightWire `json:"weights" nullable:"false" doc:"The table by which cards are scored."`
	}

	// anyJSON is a JSON value that is passed on as it is.
	anyJSON struct{ json.RawMessage }

	migrateCardBody struct {
		Card   cardBody `json:"agent_card" doc:"The agent card, of 0.2 or 0.3."`
		To     *string  `json:"to,omitempty" doc:"0.3.0, or 1.0, the default."`
		Hybrid *bool    `json:"hybrid,omitempty" doc:"Puts what 1.0 needs beside what 0.3.0 has, so that clients of both can read the card."`
	}
	cardStepWire struct {
		Operation string `json:"op"`
		Path      string `json:"path" doc:"Where, dotted with indexes."`
		Pointer   string `json:"pointer"`
		Text      string `json:"text" doc:"What is done and why."`
		Source    string `json:"source,omitempty"`
	}
	cardDecisionWire struct {
		Path     string `json:"path" doc:"In the migrated card."`
		Pointer  string `json:"pointer"`
		Text     string `json:"text"`
		Blocking bool   `json:"blocking" doc:"Whether the card is invalid without it."`
	}
	migrateCardWire struct {
		From   string             `json:"from"`
		To     string             `json:"to"`
		Patch  anyJSON            `json:"patch" doc:"A JSON Patch (RFC 6902) with one operation per step."`
		Card   anyJSON            `json:"agent_card" doc:"The card with the patch applied."`
		Steps  []cardStepWire     `json:"steps" nullable:"false" doc:"The operations of the patch, explained."`
		Manual []cardDecisionWire `json:"manual" nullable:"false" doc:"What a person must decide. When none is blocking, the card is valid."`
	}
)

// Schema implements huma.SchemaProvider.
func (anyJSON) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

func (f *face) registerCardRules() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listCardRules", Method: http.MethodGet, Path: "/v1/card_rules", Tag: "cards", AnyKey: true,
		Summary: "List the kinds of findings, and the weights of scores",
	}, func(context.Context, *struct{}) (*output[cardRulesWire], error) {
		return ok(cardRulesWire{
			Versions: showAll([]card.Version{card.V020, card.V021, card.V022, card.V023, card.V024, card.V025, card.V026, card.V030, card.V10},
				func(v card.Version) string { return string(v) }),
			Codes: showAll(card.Codes(), func(c card.Code) cardCodeWire {
				return cardCodeWire{c.Code, c.Title, c.Text, string(c.Severity), c.Source}
			}),
			Weights: showAll(card.Weights(), func(c card.Criterion) cardWeightWire { return cardWeightWire{c.Name, c.Weight, c.Text} }),
		}), nil
	})

	httpx.RegisterRaw[struct{ Body migrateCardBody }](f.Face, httpx.Op{
		ID: "migrateCard", Method: http.MethodPost, Path: "/v1/cards/migrate", Tag: "cards", AnyKey: true, Summary: "Work out what must change for a newer version",
		Description: "The answer is a JSON Patch with each step explained, the card with it applied, and what a person has to decide. Nothing is stored.",
		Example:     `{"agent_card":` + cardExample + `,"to":"1.0"}`,
	}, func(_ context.Context, body []byte) (*migrateCardWire, error) { return migrateCard(body) })
}

func migrateCard(body []byte) (*migrateCardWire, error) {
	e, err := openEnvelope(body)
	if err != nil {
		return nil, err
	}
	var text []byte
	if !e.scan.Object(func(key []byte) (ok bool) {
		if string(key) == "agent_card" {
			text, ok = e.card()
			return ok
		}
		return e.skip()
	}) {
		return nil, errNotObject
	}
	var in struct {
		To     *string `json:"to"`
		Hybrid *bool   `json:"hybrid"`
	}
	if err := e.decode(&in); err != nil {
		return nil, err
	}
	if text == nil {
		return nil, fault.Invalidf("agent_card", "is required")
	}
	to := card.V10
	if in.To != nil {
		var known bool
		if to, known = card.ParseVersion(*in.To); !known {
			return nil, fault.Invalidf("to", "must be 0.3.0 or 1.0")
		}
	}
	var m card.Migration
	if in.Hybrid != nil && *in.Hybrid {
		m, err = card.MigrateHybrid(text)
	} else {
		m, err = card.Migrate(text, to)
	}
	switch {
	case errors.Is(err, card.ErrNotObject):
		return nil, fault.Invalidf("agent_card", "must be a JSON object that can be read; validate it to see what is wrong")
	case errors.Is(err, card.ErrTarget):
		return nil, fault.Invalidf("to", "must be 0.3.0 or 1.0")
	case err != nil:
		return nil, err
	}
	return &migrateCardWire{
		From: string(m.From), To: string(m.To), Patch: anyJSON{m.Patch}, Card: anyJSON{m.Card},
		Steps: showAll(m.Steps, func(s card.Step) cardStepWire {
			return cardStepWire{s.Operation, s.Path, s.Pointer, s.Text, s.Source}
		}),
		Manual: showAll(m.Manual, func(d card.Decision) cardDecisionWire { return cardDecisionWire(d) }),
	}, nil
}
