// Package account owns tenants, plans and API keys, and decides who a caller is.
//
// Invariant: a request without a valid key and permission does nothing. Its Scope is an argument of every repository call in
// core.
package account
