// Package forward is the HTTP proxy through which programs that agents choose reach the network, and the only way in which they do. It
// connects to what the rules of egress let it.
package forward
