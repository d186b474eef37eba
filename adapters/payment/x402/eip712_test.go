package x402

import (
	"encoding/hex"
	"math/big"
	"testing"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestVectors holds hashes and signatures to what others have published: the example of EIP-712, the constants of EIP-3009, and the
// domain of USDC on Ethereum.
func TestVectors(t *testing.T) {
	t.Parallel()
	// The example of EIP-712 is signed with the key keccak256("cow").
	cow := keccak([]byte("cow"))
	w := must(parseKey(hex.EncodeToString(cow[:])))
	mail := domain{"Ether Mail", "1", big.NewInt(1), must(parseAddress("0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"))}
	separator := mail.separator()
	message := hash(must(hex.DecodeString("c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e")))
	digest := mail.digest(message)
	signature := w.sign(digest)
	usdc := domain{"USD Coin", "2", big.NewInt(1), must(parseAddress("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"))}.separator()
	for _, c := range []struct{ what, got, want string }{
		{"keccak of nothing", hex.EncodeToString(sliceOf(keccak())), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"},
		{"address", w.address.String(), "0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826"},
		{"domain", hex.EncodeToString(separator[:]), "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"},
		{"digest", hex.EncodeToString(digest[:]), "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"},
		{
			"signature", hex.EncodeToString(signature), "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d" +
				"07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562" + "1c",
		},
		{"transfer's type", hex.EncodeToString(transferType[:]), "7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267"},
		{"state's selector", hex.EncodeToString(stateSelector[:4]), "e94a0102"},
		{"domain of USDC", hex.EncodeToString(usdc[:]), "06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
	if by, err := recoverSigner(digest, signature); err != nil || by != w.address {
		t.Errorf("the signature is of %s, %v", by, err)
	}
	signature[3] ^= 1
	if by, err := recoverSigner(digest, signature); err == nil && by == w.address {
		t.Error("a changed signature is as good")
	}
}

func sliceOf(h hash) []byte { return h[:] }

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"", "0x", "12", "0000000000000000000000000000000000000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", // the order of the group
		"gg00000000000000000000000000000000000000000000000000000000000001",
	} {
		if _, err := parseKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
	if w, err := parseKey("0x0000000000000000000000000000000000000000000000000000000000000001"); err != nil ||
		w.address.String() != "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf" {
		t.Errorf("the key 1 has the address %s, %v", w.address, err)
	}
	for _, bad := range []string{"", "0x12", "a0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "0xz0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"} {
		if _, err := parseAddress(bad); err == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}
