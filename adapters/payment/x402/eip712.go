package x402

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"
)

// hash is a Keccak-256.
type hash [32]byte

func keccak(parts ...[]byte) (out hash) {
	h := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		_, _ = h.Write(p) // a hash takes everything
	}
	h.Sum(out[:0])
	return out
}

// address is an account of an EVM network.
type address [20]byte

// String returns the address in lower-case hexadecimal.
func (a address) String() string { return "0x" + hex.EncodeToString(a[:]) }

func parseAddress(s string) (a address, err error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(strings.ToLower(s), "0x"))
	if err != nil || len(raw) != len(a) || !strings.HasPrefix(strings.ToLower(s), "0x") {
		return a, fmt.Errorf("%q is no address of an EVM network", s)
	}
	return address(raw), nil
}

// wallet is a key that signs.
type wallet struct {
	key     *secp256k1.PrivateKey
	address address
}

func parseKey(s string) (wallet, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(s), "0x"))
	if err != nil || len(raw) != 32 {
		return wallet{}, errors.New("the private key must be 32 bytes in hexadecimal") // and is not repeated
	}
	var n secp256k1.ModNScalar
	if n.SetByteSlice(raw) || n.IsZero() {
		return wallet{}, errors.New("the private key is out of range")
	}
	key := secp256k1.NewPrivateKey(&n)
	return wallet{key, addressOf(key.PubKey())}, nil
}

func addressOf(pub *secp256k1.PublicKey) address {
	h := keccak(pub.SerializeUncompressed()[1:])
	return address(h[12:])
}

// sign returns r, s and v, as contracts take them. The same digest has the same signature (RFC 6979).
func (w wallet) sign(digest hash) []byte {
	compact := ecdsa.SignCompact(w.key, digest[:], false) // v first
	return append(compact[1:], compact[0])
}

// recover returns whose signature it is.
func recoverSigner(digest hash, signature []byte) (address, error) {
	if len(signature) != 65 {
		return address{}, errors.New("a signature has 65 bytes")
	}
	pub, _, err := ecdsa.RecoverCompact(append([]byte{signature[64]}, signature[:64]...), digest[:])
	if err != nil {
		return address{}, err
	}
	return addressOf(pub), nil
}

// word writes a number in 32 bytes.
func word(n *big.Int) []byte { return n.FillBytes(make([]byte, 32)) }

// pad writes an address in 32 bytes.
func pad(a address) []byte { return append(make([]byte, 12), a[:]...) }

// domain is an EIP-712 domain: which contract on which network a signature is for.
type domain struct {
	name, version string
	chain         *big.Int
	contract      address
}

var (
	domainType   = keccak([]byte("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"))
	transferType = keccak([]byte("TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter," +
		"uint256 validBefore,bytes32 nonce)"))
	stateSelector = keccak([]byte("authorizationState(address,bytes32)"))
)

func (d domain) separator() hash {
	name, version := keccak([]byte(d.name)), keccak([]byte(d.version))
	return keccak(domainType[:], name[:], version[:], word(d.chain), pad(d.contract))
}

// digest is what is signed of a struct.
func (d domain) digest(message hash) hash {
	s := d.separator()
	return keccak([]byte{0x19, 0x01}, s[:], message[:])
}

// authorization lets whoever has it take a token once, between two times.
type authorization struct {
	from, to            address
	value               *big.Int
	validAfter, expires int64 // Unix seconds
	nonce               hash
}

func (a authorization) hash() hash {
	return keccak(transferType[:], pad(a.from), pad(a.to), word(a.value), word(big.NewInt(a.validAfter)), word(big.NewInt(a.expires)), a.nonce[:])
}
