// Package remote keeps agents that run elsewhere and speak A2A, registered by the addresses of their cards.
//
// A card is fetched, judged by core/card and stored, and only what was judged is ever believed: a change that a later fetch finds is
// judged before anybody is called by it, noted in the history, in the audit trail and in a notice. Each remote agent is stood for by an
// ordinary agent of the tenant, so that sessions, delegation, policies and freezing need know nothing of it.
package remote
