package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// outside listens where gateways can connect to: on this machine's side of their network. The engine of the tests runs on this machine.
func outside(t *testing.T, h *Host, text string) (host, address string) {
	t.Helper()
	if err := h.bridge(within(t)); err != nil {
		t.Fatal(err)
	}
	got, err := h.engine.NetworkInspect(within(t), bridge, client.NetworkInspectOptions{})
	if err != nil || len(got.Network.IPAM.Config) == 0 {
		t.Fatalf("the network of gateways: %+v (%v)", got, err)
	}
	host = got.Network.IPAM.Config[0].Gateway.String()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return host, l.Addr().String()
}

// get asks for an address as a program in an instance does, by the proxy that its environment names.
func get(t *testing.T, h *Host, id, address string, tunnel bool) (int, string) {
	t.Helper()
	transport := &http.Transport{
		Proxy:       http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy"}),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return h.Dial(ctx, id) },
	}
	defer transport.CloseIdleConnections()
	if tunnel {
		conn, err := h.Dial(within(t), id)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\nGET / HTTP/1.0\r\n\r\n", address, address)
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), " 200 Connection established") {
			return http.StatusForbidden, string(text)
		}
		return http.StatusOK, string(text[strings.LastIndexByte(string(text), '\n')+1:])
	}
	resp, err := (&http.Client{Transport: transport}).Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	plain := open(t)
	host, address := outside(t, plain, "hello from outside")
	_, other := outside(t, plain, "hello from another")
	h := open(t, func(c *Config) { c.Server, c.EgressAllow = plain.cfg.Server, []string{address} })
	start := func(h *Host, id string, generation int64, n runtime.Network) {
		t.Helper()
		s := spec(t, id, generation, "dial", address, "dial", host+":22", "env", "HTTPS_PROXY", "out", "ready", "wait")
		s.Port, s.Network = 3128, n
		if _, err := h.Start(within(t), s); err != nil {
			t.Fatal(err)
		}
		texts := printed(t, h, id, "ready")
		if texts = texts[len(texts)-4:]; !slices.Equal(texts[:2], []string{"dial: refused", "dial: refused"}) || texts[2] != "HTTPS_PROXY=http://127.0.0.1:3128" {
			t.Errorf("%s: without the proxy: %q", id, texts)
		}
	}
	want := func(id, address string, text string) {
		t.Helper()
		for _, tunnel := range []bool{false, true} {
			status, got := get(t, h, id, address, tunnel)
			if ok := status == http.StatusOK && got == text; ok != (text != "") {
				t.Errorf("%s gets %d %q of %s (CONNECT %t), want %q", id, status, got, address, tunnel, text)
			}
		}
	}
	start(h, "listed", 1, runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{host}})
	want("listed", address, "hello from outside")
	want("listed", other, "") // a private address that the operator has not opened
	want("listed", "127.0.0.1:1", "")

	start(h, "unlisted", 1, runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{"example.com"}})
	want("unlisted", address, "")

	start(h, "public", 1, runtime.Network{Mode: runtime.NetworkPublic})
	want("public", address, "hello from outside")
	want("public", other, "")

	// Its gateway ends with it, and comes back with it.
	if err := h.Stop(within(t), "public", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := h.engine.ContainerInspect(within(t), h.gatewayName("public"), client.ContainerInspectOptions{}); err == nil {
		t.Error("a stopped instance has a gateway")
	}
	start(plain, "public", 2, runtime.Network{Mode: runtime.NetworkPublic})
	want("public", address, "") // nobody has opened it now
	s := spec(t, "public", 3, "env", "HTTPS_PROXY", "out", "alone", "wait")
	if _, err := h.Start(within(t), s); err != nil {
		t.Fatal(err)
	}
	if texts := printed(t, h, "public", "alone"); texts[len(texts)-2] != "HTTPS_PROXY is not set" {
		t.Errorf("without a network: %q", texts)
	}
	if _, err := h.engine.ContainerInspect(within(t), h.gatewayName("public"), client.ContainerInspectOptions{}); err == nil {
		t.Error("an instance without a network has a gateway")
	}
}
