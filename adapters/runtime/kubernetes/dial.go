package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// refusalTakes is the least that is waited for the word that nothing listens.
const refusalTakes = 20 * time.Millisecond

// Dial implements runtime.Host through the pod's portforward subresource, which reaches what listens on the pod's loopback, over a
// WebSocket, or SPDY where the API has none; or, with Config.DialPods, by the pod's address. The API forwards before the node has
// connected: Dial waits a moment for the word that nothing listens, and one that comes later is the error of the first Read.
func (h *Host) Dial(ctx context.Context, id string) (net.Conn, error) {
	p, err := h.running(ctx, id)
	if err != nil {
		return nil, err
	}
	port := p.Annotations[portAnnotation]
	if h.cfg.DialPods {
		return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(p.Status.PodIP, port))
	}
	type forwarded struct {
		httpstream.Connection

		err error
	}
	done := make(chan forwarded, 1)
	go func() {
		conn, err := h.forward(p)
		done <- forwarded{conn, err}
	}()
	select {
	case f := <-done:
		if f.err != nil {
			return nil, errCluster.Wrap(f.err)
		}
		return open(ctx, f.Connection, port)
	case <-ctx.Done():
		go func() { // client-go's dialers take no context
			if f := <-done; f.err == nil {
				_ = f.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// forward connects to the pod's portforward subresource.
func (h *Host) forward(p *corev1.Pod) (httpstream.Connection, error) {
	target := h.api.core.Post().Namespace(p.Namespace).Resource(pods).Name(p.Name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(h.api.config)
	if err != nil {
		return nil, err
	}
	second := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	first, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, h.api.config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(first, second, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		_ = conn.Close()
		return nil, fmt.Errorf("the cluster forwards ports by %q", protocol)
	}
	return conn, nil
}

// open makes a forwarded connection of the two streams that it consists of: its data, and why it failed.
func open(ctx context.Context, over httpstream.Connection, port string) (net.Conn, error) {
	began := time.Now()
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, port)
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	faults, err := over.CreateStream(headers)
	if err != nil {
		_ = over.Close()
		return nil, errCluster.Wrap(err)
	}
	_ = faults.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := over.CreateStream(headers)
	if err != nil {
		_ = over.Close()
		return nil, errCluster.Wrap(err)
	}
	here, there := net.Pipe()
	c := &conn{Conn: here, over: over, port: port, failed: make(chan struct{})}
	go func() {
		text, _ := io.ReadAll(io.LimitReader(faults, 4096))
		if len(text) > 0 {
			c.err = errors.New(string(text))
		}
		close(c.failed)
	}()
	// The node answers the first stream about when it connects.
	timer := time.NewTimer(max(refusalTakes, 2*time.Since(began)))
	defer timer.Stop()
	select {
	case <-c.failed:
		if c.err != nil {
			_ = c.Close()
			return nil, errCluster.Withf("nothing answers in the agent's pod").Wrap(c.err)
		}
	case <-timer.C:
	case <-ctx.Done():
		_ = c.Close()
		return nil, ctx.Err()
	}
	go func() {
		_, _ = io.Copy(there, data)
		_ = there.Close()
	}()
	go func() {
		_, _ = io.Copy(data, there)
		_ = data.Close()
	}()
	return c, nil
}

// conn is a forwarded connection. The pipe gives it deadlines.
type conn struct {
	net.Conn

	over   httpstream.Connection
	port   string
	failed chan struct{}
	err    error // set when failed is closed
	once   sync.Once
}

// Read returns why the connection failed instead of its end.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if errors.Is(err, io.EOF) {
		select {
		case <-c.failed:
			if c.err != nil {
				return n, errCluster.Withf("the connection to the agent's pod has ended").Wrap(c.err)
			}
		default:
		}
	}
	return n, err
}

// Close ends both streams.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { _ = c.over.Close() })
	return err
}

func (c *conn) RemoteAddr() net.Addr {
	n, _ := strconv.Atoi(c.port) // ours is always a number
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n}
}
