// Package bus carries hints between the processes of one server: "there is news about X, go and read it".
//
// Delivery is best-effort and at most once. Nobody may rely on a message: what matters is in the store, and receivers look
// there by themselves now and then.
package bus

import "context"

// Bus is safe for concurrent use.
type Bus interface {
	// Publish sends a payload of at most MaxPayload bytes to everyone who is subscribed to topic, in this process and in the
	// others. It does not wait for receivers. A payload over MaxPayload is an error, and so is a topic that is not 1 to 256
	// printable ASCII characters without spaces.
	Publish(ctx context.Context, topic string, payload []byte) error
	// Subscribe calls fn for each message of topic until the returned function is called or ctx ends. Calls of one subscription
	// come one at a time, in the order of arrival; fn must return quickly, and may lose the oldest of what waits when it does
	// not. After stop returns, fn is not called again; so stop waits for a call that has begun, and fn must not call it.
	Subscribe(ctx context.Context, topic string, fn func(payload []byte)) (stop func(), err error)
}

// MaxPayload is what every implementation carries in one message; Postgres limits NOTIFY to 8000 bytes.
const MaxPayload = 7000
