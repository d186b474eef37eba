// Package host runs plugins: it is the server's side of the process border, and the only one that knows how processes talk.
//
// A plugin's process is started at its first use from a read-only copy that is named by its digest and hashed again each time;
// it gets almost nothing of the server's environment, a memory limit and a private directory; it speaks gRPC over a unix socket
// with certificates made for this one start. It is stopped when idle, when it ignores deadlines, and when the server ends,
// however that happens. When it crashes, the calls that it was answering fail with tool.ErrUnavailable or rule.ErrUnavailable and
// the next call starts it again, later each time that it crashes soon after.
package host
