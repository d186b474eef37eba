package account

import (
	"slices"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Permission is what a key may do: "agents:read", "chat", "admin".
type Permission string

// The permissions. Admin includes every other one.
const (
	Admin          Permission = "admin"
	AgentsRead     Permission = "agents:read"
	AgentsWrite    Permission = "agents:write"
	Chat           Permission = "chat" // sessions and what is said in them
	KnowledgeRead  Permission = "knowledge:read"
	KnowledgeWrite Permission = "knowledge:write"
	Logs           Permission = "logs"
	Skills         Permission = "skills"
	SwarmsRead     Permission = "swarms:read"
	SwarmsWrite    Permission = "swarms:write"
	TelemetryRead  Permission = "telemetry:read"
	TelemetryWrite Permission = "telemetry:write"
	WalletsRead    Permission = "wallets:read"
	WalletsWrite   Permission = "wallets:write"
	PoliciesRead   Permission = "policies:read"
	PoliciesWrite  Permission = "policies:write"
	Approvals      Permission = "approvals"
	AuditRead      Permission = "audit:read"

	EnvironmentsRead  Permission = "environments:read"
	EnvironmentsWrite Permission = "environments:write"
	FilesRead         Permission = "files:read"
	FilesWrite        Permission = "files:write"
	VaultsRead        Permission = "vaults:read"
	VaultsWrite       Permission = "vaults:write"
	MemoryRead        Permission = "memory:read"
	MemoryWrite       Permission = "memory:write"
	ModelsRead        Permission = "models:read"
	ModelsWrite       Permission = "models:write"
	IntegrationsRead  Permission = "integrations:read"
	IntegrationsWrite Permission = "integrations:write"
	EvalsRead         Permission = "evals:read"
	EvalsWrite        Permission = "evals:write"
)

// Operator guards what concerns the whole server and not one tenant: tenants, plugins, metrics. No key carries it by name: the
// admin keys of the operator's own tenant, the one made at the first start, have it.
const Operator Permission = "operator"

// AllPermissions lists what a key may be given, in the order of the documentation.
func AllPermissions() []Permission {
	return []Permission{
		Admin, AgentsRead, AgentsWrite, Chat, KnowledgeRead, KnowledgeWrite, Logs, Skills, SwarmsRead, SwarmsWrite,
		TelemetryRead, TelemetryWrite, WalletsRead, WalletsWrite, PoliciesRead, PoliciesWrite, Approvals, AuditRead,
		EnvironmentsRead, EnvironmentsWrite, FilesRead, FilesWrite, VaultsRead, VaultsWrite, MemoryRead, MemoryWrite,
		ModelsRead, ModelsWrite, IntegrationsRead, IntegrationsWrite, EvalsRead, EvalsWrite,
	}
}

// ErrForbidden is returned when the caller's key lacks a permission.
var ErrForbidden = fault.New(fault.Forbidden, "permission_denied", "the API key may not do this")

// Scope says on whose behalf a call is made. Every repository call takes one, so that a forgotten tenant filter does not
// compile. A Scope is a value; services never widen it.
type Scope struct {
	Tenant      id.Tenant
	Key         id.APIKey // the key that the caller showed; zero when the server acts by itself
	Plan        Plan
	Permissions []Permission
	Operator    bool // the tenant is the operator's own, see Tenant.Operator
}

// System returns the scope in which the server itself acts for a tenant: background work and agents' own turns.
func System(tenant id.Tenant) Scope {
	return Scope{Tenant: tenant, Plan: PlanUnlimited, Permissions: []Permission{Admin}}
}

// Can reports whether the scope has p, or Admin. For the permission Operator it needs Admin in the operator's tenant.
func (s Scope) Can(p Permission) bool {
	if p == Operator {
		return s.Operator && slices.Contains(s.Permissions, Admin)
	}
	return slices.Contains(s.Permissions, p) || slices.Contains(s.Permissions, Admin)
}

// Require returns ErrForbidden naming p unless the scope has it.
func (s Scope) Require(p Permission) error {
	if s.Can(p) {
		return nil
	}
	return ErrForbidden.Withf("the API key lacks the scope %q", p)
}

// Actor names who acts, for the audit trail: the key's id, or "system".
func (s Scope) Actor() string {
	if s.Key.IsZero() {
		return "system"
	}
	return s.Key.String()
}
