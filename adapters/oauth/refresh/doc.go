// Package refresh keeps access tokens for MCP servers alive: it spends refresh tokens at token endpoints, and tries tokens on the
// servers that they are for. Both addresses are a tenant's choice, so the clients that it is given must be guarded ones.
package refresh
