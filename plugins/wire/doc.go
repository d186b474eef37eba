// Package wire is what both sides of the process border share: the handshake, the versions of the protocol, and the conversion
// between its messages and the types of ports/tool and ports/rule. Conversions from a plugin check what it said; what cannot be
// right is ErrAnswer and never reaches the domain.
package wire
