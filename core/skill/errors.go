package skill

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this context.
var (
	// ErrNotFound is returned for a plugin, a skill or a rule that nobody installed, or that was removed.
	ErrNotFound = fault.New(fault.NotFound, "plugin_not_found", "no such plugin")
	// ErrSkillNotFound is returned for a skill that the catalogue does not offer: unknown, a rule, or disabled.
	ErrSkillNotFound = fault.New(fault.NotFound, "skill_not_found", "no such skill")
	// ErrNotInstalled is returned when a skill is taken from an agent that does not have it.
	ErrNotInstalled = fault.New(fault.NotFound, "installed_skill_not_found", "the agent does not have this skill")
	// ErrDisabled is returned when a disabled plugin is asked for.
	ErrDisabled = fault.New(fault.Unavailable, "plugin_disabled", "the plugin is disabled")
	// ErrChecksum is returned when the bytes of a binary do not have the digest that was promised.
	ErrChecksum = fault.New(fault.Invalid, "plugin_checksum_mismatch", "the file does not have the SHA-256 that was given")
	// ErrTooLarge is returned for a binary over Config.MaxBytes.
	ErrTooLarge = fault.New(fault.TooLarge, "plugin_too_large", "the plugin is too large")
	// ErrRejected is returned when a binary does not start, speaks another protocol, or says impossible things about itself.
	ErrRejected = fault.New(fault.Invalid, "plugin_rejected", "the file is not a working plugin")
	// ErrKind is returned when a plugin is installed under the name of one of the other kind.
	ErrKind = fault.New(fault.Conflict, "plugin_kind_mismatch", "a plugin of another kind has this name")
	// ErrModified is returned when a manifest's signature does not match, or the stored binary is not the one that was signed.
	ErrModified = fault.New(fault.Forbidden, "plugin_modified", "the plugin was changed after it was signed")
	// ErrLimit is returned when an agent has as many skills as its tenant's plan allows.
	ErrLimit = fault.New(fault.Forbidden, "plan_limit", "the plan allows no more skills on this agent")
	// ErrBuild is returned when shipped plugins cannot be built or installed on this machine.
	ErrBuild = fault.New(fault.Unavailable, "plugin_build_failed", "the shipped plugins cannot be built")
	// ErrExists is returned by a repository that holds a plugin of this name already.
	ErrExists = fault.New(fault.Conflict, "plugin_exists", "a plugin of this name exists")

	// ErrBundle is returned for an upload that is no skill; its Fields name the file.
	ErrBundle = fault.New(fault.Invalid, "skill_invalid", "the files are not a skill")
	// ErrHandle is returned when the tenant or the server has a skill of this handle.
	ErrHandle = fault.New(fault.Conflict, "skill_exists", "a skill of this id exists")
	// ErrVersionNotFound is returned for a version that a skill does not have, or has no more.
	ErrVersionNotFound = fault.New(fault.NotFound, "skill_version_not_found", "the skill has no such version")
	// ErrFileNotFound is returned for a file that a skill does not have.
	ErrFileNotFound = fault.New(fault.NotFound, "skill_file_not_found", "the skill has no such file")
	// ErrBuiltin is returned when a skill that comes with the server is to be changed.
	ErrBuiltin = fault.New(fault.Forbidden, "skill_builtin", "the skill comes with the server and cannot be changed or deleted")
)

// The errors of skills that agents hand in.
var (
	// ErrSubmission is returned for structured skills that break a rule; its Fields name each place.
	ErrSubmission = fault.New(fault.Invalid, "skill_invalid", "a skill is not valid")
	// ErrVersionTaken is returned when another content was handed in under the version before: versions never change.
	ErrVersionTaken = fault.New(fault.Conflict, "skill_version_exists", "the version exists with another content")
	// ErrIngestRate is returned when an agent hands in more skills than it may in an hour.
	ErrIngestRate = fault.New(fault.RateLimited, "skill_rate_limited", "too many skills in an hour")
	// ErrNotLinked is returned when a caller who is not linked to the agent decides about its skills.
	ErrNotLinked = fault.New(fault.Forbidden, "agent_not_linked", "only users who are linked to the agent may review its skills")
	// ErrReviewed is returned when what is to be decided about is not what it was when the reviewer looked.
	ErrReviewed = fault.New(fault.Conflict, "skill_changed", "the skill has changed meanwhile")
	// ErrMalicious is returned when a version is approved that the security scan calls malicious.
	ErrMalicious = fault.New(fault.Forbidden, "skill_malicious", "the security scan calls the skill malicious")
	// ErrAcceptRisk is returned when an administrator approves such a version without saying so.
	ErrAcceptRisk = fault.New(fault.Conflict, "skill_risk_not_accepted",
		"the security scan calls the skill malicious; approve it with accept_risk and a reason")
	// ErrQuarantined is returned when what is in quarantine is to be handed in, uploaded, approved, installed or used.
	ErrQuarantined = fault.New(fault.Conflict, "skill_quarantined", "the skill is in quarantine")
	// ErrNotQuarantined is returned when a hold is to be released that is not there.
	ErrNotQuarantined = fault.New(fault.NotFound, "skill_not_quarantined", "the skill is not in quarantine")
)
