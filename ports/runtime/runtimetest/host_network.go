package runtimetest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// web serves a page on loopback.
func web(t *testing.T, text string) (server *httptest.Server, address string) {
	t.Helper()
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) }))
	t.Cleanup(server.Close)
	return server, server.Listener.Addr().String()
}

func testHostPublic(t *testing.T, cfg HostConfig) {
	open, address := web(t, "open")
	closed, _ := web(t, "closed")
	r := &room{cfg.Allowing(t, address), t, cfg}
	spec := r.spec("public", 1, "get", open.URL, "get", closed.URL, "dial", address, "out", "done", "wait")
	spec.Network.Mode = runtime.NetworkPublic
	r.start(spec)
	texts := r.printed("public", "done")
	if !slices.Contains(texts, "get: 200 open") || slices.Contains(texts, "get: 200 closed") || !slices.Contains(texts, "dial: refused") {
		t.Errorf("it printed %q", texts)
	}
}

func testHostLimited(t *testing.T, cfg HostConfig) {
	open, address := web(t, "open")
	other, second := web(t, "other")
	r := &room{cfg.Allowing(t, address, second), t, cfg}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	spec := r.spec("limited", 1, "get", open.URL, "out", "done", "wait")
	spec.Network = runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{"example.com"}}
	r.start(spec)
	if texts := r.printed("limited", "done"); slices.Contains(texts, "get: 200 open") {
		t.Errorf("it printed %q", texts)
	}
	spec = r.spec("limited", 2, "get", open.URL, "get", other.URL, "out", "done again", "wait")
	spec.Network = runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{host}}
	r.start(spec)
	if texts := r.printed("limited", "done again"); !slices.Contains(texts, "get: 200 open") || !slices.Contains(texts, "get: 200 other") {
		t.Errorf("it printed %q", texts)
	}
}
