package a2a

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A task that is missing, another peer's or another agent's is id.NotFound[id.TurnKind].
var (
	// ErrInvalid is returned for a request that cannot be right.
	ErrInvalid = fault.New(fault.Invalid, "invalid_a2a", "the request is not valid")
	// ErrContentType is returned for parts that no agent reads, and when the caller accepts nothing that agents write.
	ErrContentType = fault.New(fault.Invalid, "a2a_content_type", "agents do not read this type of content")
	// ErrRepeated is returned when the id of a message is used again for another one.
	ErrRepeated = fault.New(fault.Conflict, "a2a_message_repeated", "another message was sent under this messageId")
	// ErrTaskOver is returned for a message to a task that has ended, and when somebody subscribes to one.
	ErrTaskOver = fault.New(fault.Conflict, "a2a_task_over", "the task has ended; go on in its context with a message that names no task")
	// ErrTaskBusy is returned for a message to a task that waits for nothing.
	ErrTaskBusy = fault.New(fault.Conflict, "a2a_task_busy", "the task does not wait for anything; send the message without its taskId")
	// ErrNotCancelable is returned when a task that has ended is to be canceled.
	ErrNotCancelable = fault.New(fault.Conflict, "a2a_task_not_cancelable", "the task has ended already")
)
