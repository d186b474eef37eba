// Package x402 pays for HTTP requests by the x402 protocol: a server answers 402 with what it wants, and the request is sent again
// with a signed authorization to take it. Versions 1 and 2 of the protocol are spoken, with the scheme "exact" on EVM networks: an
// EIP-3009 TransferWithAuthorization of a token, signed by EIP-712 with the operator's key. No transaction is sent from here; the server,
// or its facilitator, takes the money.
//
// Only tokens that the operator has configured are paid with, each on its network: what the server says of a token's decimals or
// currency counts for nothing. The payee that policies see is the host of the request; the receiving address, network and token are
// in the act's arguments, for rules.
//
// The authorization's nonce is made of the charge's key and its times of the charge's first try, so that it is the same one after a
// crash, byte for byte. A token accepts a nonce once: sending the request again can fetch what was paid for, and cannot pay twice.
//
// A charge has succeeded when the server says by its settlement header that it took the money, or delivers without saying. Everything
// else leaves it open, a refusal too, because the server holds the authorization and may use it until it expires. Until then the
// request may be sent again. Afterwards only the network knows: with a JSON-RPC endpoint for it (Config.RPC), the token is asked at a
// finalized block whether the nonce was used. If so, the charge has succeeded; if not, and that block is later than the authorization's
// expiry, it never will. Without an endpoint the charge stays open, with its money held, until a person resolves it.
package x402
