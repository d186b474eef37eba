package telemetry

import "github.com/bureau-agents/bureau/ports/fault"

var (
	// ErrInvalid is returned for a report that cannot be right as it is; its fields say what is wrong and where.
	ErrInvalid = fault.New(fault.Invalid, "invalid_report", "the report is not valid")
	// ErrTraceUnknown is returned for a trace of which nothing is stored.
	ErrTraceUnknown = fault.New(fault.NotFound, "trace_not_found", "nothing belongs to this trace")
)
