// Package egresstest helps to test code that goes out through package egress: against servers of the test itself, and with
// names that resolve as the test says.
package egresstest

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/egress"
)

// Client returns a client that reaches the given servers and otherwise public addresses only.
func Client(t *testing.T, servers ...*httptest.Server) *egress.Client {
	t.Helper()
	var allow []string
	for _, s := range servers {
		allow = append(allow, s.Listener.Addr().String())
	}
	c, err := egress.New(egress.Config{Allow: allow})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// Resolver returns a resolver that knows the given names only. It asks a DNS server inside the test; nothing leaves the process.
func Resolver(t *testing.T, names map[string][]netip.Addr) *net.Resolver {
	t.Helper()
	return &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go serve(server, names)
			return client, nil
		},
	}
}

// serve answers DNS questions (RFC 1035) in the framing of TCP, which is what the resolver speaks to a connection that is not a
// packet connection: two bytes of length before each message.
func serve(c net.Conn, names map[string][]netip.Addr) {
	defer c.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		answer := reply(query, names)
		if answer == nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// reply answers one question of type A or AAAA; nil when the query cannot be read.
func reply(query []byte, names map[string][]netip.Addr) []byte {
	const header = 12
	if len(query) < header {
		return nil
	}
	var labels []string
	i := header
	for i < len(query) && query[i] != 0 {
		n := int(query[i])
		if i+1+n > len(query) {
			return nil
		}
		labels = append(labels, string(query[i+1:i+1+n]))
		i += 1 + n
	}
	if i+5 > len(query) {
		return nil
	}
	question := query[header : i+5]
	kind := binary.BigEndian.Uint16(query[i+1:])
	addrs, known := names[strings.ToLower(strings.Join(labels, "."))]

	var records []byte
	count := uint16(0)
	for _, a := range addrs {
		// A mapped address can stand in an AAAA record only.
		if is4 := a.Is4(); is4 != (kind == 1) || kind != 1 && kind != 28 {
			continue
		}
		records = append(records, 0xc0, header) // the question's name
		records = binary.BigEndian.AppendUint16(records, kind)
		records = append(records, 0, 1, 0, 0, 0, 0) // class IN, no time to live
		records = binary.BigEndian.AppendUint16(records, uint16(a.BitLen()/8))
		records = append(records, a.AsSlice()...)
		count++
	}
	out := append([]byte(nil), query[:2]...)
	code := byte(0)
	if !known {
		code = 3 // no such name
	}
	out = append(out, 0x85, 0x80|code, 0, 1)
	out = binary.BigEndian.AppendUint16(out, count)
	out = append(out, 0, 0, 0, 0)
	return append(append(out, question...), records...)
}
