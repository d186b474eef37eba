package audit

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, beside id.NotFound of entries.
var (
	// ErrMetadata is returned by Record for metadata that is not a JSON object; it is a defect of the caller.
	ErrMetadata = fault.New(fault.Internal, "audit_metadata", "the metadata of an audit entry must be a JSON object")
	// ErrNotCheckpoint is returned by ParseCheckpoint for what is no checkpoint.
	ErrNotCheckpoint = fault.New(fault.Invalid, "audit_not_checkpoint", "this is not a checkpoint of an audit trail")
	// ErrSignature is returned by Checkpoint.Verify.
	ErrSignature = fault.New(fault.Invalid, "audit_signature", "the checkpoint's signature is not that of the key")
	// ErrNoSigner is returned by a Service without a signer.
	ErrNoSigner = fault.New(fault.Unavailable, "audit_no_signer", "this server signs no checkpoints")
	// ErrAfter is returned for an export that is to begin beyond the end of the trail.
	ErrAfter = fault.New(fault.Invalid, "audit_after", "the trail has fewer entries").WithFields(fault.Field{Path: "after", Message: "is beyond the end of the trail"})
	// ErrNotExport is returned by VerifyExport for input that does not begin like an export.
	ErrNotExport = fault.New(fault.Invalid, "audit_not_export", "this is not an export of an audit trail")
)
