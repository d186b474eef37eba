// Package egress is the guarded HTTP client: the only way in which an address that a tenant, a model or a plugin names is ever
// reached.
//
// It connects to public addresses only. The address is checked after DNS, at the moment of the connection, so a name that
// resolves differently the second time gains nothing; it is checked again for every redirect. Private addresses are reached
// only where the operator named them.
package egress
