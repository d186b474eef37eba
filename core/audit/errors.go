package audit

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, beside id.NotFound of entries.
var (
	// ErrMetadata is returned by Record for metadata that is not a JSON object; it is a defect of the caller.
	ErrMetadata = fault.New(fault.Internal, "audit_metadata", "the metadata of an audit entry must be a JSON object")
	// ErrNotExport is returned by VerifyExport for input that does not begin like an export.
	ErrNotExport = fault.New(fault.Invalid, "audit_not_export", "this is not an export of an audit trail")
)
