package x402

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
)

// The headers of version 2, and of version 1.
const (
	headerRequired   = "Payment-Required"
	headerSignature  = "Payment-Signature"
	headerResponse   = "Payment-Response"
	headerSignature1 = "X-Payment"
	headerResponse1  = "X-Payment-Response"
)

// requiredWire is what a server wants, in both versions.
type requiredWire struct {
	Version  int               `json:"x402Version"`
	Resource json.RawMessage   `json:"resource,omitempty"`
	Accepts  []json.RawMessage `json:"accepts"`
}

// offerWire is one way to pay.
type offerWire struct {
	Scheme      string `json:"scheme"`
	Network     string `json:"network"`
	Amount      string `json:"amount"`            // version 2
	MaxAmount   string `json:"maxAmountRequired"` // version 1
	Asset       string `json:"asset"`
	PayTo       string `json:"payTo"`
	MaxTimeout  int64  `json:"maxTimeoutSeconds"`
	Description string `json:"description"` // version 1
	Extra       struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"extra"`
}

// value returns the amount in the token's atomic units; nil when it is none.
func (o offerWire) value(version int) *big.Int {
	text := o.Amount
	if version == 1 {
		text = o.MaxAmount
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || n.Sign() <= 0 || n.BitLen() > 256 || text[0] == '+' {
		return nil
	}
	return n
}

// networks are the names of version 1. Version 2 has CAIP-2 ids, "eip155:8453".
var networks = map[string]int64{
	"base": 8453, "base-sepolia": 84532, "avalanche": 43114, "avalanche-fuji": 43113, "polygon": 137, "polygon-amoy": 80002, "sei": 1329,
	"sei-testnet": 1328, "iotex": 4689, "peaq": 3338,
}

// chainOf returns the EVM network that a name of either version means, 0 for none.
func chainOf(network string) int64 {
	if rest, ok := strings.CutPrefix(network, "eip155:"); ok {
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	return networks[network]
}

type authorizationWire struct {
	From        string `json:"from"`
	To          string `json:"to"`
	Value       string `json:"value"`
	ValidAfter  string `json:"validAfter"`
	ValidBefore string `json:"validBefore"`
	Nonce       string `json:"nonce"`
}

type payloadWire struct {
	Signature     string            `json:"signature"`
	Authorization authorizationWire `json:"authorization"`
}

// paymentWire is the payment, in version 1 with scheme and network, in version 2 with the offer that is accepted.
type paymentWire struct {
	Version  int             `json:"x402Version"`
	Scheme   string          `json:"scheme,omitempty"`
	Network  string          `json:"network,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Accepted json.RawMessage `json:"accepted,omitempty"`
	Payload  payloadWire     `json:"payload"`
}

// settlementWire is what a server says of the settlement.
type settlementWire struct {
	Success     bool   `json:"success"`
	Transaction string `json:"transaction"`
	ErrorReason string `json:"errorReason"`
}

// readRequired reads what a 402 asks for; false when it is not of this protocol.
func readRequired(h http.Header, body []byte) (requiredWire, bool) {
	var w requiredWire
	if text := h.Get(headerRequired); text != "" {
		if decode64(text, &w) && w.Version == 2 && len(w.Accepts) > 0 {
			return w, true
		}
	}
	w = requiredWire{}
	if json.Unmarshal(body, &w) == nil && w.Version == 1 && len(w.Accepts) > 0 {
		return w, true
	}
	return requiredWire{}, false
}

// readSettlement reads what an answer says of the settlement; false when it says nothing.
func readSettlement(h http.Header) (settlementWire, bool) {
	for _, name := range []string{headerResponse, headerResponse1} {
		var w settlementWire
		if text := h.Get(name); text != "" && decode64(text, &w) {
			return w, true
		}
	}
	return settlementWire{}, false
}

func decode64(text string, v any) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		if raw, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil {
			return false
		}
	}
	return json.Unmarshal(raw, v) == nil
}
