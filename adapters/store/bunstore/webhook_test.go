package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/webhook/webhooktest"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		webhooktest.Run(t, webhooktest.Config{New: func(*testing.T) webhooktest.Stores {
			return webhooktest.Stores{Webhooks: s.Webhooks(), Notices: s.Notices(), Deliveries: s.WebhookDeliveries(), TX: s}
		}})
	})
}
