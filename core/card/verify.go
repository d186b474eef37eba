package card

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxHeader bounds the protected header of a signature, decoded, in bytes.
const maxHeader = 16 << 10

// Where the rules of signatures are from.
const (
	sourceHeader = "A2A 1.0, 8.4.2"
	sourceVerify = "A2A 1.0, 8.4.3"
	sourceJOSE   = "RFC 7515, 4"
)

// keyParameters are the parameters of a header that bring a key, or point to one (RFC 7515, 4.1.2 to 4.1.6).
var keyParameters = []string{"jku", "jwk", "x5u", "x5c"}

// verifySignatures judges the card's signatures, and verifies them when there are Options.Keys. Never is a key taken from the card: whoever forges
// a card could put its own there.
func (c *checker) verifySignatures() {
	list := c.root.get("signatures")
	if list.kind != kindArray || len(list.items) == 0 {
		return
	}
	v := verifier{c: c, ambiguous: c.ambiguous(), payloads: map[SignatureForm]*signed{}}
	trusted := false
	for i := range list.items {
		verdict := v.judge(i, &list.items[i])
		c.result.Signatures = append(c.result.Signatures, verdict)
		trusted = trusted || verdict.State == SignatureTrusted
	}
	if len(list.items) > MaxSignatures && c.options.Keys != nil {
		c.warn(list, codeSignatureMany, "", "a card of %d signatures: only the first %d are verified; leave out those by keys that are out of use",
			len(list.items), MaxSignatures)
	}
	switch {
	case trusted:
		c.warnUncovered(list)
	case v.other != nil:
		c.warn(v.other, codeSignatureWrong, sourceVerify, "the signature does not hold for this card: %s", v.otherReason)
	case v.unknown != nil:
		c.warn(list, codeSignatureUnknownKey, sourceVerify, "no signature is by a key that is trusted here (the first names %q): if its publisher is "+
			"to be trusted, get the key from there by another way than the card, and add it to the trusted keys", v.unknownID)
	}
}

// warnUncovered warns when even the trusted signature that covers most does not cover the whole card.
func (c *checker) warnUncovered(list *node) {
	var best *SignatureVerdict
	for i := range c.result.Signatures {
		if v := &c.result.Signatures[i]; v.State == SignatureTrusted && (best == nil || len(v.Uncovered) < len(best.Uncovered)) {
			best = v
		}
	}
	if n := len(best.Uncovered); n > 0 {
		named, more := best.Uncovered[:min(n, 5)], ""
		if n > len(named) {
			more = ", ..."
		}
		c.warn(&list.items[best.Index], codeSignaturePartial, sourceVerify, "the signature is right, but official libraries sign the fields of their "+
			"version only, and nothing empty, so anybody on the way can change these: %s%s; do not rely on them, or ask the publisher for a signature "+
			"over the whole card", strings.Join(named, ", "), more)
	}
}

// verifier verifies the signatures of one card.
type verifier struct {
	c         *checker
	ambiguous string
	payloads  map[SignatureForm]*signed
	unknown   *node // the first signature by an unknown key
	unknownID string
	// other is the first signature over the fields of another version: right for its readers, and worth nothing for those of the card's.
	other       *node
	otherReason string
}

// signed is the card in a form.
type signed struct {
	payload []byte
	lost    []*node
	err     error
}

