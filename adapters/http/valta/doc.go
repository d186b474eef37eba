// Package valta is a compatibility face under /compat/valta: agents with a wallet and a policy each, runs, approvals, the audit trail
// and credits, in camel case, with ids spelled ag_, run_, tx_ and ae_, pages by number, and money as JSON numbers.
//
// It translates. Every rule stands in core and is reachable under /v1 too, so that what is done here is seen there and the other way
// round. What the two see differently:
//
//   - An agent has one policy here. It is the oldest of those that hold for the agent alone; others may be made natively, hold beside
//     it, and come to light once it is deleted. POST replaces what the face knows of a policy, and keeps limits and rules that only the
//     native API knows.
//   - A refused payment is an answer; a refused transfer is an error, as is everything that a frozen agent is asked for.
//   - Amounts are in USDC, the currency of wallets when nobody names one.
//   - An archived agent is inactive.
package valta
