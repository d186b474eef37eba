package integration

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, beside id.NotFound of installations and publications, and account.ErrFlow.
var (
	// ErrNotFound is returned for an integration that this server does not know.
	ErrNotFound = fault.New(fault.NotFound, "integration_not_found", "no such integration")
	// ErrNotConfigured is returned for an integration without credentials; its message names the settings.
	ErrNotConfigured = fault.New(fault.Unavailable, "integration_not_configured", "the integration is not configured")
	// ErrDenied is returned when the person did not agree at the provider, or the provider refused.
	ErrDenied = fault.New(fault.Invalid, "integration_denied", "the provider did not grant access")
	// ErrExchange is returned for a code that the provider does not take.
	ErrExchange = fault.New(fault.Invalid, "integration_code_refused", "the provider refused the code; begin the installation again")
	// ErrWorkspaceTaken is returned when another tenant of the server has the workspace.
	ErrWorkspaceTaken = fault.New(fault.Conflict, "workspace_taken",
		"the workspace is connected to another tenant of this server; it must be uninstalled there first")
	// ErrUninstalled is returned for an installation that was removed.
	ErrUninstalled = fault.New(fault.Conflict, "installation_uninstalled", "the installation was removed; install the integration again")
	// ErrPublished is returned when the agent has a live publication in the installation.
	ErrPublished = fault.New(fault.Conflict, "publication_exists", "the agent is published in this workspace already")
	// ErrUnpublished is returned by whatever changes a publication that has ended.
	ErrUnpublished = fault.New(fault.Conflict, "publication_unpublished", "the publication has ended; make a new one")
	// ErrAgentArchived is returned when an archived agent is to be published.
	ErrAgentArchived = fault.New(fault.Conflict, "agent_archived", "the agent is archived")
	// ErrSignature is returned for a webhook that the provider has not signed, or not now.
	ErrSignature = fault.New(fault.Unauthenticated, "webhook_signature_invalid", "the signature of the webhook is missing, wrong or too old")
	// ErrRevoked is returned by providers for a token that they do not take any more.
	ErrRevoked = fault.New(fault.Forbidden, "integration_token_revoked", "the provider does not accept the token any more")
	// ErrRefused is returned by providers for what they will never do: an unknown channel, a missing permission, too long a text.
	ErrRefused = fault.New(fault.Invalid, "integration_refused", "the provider refused the request")
	// ErrRateLimited is returned by providers that want to be asked later; RetryAfter says when. What was asked has not happened.
	ErrRateLimited = fault.New(fault.RateLimited, "integration_rate_limited", "the provider asks for patience")
	// ErrUnreachable is returned by providers when no answer came, or one that says nothing. What was asked may have happened.
	ErrUnreachable = fault.New(fault.Unavailable, "integration_unreachable", "the provider cannot be reached")
)
