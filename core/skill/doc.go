// Package skill owns what agents can be given to do, of three kinds, and which agent has which of it: plugins, the registry of binaries that the
// operator trusts; instructions, a SKILL.md with its files; and structured skills, which agents hand in and people review. The Market offers
// them all.
//
// A plugin is a program of its own that serves one skill (a tool for agents) or one rule (a judge for policies). Its binary lies
// in ports/blob under its digest; what it is and may reach stands in a manifest that the operator's key has signed. Plugins
// belong to the server, not to a tenant: every tenant's agents may install an enabled skill, and only an administrator changes
// the registry.
//
// Invariants:
//   - only a binary whose digest stands in a signed manifest is ever run;
//   - an agent runs the digest that was current when the skill was installed on it, until it is installed again; only instructions that come with
//     the server follow its version;
//   - what an agent has handed in is offered to others once somebody who is linked to the agent has approved exactly that content;
//   - a disabled or removed plugin is not called any more, by any process of the server.
package skill
