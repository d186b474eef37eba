package validation

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
)

// entry makes what is stored of a card that was judged.
func (s *Service) entry(c Caller, batch id.CardBatch, item Item, found card.Result, at time.Time) Entry {
	sum := sha256.Sum256(item.Text)
	e := Entry{Identity: identity(found), Report: Report{
		ID: secretID[id.CardReportKind](s.d.IDs), Tenant: c.Scope.Tenant, Batch: batch, Label: item.Label,
		ErrorCount: len(found.Errors), WarningCount: len(found.Warnings), Size: len(item.Text), Digest: hex.EncodeToString(sum[:]), CreatedAt: at,
	}}
	most := MaxKeptAnonymous
	if !c.Anonymous() {
		most = MaxKept
		e.Card = secretID[id.AgentCardKind](s.d.IDs)
	}
	masked := Mask(string(item.Text), found)
	e.Masked, e.Result = len(masked.secrets), masked.result(found)
	if len(masked.Text) <= most {
		e.Text = keepable(masked.Text)
	}
	return e
}

// keepable returns what every database can hold of a text.
func keepable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// short is keepable for a text that is shown in one line.
func short(s string) string {
	if len(s) > maxKeptText {
		cut := maxKeptText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return keepable(s)
}

// result returns what is kept of a verdict: without secrets, and not more of it than is read.
func (m Masked) result(r card.Result) card.Result {
	tidy := func(s string) string { return short(m.hide(s)) }
	findings := func(all []card.Finding) []card.Finding {
		kept := slices.Clone(all[:min(len(all), MaxKeptFindings)])
		for i := range kept {
			f := &kept[i]
			f.Path, f.Pointer, f.Message, f.Source = tidy(f.Path), tidy(f.Pointer), tidy(f.Message), tidy(f.Source)
		}
		return kept
	}
	r.Name, r.URL = tidy(r.Name), tidy(r.URL)
	r.Errors, r.Warnings = findings(r.Errors), findings(r.Warnings)
	r.Suggestions = slices.Clone(r.Suggestions[:min(len(r.Suggestions), MaxKeptFindings)])
	for i := range r.Suggestions {
		g := &r.Suggestions[i]
		g.Field, g.Pointer, g.Text = tidy(g.Field), tidy(g.Pointer), tidy(g.Text)
	}
	r.Marks = slices.Clone(r.Marks)
	for i := range r.Marks {
		r.Marks[i].Reason = tidy(r.Marks[i].Reason)
	}
	r.Signatures = slices.Clone(r.Signatures[:min(len(r.Signatures), MaxKeptFindings)])
	for i := range r.Signatures {
		v := &r.Signatures[i]
		v.KeyID, v.Algorithm, v.Reason = tidy(v.KeyID), tidy(v.Algorithm), tidy(v.Reason)
		v.Uncovered = slices.Clone(v.Uncovered)
		for j := range v.Uncovered {
			v.Uncovered[j] = tidy(v.Uncovered[j])
		}
	}
	return r
}
