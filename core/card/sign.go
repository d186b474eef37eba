package card

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	_ "crypto/sha256" // of ES256
	_ "crypto/sha512" // of ES384
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// SigningKey signs cards: a private key of Ed25519 (EdDSA) or of the curves P-256 (ES256) and P-384 (ES384), with a name. Printing it shows the
// name only. It is immutable, and so safe for concurrent use.
type SigningKey struct {
	signer    crypto.Signer
	algorithm jose.SignatureAlgorithm
	id        string
	public    trusted // its validity
}

// NewSigningKey names a private key; id "" is its thumbprint (RFC 7638).
func NewSigningKey(private crypto.Signer, id string) (SigningKey, error) {
	k, err := newSigningKey(private, id)
	if err != nil {
		return SigningKey{}, fmt.Errorf("card: %w", err)
	}
	return k, nil
}

func newSigningKey(private crypto.Signer, id string) (SigningKey, error) {
	var public any
	switch key := private.(type) {
	case ed25519.PrivateKey:
		public = key.Public()
	case *ecdsa.PrivateKey:
		public = &key.PublicKey
	}
	algorithms := fitting(public)
	if len(algorithms) == 0 {
		return SigningKey{}, errors.New("cards are signed by keys of Ed25519, P-256 or P-384")
	}
	if id == "" {
		thumb, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
		if err != nil {
			return SigningKey{}, fmt.Errorf("the key has no thumbprint: %w", err)
		}
		id = base64.RawURLEncoding.EncodeToString(thumb)
	}
	return SigningKey{signer: private, algorithm: algorithms[0], id: id, public: trusted{public: public}}, nil
}

// ParseSigningKey reads a private JWK with a kid, as SigningKey.Private writes it. Its members nbf, exp and revoked are read as ParseKeys does.
// The error never holds anything of the key but its kid.
func ParseSigningKey(jwk []byte) (SigningKey, error) {
	k, err := parseSigning(jwk)
	if err != nil {
		return SigningKey{}, fmt.Errorf("card: %w", err)
	}
	return k, nil
}

// parseSigning reads a JWK that signs.
func parseSigning(jwk []byte) (SigningKey, error) {
	wire, key, err := parseKey(jwk)
	if err != nil {
		return SigningKey{}, err
	}
	signer, ok := key.Key.(crypto.Signer)
	if !ok {
		return SigningKey{}, fmt.Errorf("the key %q is public: signing takes the private one", wire.ID)
	}
	k, err := newSigningKey(signer, wire.ID)
	if err != nil {
		return SigningKey{}, err
	}
	if wire.Algorithm != "" && wire.Algorithm != k.Algorithm() {
		return SigningKey{}, fmt.Errorf("the key %q cannot sign by its alg %q, but by %s", wire.ID, wire.Algorithm, k.Algorithm())
	}
	if wire.Use != "" && wire.Use != "sig" || wire.Uses != nil && !slices.Contains(wire.Uses, "sign") {
		return SigningKey{}, fmt.Errorf("the key %q is not for signing: its use must be \"sig\", its key_ops have \"sign\", or be missing", wire.ID)
	}
	k.public.revoked = wire.Revoked
	if k.public.from, k.public.until, err = wire.validity(); err != nil {
		return SigningKey{}, err
	}
	return k, nil
}

// ID returns the name of the key, the kid of what it signs.
func (k SigningKey) ID() string { return k.id }

// Algorithm returns what it signs by: "EdDSA", "ES256" or "ES384".
func (k SigningKey) Algorithm() string { return string(k.algorithm) }

// String returns the name of the key and never the key.
func (k SigningKey) String() string { return "key " + k.id }

// GoString is String: a key is not to be seen in a log.
func (k SigningKey) GoString() string { return k.String() }

// Usable says why the key must not sign at a time: it is revoked, not valid yet, or has expired.
func (k SigningKey) Usable(now time.Time) error {
	if reason := k.public.invalid(now); reason != "" {
		return fmt.Errorf("card: the signing key %q %s", k.id, reason)
	}
	return nil
}

// Within returns the key with a validity: from a time, to the second, until before another. The zero time is no bound.
func (k SigningKey) Within(from, until time.Time) SigningKey {
	k.public.from, k.public.until = from.Truncate(time.Second), until.Truncate(time.Second)
	return k
}

// Private returns the key as a JWK, which ParseSigningKey reads.
func (k SigningKey) Private() ([]byte, error) { return k.marshal(k.signer) }

// Public returns the public half as a JWK.
func (k SigningKey) Public() ([]byte, error) { return k.marshal(k.public.public) }

func (k SigningKey) marshal(key any) ([]byte, error) {
	text, err := (&jose.JSONWebKey{Key: key, KeyID: k.id, Algorithm: k.Algorithm(), Use: "sig"}).MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("card: the key %q cannot be written: %w", k.id, err)
	}
	text = bytes.TrimSuffix(text, []byte("}"))
	if from := k.public.from; !from.IsZero() {
		text = fmt.Appendf(text, `,"nbf":%d`, from.Unix())
	}
	if until := k.public.until; !until.IsZero() {
		text = fmt.Appendf(text, `,"exp":%d`, until.Unix())
	}
	if k.public.revoked {
		text = append(text, `,"revoked":true`...)
	}
	return append(text, '}'), nil
}

