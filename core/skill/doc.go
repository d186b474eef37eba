// Package skill owns plugins: the registry of binaries that the operator trusts, and which agent has which of them.
//
// A plugin is a program of its own that serves one skill (a tool for agents) or one rule (a judge for policies). Its binary lies
// in ports/blob under its digest; what it is and may reach stands in a manifest that the operator's key has signed. Plugins
// belong to the server, not to a tenant: every tenant's agents may install an enabled skill, and only an administrator changes
// the registry.
//
// Invariants:
//   - only a binary whose digest stands in a signed manifest is ever run;
//   - an agent runs the digest that was current when the skill was installed on it, until it is installed again;
//   - a disabled or removed plugin is not called any more, by any process of the server.
package skill
