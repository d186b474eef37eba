// Package stripe pays over Stripe.
//
// A payment is a PaymentIntent that is made and confirmed in one request, off session, with the operator's own saved payment method:
// the operator's customer and payment method are charged for what an agent buys. A payee that is a connected account, by its id
// ("acct_...") or by a name that Config.Accounts maps to one, gets the money by a destination charge. Every other payee is named in the
// intent's metadata, and the money arrives in the operator's Stripe balance, from which people pay out: Stripe cannot pay strangers.
//
// The charge's key is Stripe's idempotency key. Stripe keeps those for at least 24 hours, so a charge that was never seen is tried again
// for an hour only. What became of a charge is looked up in the customer's list of intents, which is consistent, by the key in the
// metadata: the search index of Stripe lags behind.
//
// Amounts are exact: what the currency's smallest unit cannot express is refused. Currencies are ISO codes; USDC is none, and nothing
// is converted.
package stripe