// PublicKeys returns the public halves of keys as a JWK Set, which ParseKeys reads.
func PublicKeys(keys ...SigningKey) ([]byte, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{make([]json.RawMessage, 0, len(keys))}
	for _, k := range keys {
		jwk, err := k.Public()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}

// Sign returns the card with signatures by the key; the rest of its text stays as it is. Signatures by the same kid are replaced, those by others
// kept. Signing the same card by the same key gives the same text: no algorithm takes chance.
//
// The first signature is over what Canonical returns, all of the card. Official libraries verify others: see SignatureForm. For each of their forms
// that differs a signature is added, so that a card has one to three: of 1.0 FormSDK, of earlier versions FormSDK03, of a card of both forms both.
// A verifier needs one that it finds right.
//
// The error says why a card cannot be signed, as that of Canonical does. Whether the card is valid is not looked at.
func Sign(text []byte, key SigningKey) ([]byte, error) {
	if key.signer == nil {
		return nil, errNoKey
	}
	c, err := readSignable(text)
	if err != nil {
		return nil, err
	}
	entries, err := c.otherSignatures(key.id)
	if err != nil {
		return nil, err
	}
	signed := map[string]bool{}
	for _, f := range formsToSign(c) {
		payload, _, err := c.payload(f)
		if err != nil {
			return nil, err
		}
		if signed[string(payload)] {
			continue
		}
		signed[string(payload)] = true
		entry, err := key.sign(payload)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return c.withSignatures(entries), nil
}

// formsToSign returns what is signed of a card: all of it first, and then what official libraries take.
func formsToSign(c *checker) []form {
	switch {
	case c.hybrid(): // clients of either version read it, whichever it declares
		return []form{formSpecification, formSDK, formSDK03}
	case c.version == V10:
		return []form{formSpecification, formSDK}
	default:
		return []form{formVerbatim, formSDK03}
	}
}

// otherSignatures returns the texts of the card's signatures by other keys than id.
func (c *checker) otherSignatures(id string) ([]string, error) {
	n := c.root.get("signatures")
	if n.kind != kindAbsent && n.kind != kindNull && n.kind != kindArray {
		return nil, errors.New("card: its signatures are no array: mend or remove them")
	}
	var others []string
	for i := range n.items {
		entry := &n.items[i]
		h, _ := readHeader(entry)
		if h != nil && h.text("kid") == id {
			continue
		}
		others = append(others, c.text[entry.start:entry.end])
	}
	return others, nil
}

// sign returns a signature over a payload, as an entry of signatures.
func (k SigningKey) sign(payload []byte) (string, error) {
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
		Type      string `json:"typ"`
	}{k.Algorithm(), k.id, "JOSE"})
	if err != nil {
		return "", fmt.Errorf("card: the header cannot be written: %w", err)
	}
	protected := base64.RawURLEncoding.EncodeToString(header)
	input := append([]byte(protected), '.')
	signature, err := k.signature(base64.RawURLEncoding.AppendEncode(input, payload))
	if err != nil {
		return "", fmt.Errorf("card: the key %q cannot sign: %w", k.id, err)
	}
	return fmt.Sprintf(`{"protected":"%s","signature":"%s"}`, protected, base64.RawURLEncoding.EncodeToString(signature)), nil
}

// signature signs by RFC 8037, 3.1 or RFC 7518, 3.4. ECDSA is that of RFC 6979, without chance: a card that is signed anew, for each request or on
// each replica, keeps its ETag.
func (k SigningKey) signature(input []byte) ([]byte, error) {
	if k.algorithm == jose.EdDSA {
		return k.signer.Sign(nil, input, crypto.Hash(0))
	}
	hash, size := crypto.SHA256, 32
	if k.public.public.(*ecdsa.PublicKey).Curve == elliptic.P384() {
		hash, size = crypto.SHA384, 48
	}
	digest := hash.New()
	digest.Write(input)
	der, err := k.signer.Sign(nil, digest.Sum(nil), hash)
	if err != nil {
		return nil, err
	}
	var point struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &point); err != nil {
		return nil, err
	}
	signature := make([]byte, 2*size)
	point.R.FillBytes(signature[:size])
	point.S.FillBytes(signature[size:])
	return signature, nil
}

// withSignatures returns the card's text with these entries as its signatures, laid out as the rest of it.
func (c *checker) withSignatures(entries []string) []byte {
	space := "" // before each member: a line break and the indentation, in a card that has lines
	if len(c.root.members) > 0 {
		space = c.text[c.root.start+1 : c.root.members[0].start]
	}
	open, between, end := "[", ",", "]"
	if strings.Contains(space, "\n") {
		indent := space[strings.LastIndexByte(space, '\n')+1:]
		open, between, end = "["+space+indent, ","+space+indent, space+"]"
	} else {
		space = ""
	}
	value := open + strings.Join(entries, between) + end
	if old := c.root.find("signatures"); old != nil {
		return []byte(c.text[:old.value.start] + value + c.text[old.value.end:])
	}
	colon, comma, at := ":", "", c.root.start+1
	if space != "" {
		colon = ": "
	}
	if n := len(c.root.members); n > 0 {
		comma, at = ",", c.root.members[n-1].value.end
	}
	return []byte(c.text[:at] + comma + space + `"signatures"` + colon + value + c.text[at:])
}
