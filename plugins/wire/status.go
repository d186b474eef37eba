package wire

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bureau-agents/bureau/ports/fault"
)

// domain marks the errors that a plugin or a host made on purpose, in google.rpc.ErrorInfo.
const domain = "bureau"

// statusCodes says how each kind travels. More than one kind shares a code, so the kind itself travels as well.
var statusCodes = map[fault.Kind]codes.Code{
	fault.Internal:        codes.Internal,
	fault.Invalid:         codes.InvalidArgument,
	fault.Unauthenticated: codes.Unauthenticated,
	fault.PaymentRequired: codes.FailedPrecondition,
	fault.Forbidden:       codes.PermissionDenied,
	fault.NotFound:        codes.NotFound,
	fault.Conflict:        codes.Aborted,
	fault.TooLarge:        codes.ResourceExhausted,
	fault.RateLimited:     codes.ResourceExhausted,
	fault.Timeout:         codes.DeadlineExceeded,
	fault.Unavailable:     codes.Unavailable,
	fault.Unsupported:     codes.Unimplemented,
}

// ToStatus turns an error of a plugin into what travels. A *fault.Error keeps its kind, code, message, fields and RetryAfter; of
// any other error the message travels, as an internal one, for the operator's log.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	f, ok := fault.As(err)
	switch {
	case ok:
	case errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(context.DeadlineExceeded).Err()
	case errors.Is(err, context.Canceled):
		return status.FromContextError(context.Canceled).Err()
	default:
		f = fault.New(fault.Internal, "plugin_error", err.Error())
	}
	st := status.New(statusCodes[f.Kind], f.Message)
	info := &errdetails.ErrorInfo{
		Reason: f.Code, Domain: domain, Metadata: map[string]string{"kind": strconv.Itoa(int(f.Kind))},
	}
	bad := &errdetails.BadRequest{}
	for _, field := range f.Fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: field.Path, Description: field.Message,
		})
	}
	if full, err := st.WithDetails(info, bad, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)}); err == nil {
		st = full
	}
	return st.Err()
}

// FromStatus reverses ToStatus: it returns the *fault.Error that the other side made, context.DeadlineExceeded or
// context.Canceled, or the gRPC error itself when it came from the transport.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	var f *fault.Error
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			kind, convErr := strconv.ParseUint(info.GetMetadata()["kind"], 10, 8)
			if convErr != nil || kind > uint64(fault.Unsupported) {
				kind = uint64(fault.Internal)
			}
			f = fault.New(fault.Kind(kind), info.GetReason(), st.Message())
		}
	}
	if f == nil {
		switch st.Code() {
		case codes.DeadlineExceeded:
			return context.DeadlineExceeded
		case codes.Canceled:
			return context.Canceled
		}
		return err
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				f = f.WithFields(fault.Field{Path: v.GetField(), Message: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			f = f.WithRetry(max(0, d.GetRetryDelay().AsDuration()))
		}
	}
	return f
}
