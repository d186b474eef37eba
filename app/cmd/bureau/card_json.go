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
	w      io.Writer
	cards  []cardWire
	unread []unreadWire
}

// The document of --format json; docs/cards.md describes it.
type (
	cardsWire struct {
		Format  int          `json:"format"`
		Summary summaryWire  `json:"summary"`
		Cards   []cardWire   `json:"cards"`
		Unread  []unreadWire `json:"unread"`
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
	unreadWire struct {
		Input string `json:"input"`
		Error string `json:"error"`
	}
	cardWire struct {
		Input        string           `json:"input"`
		FoundAt      string           `json:"found_at"`
		Passed       bool             `json:"passed"`
		Failures     []failureWire    `json:"failures"`
		Valid        bool             `json:"valid"`
		Version      card.Version     `json:"version"`
		VersionBasis card.Basis       `json:"version_basis"`
		Name         string           `json:"name"`
		URL          string           `json:"url"`
		Errors       []findingWire    `json:"errors"`
		Warnings     []findingWire    `json:"warnings"`
		Score        int              `json:"score"`
		Marks        []markWire       `json:"score_details"`
		Suggestions  []suggestionWire `json:"suggestions"`
		Signatures   []verdictWire    `json:"signatures"`
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
	verdictWire struct {
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
	if v.err != nil {
		j.unread = append(j.unread, unreadWire{v.input.name, v.err.Error()})
		return nil //nolint:nilerr // it is in the document
	}
	r := v.result
	out := cardWire{
		Input: v.input.name, FoundAt: v.url, Passed: len(v.failures) == 0, Failures: []failureWire{},
		Valid: r.Valid, Version: r.Version, VersionBasis: r.Basis, Name: r.Name, URL: r.URL, Errors: encodeFindings(r.Errors), Warnings: encodeFindings(r.Warnings),
		Score: r.Score, Marks: []markWire{}, Suggestions: []suggestionWire{}, Signatures: []verdictWire{},
	}
	for _, f := range v.failures {
		out.Failures = append(out.Failures, failureWire(f))
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
		out.Signatures = append(out.Signatures, verdictWire(s))
	}
	j.cards = append(j.cards, out)
	return nil
}

func encodeFindings(found []card.Finding) []findingWire {
	out := make([]findingWire, len(found))
	for i, f := range found {
		out[i] = findingWire{f.Code, f.Path, f.Pointer, f.Message, f.Source, f.Line, f.Column, f.Offset}
	}
	return out
}

func (j *cardJSON) end(t cardTotals) error {
	return printJSON(j.w, cardsWire{
		Format: cardJSONFormat, Cards: j.cards, Unread: j.unread,
		Summary: summaryWire{
			Cards: t.cards, Valid: t.valid, Invalid: t.cards - t.valid, Failed: t.failed, Unread: t.unread, Errors: t.errors, Warnings: t.warnings,
		},
	})
}
