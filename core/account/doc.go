// Package account owns tenants, plans and API keys, and decides who a caller is.
//
// Invariant: a request without a valid key and permission does nothing. Its Scope is an argument of every repository call in
// core.
//
// Service.Authenticate turns a secret into a Scope. What it learns is cached for CacheTTL, by the hash of the secret; a revocation
// drops the entry here at once and in the other processes over the bus.
//
// The package also keeps the records behind the Idempotency-Key of requests (see Service.BeginIdempotent): which request of which
// key was answered how.
package account