// judge judges the signature at index i.
func (v *verifier) judge(i int, n *node) SignatureVerdict {
	verdict := SignatureVerdict{Index: i, State: SignatureMalformed}
	if n.kind != kindObject || n.get("protected").kind != kindString || n.get("signature").kind != kindString {
		verdict.Reason = "it has no protected header, or no signature" // which structure says
		return verdict
	}
	h, reason := readHeader(n)
	if h == nil {
		return v.malformed(n.get("protected"), verdict, codeSignatureMalformed, sourceJOSE, reason)
	}
	verdict.Algorithm, verdict.KeyID = strings.Clone(h.text("alg")), strings.Clone(h.text("kid"))
	v.lookAtHeader(n, h)
	if reason = h.unfit(n); reason != "" {
		return v.malformed(n.get("protected"), verdict, codeSignatureMalformed, sourceJOSE, reason)
	}
	alg := jose.SignatureAlgorithm(verdict.Algorithm)
	if !slices.Contains(algorithms, alg) {
		return v.malformed(n.get("protected"), verdict, codeSignatureAlgorithm, sourceHeader, fmt.Sprintf(
			"%s is not accepted: sign by ES256, ES384, EdDSA, RS256 or PS256; \"none\" is no signature, and whoever verifies HMAC can sign too",
			quoted(verdict.Algorithm, "no algorithm")))
	}
	if verdict.KeyID == "" && v.c.version != V10 {
		verdict.KeyID = strings.Clone(n.get("header").get("kid").str) // it only says which of the trusted keys to try
	}
	if verdict.KeyID == "" && v.c.version == V10 {
		return v.malformed(n.get("protected"), verdict, codeSignatureMalformed, sourceHeader,
			"the protected header has no kid: add the name of the key, by which verifiers look it up")
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(n.get("signature").str); err != nil || len(raw) == 0 {
		return v.malformed(n.get("signature"), verdict, codeSignatureMalformed, sourceJOSE,
			"the signature is not base64url without padding: write it so (RFC 7515, 2)")
	}
	return v.verify(n, verdict)
}

// malformed is the verdict of what is no JWS that A2A admits.
func (v *verifier) malformed(at *node, verdict SignatureVerdict, code, source, reason string) SignatureVerdict {
	verdict.State, verdict.Reason = SignatureMalformed, reason
	v.c.warn(at, code, source, "%s", reason)
	return verdict
}

// lookAtHeader warns of what a header holds and does not count.
func (v *verifier) lookAtHeader(n *node, h *header) {
	var brought []string
	for _, name := range keyParameters {
		if !h.get(name).missing() || !n.get("header").get(name).missing() {
			brought = append(brought, name)
		}
	}
	if len(brought) > 0 {
		v.c.warn(n, codeSignatureHeaderKey, sourceVerify, "the header brings or points to its own key (%s), which nobody should believe: it is not used "+
			"here; give the key to those who are to verify the card by another way", strings.Join(brought, ", "))
	}
	if v.c.version == V10 && h.text("typ") != "JOSE" {
		v.c.warn(n.get("protected"), codeSignatureType, sourceHeader, "the protected header should have the typ \"JOSE\": without a typ the official "+
			"JavaScript library refuses the signature")
	}
}

// verify looks for a trusted key by which a well-formed signature was made over the card.
func (v *verifier) verify(n *node, verdict SignatureVerdict) SignatureVerdict {
	keys := v.c.options.Keys
	verdict.State = SignatureUnknown
	switch {
	case keys == nil:
		verdict.Reason = "there are no trusted keys to verify it by"
		return verdict
	case verdict.Index >= MaxSignatures:
		verdict.Reason = fmt.Sprintf("only the first %d signatures are verified", MaxSignatures)
		return verdict
	case verdict.KeyID == "":
		verdict.Reason = "it does not say by which key it was made: its header has no kid"
		return verdict
	case len(keys.byID[verdict.KeyID]) == 0:
		if v.unknown == nil {
			v.unknown, v.unknownID = n, verdict.KeyID
		}
		verdict.Reason = fmt.Sprintf("no trusted key is called %q", verdict.KeyID)
		return verdict
	}
	verdict.State = SignatureWrong
	if err := v.payload(formVerbatim).err; v.ambiguous == "" && err != nil {
		v.ambiguous = strings.TrimPrefix(err.Error(), "card: ")
	}
	if v.ambiguous != "" {
		verdict.Reason = "the card can be read in two ways, so no signature over it can be verified: " + v.ambiguous
		v.c.warn(n, codeSignatureAmbiguous, "RFC 8785, 3.1", "%s; mend that, and sign it again", verdict.Reason)
		return verdict
	}
	return v.verifyBy(keys.byID[verdict.KeyID], n, verdict)
}

// verifyBy tries the keys of the signature's name.
func (v *verifier) verifyBy(keys []trusted, n *node, verdict SignatureVerdict) SignatureVerdict {
	alg := jose.SignatureAlgorithm(verdict.Algorithm)
	parsed, err := jose.ParseDetached(n.get("protected").str+".."+n.get("signature").str, []byte{}, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return v.malformed(n, verdict, codeSignatureMalformed, sourceJOSE, "the signature is no JWS: "+err.Error())
	}
	code, reason := codeSignatureWrong, fmt.Sprintf("the key %q is not one for %s", verdict.KeyID, alg)
	for _, key := range keys {
		if !slices.Contains(key.algorithms, alg) {
			continue
		}
		if invalid := key.invalid(v.c.options.Now); invalid != "" {
			code, reason = codeSignatureKeyInvalid, fmt.Sprintf("the key %q %s", verdict.KeyID, invalid)
			continue
		}
		form, diagnosis, other := v.match(parsed, key)
		if other {
			if v.other == nil {
				v.other, v.otherReason = n, diagnosis
			}
			verdict.State, verdict.Reason = SignatureUnknown, diagnosis
			return verdict
		}
		if form != nil {
			verdict.State, verdict.Form = SignatureTrusted, form.name
			verdict.Uncovered = v.places(v.payload(*form).lost)
			return verdict
		}
		code, reason = codeSignatureWrong, diagnosis
	}
	verdict.Reason = reason
	v.c.warn(n, code, sourceVerify, "the signature by %q does not hold: %s", verdict.KeyID, reason)
	return verdict
}

// match returns the form of the card over which the signature was made by a key; else nil, why it does not hold, and whether it would for readers of
// another version.
func (v *verifier) match(parsed *jose.JSONWebSignature, key trusted) (_ *form, reason string, otherVersion bool) {
	forms, others := []form{formVerbatim, formSpecification, formSDK03}, []form{formSchema, formSDK}
	other := "it covers the fields of 1.0 only, and the card is read as one of " + string(v.c.version) + ", whose fields anybody could have changed"
	if v.c.version == V10 {
		forms, others = []form{formSpecification, formVerbatim, formSchema, formSDK}, []form{formSDK03}
		other = "it covers the fields of 0.3 only, and the card is read as one of 1.0, whose fields anybody could have changed"
	}
	holds := func(f form) bool {
		return parsed.DetachedVerify(v.payload(f).payload, key.public) == nil
	}
	for i := range forms {
		if holds(forms[i]) {
			return &forms[i], "", false
		}
	}
	if slices.ContainsFunc(others, holds) {
		return nil, other, true
	}
	if v.c.version == V10 && holds(formTyped) {
		return nil, "it covers the card without its securitySchemes, as the official JavaScript library signs cards that are not in the form of their " +
			"JSON; sign AgentCard.toJSON(card) instead", false
	}
	return nil, "the card is not the one that was signed: it was changed, or the key is another of the same name", false
}

// payload returns the card in a form; it is written once.
func (v *verifier) payload(f form) *signed {
	name := f.name + SignatureForm(f.without)
	s := v.payloads[name]
	if s == nil {
		s = &signed{}
		s.payload, s.lost, s.err = v.c.payload(f)
		v.payloads[name] = s
	}
	return s
}

// places returns the paths of what a form leaves out.
func (v *verifier) places(lost []*node) []string {
	var paths []string
	for _, n := range lost[:min(len(lost), maxUncovered)] {
		path, _ := v.c.place(n)
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// header is the protected header of a signature.
type header struct{ *node }

// readHeader reads the protected header of a signature; nil, and why it cannot be.
func readHeader(n *node) (*header, string) {
	encoded := n.get("protected").str
	if len(encoded) > base64.RawURLEncoding.EncodedLen(maxHeader) {
		return nil, fmt.Sprintf("the protected header is longer than %d bytes: leave out what it does not need", maxHeader)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, "the protected header is not base64url without padding: write it so (RFC 7515, 2)"
	}
	c, ok := read(raw, Options{})
	if !ok || c.errors.any() {
		return nil, "the protected header is no JSON object: encode one such as {\"alg\":\"ES256\",\"kid\":\"...\",\"typ\":\"JOSE\"}"
	}
	if reason := c.ambiguous(); reason != "" {
		return nil, "the protected header can be read in two ways: " + reason
	}
	return &header{c.root}, ""
}

// missing says whether n is not there or null, as Python's library writes a jku that it was not given.
func (n *node) missing() bool { return n.kind == kindAbsent || n.kind == kindNull }

// text returns a parameter that is a text, "" when it is none.
func (h *header) text(name string) string { return h.get(name).str }

// unfit says why a header is none of a card's signature, whatever the algorithm.
func (h *header) unfit(entry *node) string {
	if h.get("crit").kind != kindAbsent || h.get("b64").kind != kindAbsent {
		return "the protected header demands extensions (crit, b64), and A2A has none: leave them out"
	}
	for i := range entry.get("header").members {
		if key := entry.get("header").members[i].key; h.find(key) != nil || key == "crit" || key == "alg" {
			return fmt.Sprintf("the unprotected header has %q, which is in the protected one or belongs there: leave it out", key)
		}
	}
	return ""
}

// quoted quotes a text, or says what stands for an empty one.
func quoted(s, empty string) string {
	if s == "" {
		return empty
	}
	return fmt.Sprintf("the algorithm %q", s)
}
