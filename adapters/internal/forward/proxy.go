package forward

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Proxy connects programs to what their network reaches: requests for http:// addresses are passed on, CONNECT gives a connection to
// anything else. It is safe for concurrent use.
type Proxy struct {
	client *egress.Client
	pass   *httputil.ReverseProxy
	errors *log.Logger
}

// New makes the proxy of a network, which opens nothing. Allow names the private addresses that it reaches, as egress.Config.Allow does.
func New(allow []string, n runtime.Network, l *slog.Logger) (*Proxy, error) {
	cfg := egress.Config{Allow: allow}
	if n.Mode == runtime.NetworkLimited {
		cfg.Domains = append([]string{}, n.Hosts...) // an empty list is none
	}
	client, err := egress.New(cfg)
	if err != nil {
		return nil, err
	}
	p := &Proxy{client: client, errors: slog.NewLogLogger(l.Handler(), slog.LevelDebug)}
	p.pass = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.Out.URL.Host
			r.Out.Header.Del("Proxy-Authorization")
			r.Out.Header.Del("Proxy-Connection")
		},
		Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return client.Dial(ctx, addr) },
			DisableCompression:  true,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, ExpectContinueTimeout: time.Second,
		},
		ErrorLog:     p.errors,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { refuse(w, err) },
	}
	return p, nil
}

// refuse says why a connection is not made, in words that the rules of egress have made fit for tenants.
func refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusBadGateway, "the address cannot be reached"
	if f, ok := fault.As(err); ok {
		text = f.Message
		if f.Kind == fault.Forbidden {
			status = http.StatusForbidden
		}
	}
	w.Header().Set("X-Bureau-Egress", "refused")
	http.Error(w, "the sandbox's proxy: "+text, status)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		p.pass.ServeHTTP(w, r)
	default:
		http.Error(w, "the sandbox's proxy takes CONNECT and http:// addresses", http.StatusBadRequest)
	}
}

// connect joins the program's connection with one to the host it asks for.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) {
	there, err := p.client.Dial(r.Context(), r.Host)
	if err != nil {
		refuse(w, err)
		return
	}
	defer there.Close() //nolint:errcheck // there is nobody to tell
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()                              //nolint:errcheck // there is nobody to tell
	stop := context.AfterFunc(r.Context(), func() { // the call has ended
		_ = here.Close()
		_ = there.Close()
	})
	defer stop()
	if _, err := io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var wg sync.WaitGroup
	join := func(to net.Conn, from io.Reader) {
		_, err := io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			_ = half.CloseWrite() // the other direction may go on
			return
		}
		_ = here.Close()
		_ = there.Close()
	}
	wg.Go(func() { join(there, buffered) })
	wg.Go(func() { join(here, there) })
	wg.Wait()
}

// Serve answers programs that connect to l, until the server is closed.
func (p *Proxy) Serve(l net.Listener) *http.Server {
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: time.Minute, ErrorLog: p.errors,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go func() {
		_ = server.Serve(netutil.LimitListener(l, maxConnections))
		cancel() // connections that were handed out are not the server's to close
	}()
	return server
}

// maxConnections is how many programs may have at a time: each takes descriptors of whoever serves.
const maxConnections = 128
