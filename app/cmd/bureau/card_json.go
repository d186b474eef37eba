package main

import (
	"io"

	"github.com/bureau-agents/bureau/core/card"
)

// cardJSONFormat is the number of the JSON document's form. Fields may be added under the same number; one that goes or means something else
// raises it.
const cardJSONFormat = 1

// cardJSON gathers one document about all cards.
type cardJSON struct {
	w     io.Writer
	cards []cardWire
}

// The document of --format json; docs/cards.md describes it.
type (
	cardsWire struct {
		Format  int         `json:"format"`
		Summary summaryWire `json:"summary"`
		Cards   []cardWire  `json:"cards"`
	}
	summaryWire struct {
		Cards    int `json:"cards"`
		Valid    int `json:"valid"`
		Invalid  int `json:"invalid"`
		Failed   int `json:"failed"`
		Unread   int `json:"unread"`
		Errors   int `json:"errors"`
		Warnings int `json:"warnings"`
	}
	cardWire struct {
		Input     string        `json:"input"`
		FoundAt   string        `json:"found_at,omitempty"`
		ReadError string        `json:"read_error,omitempty"`
		Passed    bool          `json:"passed"`
		Failures  []failureWire `json:"failures"`
		*verdictWire
	}
	verdictWire struct {
		Valid        bool             `json:"valid"`
		Version      card.Version     `json:"version"`
		VersionBasis card.Basis       `json:"version_basis"`
		Name         string           `json:"name"`
		URL          string           `json:"url"`
		Errors       []findingWire    `json:"errors"`
		Warnings     []findingWire    `json:"warnings"`
		Score        int              `json:"score"`
		Marks        []markWire       `json:"marks"`
		Suggestions  []suggestionWire `json:"suggestions"`
		Signatures   []signatureWire  `json:"signatures"`
	}
	failureWire struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	findingWire struct {
		Code    string `json:"code"`
		Path    string `json:"path"`
		Pointer string `json:"pointer"`
		Message string `json:"message"`
		Source  string `json:"source"`
		Line    int    `json:"line"`
		Column  int    `json:"column"`
		Offset  int    `json:"offset"`
	}
	markWire struct {
		Criterion string `json:"criterion"`
		Points    int    `json:"points"`
		Weight    int    `json:"weight"`
		Reason    string `json:"reason"`
	}
	suggestionWire struct {
		Type    string `json:"type"`
		Field   string `json:"field"`
		Pointer string `json:"pointer"`
		Text    string `json:"suggestion"`
		Worth   int    `json:"worth"`
	}
	signatureWire struct {
		Index     int                 `json:"index"`
		State     card.SignatureState `json:"state"`
		KeyID     string              `json:"key_id"`
		Algorithm string              `json:"algorithm"`
		Reason    string              `json:"reason"`
		Form      card.SignatureForm  `json:"form"`
		Uncovered []string            `json:"uncovered"`
	}
)

func (j *cardJSON) card(v cardVerdict) error {
	out := cardWire{Input: v.input.name, FoundAt: v.url, Failures: []failureWire{}}
	for _, f := range v.failures {
		out.Failures = append(out.Failures, failureWire{f.code, f.message})
	}
	if v.err != nil {
		out.ReadError = v.err.Error()
	} else {
		out.Passed = len(v.failures) == 0
		out.verdictWire = encodeVerdict(v.result)
	}
	j.cards = append(j.cards, out)
	return nil
}

func encodeVerdict(r card.Result) *verdictWire {
	out := &verdictWire{
		Valid: r.Valid, Version: r.Version, VersionBasis: r.Basis, Name: r.Name, URL: r.URL, Errors: encodeFindings(r.Errors), Warnings: encodeFindings(r.Warnings),
		Score: r.Score, Marks: []markWire{}, Suggestions: []suggestionWire{}, Signatures: []signatureWire{},
	}
	for _, m := range r.Marks {
		out.Marks = append(out.Marks, markWire(m))
	}
	for _, s := range r.Suggestions {
		out.Suggestions = append(out.Suggestions, suggestionWire(s))
	}
	for _, s := range r.Signatures {
		if s.Uncovered == nil {
			s.Uncovered = []string{}
		}
		out.Signatures = append(out.Signatures, signatureWire(s))
	}
	return out
}

func encodeFindings(found []card.Finding) []findingWire {
	out := make([]findingWire, len(found))
	for i, f := range found {
		out[i] = findingWire{f.Code, f.Path, f.Pointer, f.Message, f.Source, f.Line, f.Column, f.Offset}
	}
	return out
}

func (j *cardJSON) end(t cardTotals) error {
	if j.cards == nil {
		j.cards = []cardWire{}
	}
	return printJSON(j.w, cardsWire{
		Format: cardJSONFormat, Cards: j.cards,
		Summary: summaryWire{
			Cards: t.cards, Valid: t.valid, Invalid: t.cards - t.valid, Failed: t.failed, Unread: t.unread, Errors: t.errors, Warnings: t.warnings,
		},
	})
}
