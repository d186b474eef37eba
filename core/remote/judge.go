package remote

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/card"
)

// judged makes a Card of what was fetched, and returns what the card says about its agent.
func (s *Service) judged(got Fetched, now time.Time) (Card, string) {
	res := s.d.Judge(got.Text, now)
	sum := sha256.Sum256(got.Text)
	c := Card{
		URL: got.URL, Legacy: got.Legacy, Text: got.Text, Digest: "sha256:" + hex.EncodeToString(sum[:]), ETag: cut(got.ETag, MaxURL),
		MaxAge: got.MaxAge, Name: cut(res.Name, MaxDescription), Endpoint: cut(res.URL, MaxURL),
		Verdict: Verdict{
			Version: res.Version, Valid: res.Valid, Score: res.Score, Errors: len(res.Errors), Warnings: len(res.Warnings),
			Signature: signatureOf(res.Signatures, Signature{}),
		},
	}
	c.Verdict.add(res.Errors, true)
	c.Verdict.add(res.Warnings, false)
	var own struct {
		Description string `json:"description"`
	}
	if json.Unmarshal(got.Text, &own) != nil {
		own.Description = "" // what is wrong with the card is among the findings
	}
	return c, own.Description
}

func (v *Verdict) add(found []card.Finding, isError bool) {
	for _, f := range found {
		if len(v.Findings) < MaxFindings {
			v.Findings = append(v.Findings, Finding{isError, f.Code, cut(f.Path, MaxDescription), cut(f.Message, MaxDescription)})
		}
	}
}

// signatureOf returns the signature that counts: the one by the key that had signed before, then one that is trusted, then the first.
func signatureOf(all []card.SignatureVerdict, before Signature) Signature {
	var out Signature
	for _, v := range all {
		s := Signature{v.State, cut(v.KeyID, MaxDescription)}
		switch {
		case before.KeyID != "" && s == before:
			return s
		case out.State == "" || s.State == card.SignatureTrusted && out.State != card.SignatureTrusted:
			out = s
		}
	}
	return out
}

// suspicion says how a signature differs from the one that was there when somebody looked; "" when there is nothing odd about it. A card
// that was not signed may begin to be, and one whose key was unknown may become trusted.
func suspicion(pin, now Signature) string {
	switch {
	case pin.State == "":
		return ""
	case now.State == "":
		return "the card was signed and is not any more"
	case pin.KeyID != now.KeyID:
		return "the card is signed by another key than before"
	case now.State == card.SignatureWrong && pin.State != card.SignatureWrong:
		return "the card's signature was not made over this card"
	case now.State == card.SignatureMalformed && pin.State != card.SignatureMalformed:
		return "the card's signature is none any more"
	}
	return ""
}
