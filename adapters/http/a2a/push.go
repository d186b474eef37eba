package a2a

import (
	"context"

	"github.com/a2aproject/a2a-go/v2/a2a"

	tasks "github.com/bureau-agents/bureau/core/a2a"
)

// pushed returns what a message with a push notification configuration does once it has begun a task; nil for none.
func (h *handler) pushed(_ context.Context, c *a2a.PushConfig) (func(context.Context, tasks.Task) error, error) {
	if c == nil {
		return nil, nil
	}
	return nil, a2a.ErrPushNotificationNotSupported
}

// GetTaskPushConfig implements a2asrv.RequestHandler.
func (h *handler) GetTaskPushConfig(context.Context, *a2a.GetTaskPushConfigRequest) (*a2a.PushConfig, error) {
	return nil, a2a.ErrPushNotificationNotSupported
}

// ListTaskPushConfigs implements a2asrv.RequestHandler.
func (h *handler) ListTaskPushConfigs(context.Context, *a2a.ListTaskPushConfigRequest) (*a2a.ListTaskPushConfigResponse, error) {
	return nil, a2a.ErrPushNotificationNotSupported
}

// CreateTaskPushConfig implements a2asrv.RequestHandler.
func (h *handler) CreateTaskPushConfig(context.Context, *a2a.PushConfig) (*a2a.PushConfig, error) {
	return nil, a2a.ErrPushNotificationNotSupported
}

// DeleteTaskPushConfig implements a2asrv.RequestHandler.
func (h *handler) DeleteTaskPushConfig(context.Context, *a2a.DeleteTaskPushConfigRequest) error {
	return a2a.ErrPushNotificationNotSupported
}
