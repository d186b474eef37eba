// Package stripetest is a Stripe with books of its own for tests: it keeps intents by idempotency key, declines, loses answers before
// and after charging, holds requests while a test does something else, and signs events.
package stripetest
