package file

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, in the vocabulary of the Managed Agents API where it has one. A file that does not exist in the caller's
// tenant, or that went with its session, is id.NotFound[id.FileKind].
var (
	// ErrInvalid is returned for a file whose description breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "file_invalid", "the file is not valid")
	// ErrTooLarge is returned for bytes beyond Config.MaxSize.
	ErrTooLarge = fault.New(fault.TooLarge, "file_too_large", "the file is over the limit")
	// ErrQuota is returned when the tenant's files would have more bytes than Config.Quota.
	ErrQuota = fault.New(fault.Invalid, "storage_quota_exceeded", "the tenant's files would be over their quota; delete some")
	// ErrExpired is returned for a file after its ExpiresAt, until it is removed.
	ErrExpired = fault.New(fault.NotFound, "file_expired", "the file has expired")
	// ErrNotDownloadable is returned to callers who ask for the content of a file that its uploader closed to them.
	ErrNotDownloadable = fault.New(fault.Forbidden, "file_not_downloadable", "the file was uploaded for agents only and cannot be downloaded")
	// ErrCorrupt is returned in place of bytes that are not those that were stored.
	ErrCorrupt = fault.New(fault.Internal, "file_corrupt", "the stored bytes are damaged")
	// ErrExists is returned by a store for an id that is taken.
	ErrExists = fault.New(fault.Conflict, "file_exists", "a file with this id exists")
)
