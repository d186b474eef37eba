package httpx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Accounts is what a face needs of core/account.
type Accounts interface {
	Authenticate(ctx context.Context, secret string) (account.Scope, error)
	BeginIdempotent(ctx context.Context, sc account.Scope, req account.IdempotentRequest) (*account.Ticket, *account.Answer, error)
	EndIdempotent(ctx context.Context, sc account.Scope, t *account.Ticket, a account.Answer, secret bool) error
	AbandonIdempotent(ctx context.Context, sc account.Scope, t *account.Ticket) error
}

var _ Accounts = (*account.Service)(nil)

// Settings are what every face of one server has in common.
type Settings struct {
	Accounts Accounts              // required
	Clock    clock.Clock           // required
	Logger   *slog.Logger          // required
	Metrics  prometheus.Registerer // nil measures nothing
	// Version of the server, for the documents; "" is "dev".
	Version string
	// PublicURL is the address that callers see, without a slash at the end; "" makes the documents' server relative.
	PublicURL string
	// RateScale multiplies every rate limit; 0 switches them off.
	RateScale float64
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Requests counts the requests of keys over all faces that are given it; nil: the face counts its own. Faces that count by
	// address, or slide, always count their own.
	Requests *Limiter
	// MaxJSON bounds JSON bodies in bytes, 0 is 16 MiB; MaxUpload every other body, 0 is 100 MiB.
	MaxJSON, MaxUpload int64
}

// Default sizes of bodies.
const (
	defaultMaxJSON   = 16 << 20
	defaultMaxUpload = 100 << 20
)

// Rate is the limit of a face.
type Rate struct {
	// PerMinute returns how many requests the caller may make in a minute; account.Unlimited or less is no limit. nil takes what the
	// plan of the caller allows. The scope is zero for callers without a key, who are counted by address on routes with OptionalKey;
	// other public routes are not limited.
	PerMinute func(account.Scope) int
	ByAddress bool // counts by address of the peer instead of by key
	Sliding   bool // any 60 seconds, instead of windows that begin with a request
}

// Config describes a face.
type Config struct {
	Settings
	Name        string // in metrics and logs: "native"
	Title       string // of the OpenAPI document
	Description string // of the OpenAPI document, in Markdown
	Prefix      string // of every route, not shown in the document's paths: "/compat/valar"; "" is none
	Envelope    Envelope
	Statuses    []int // of errors that any operation may answer because of Envelope.Status, for the document: 422
	Rate        Rate
	// Public lists the routes that need no key, as "METHOD /path" without the prefix. Nothing else is public.
	Public []string
	Tags   []Tag // of the document, in its order
}

// Tag names a group of operations in the document.
type Tag struct{ Name, Description string }

// Face is one HTTP API. Register everything, call Build, then serve. Serving is safe for concurrent use, registering is not.
type Face struct {
	cfg       Config
	mux       *http.ServeMux
	api       *api
	public    map[string]bool
	yields    map[string]string     // last segments of operations that yield, by their patterns
	forms     map[string]*operation // operations with errors of their own form, by their routes without the method
	limits    *Limiter
	strangers *Limiter
	metrics   *metrics
	errs      []error
	errSchema *huma.Schema
	docOnce   sync.Once
	docJSON   []byte
	docPage   []byte
	docCSP    string
}

// strangersPerMinute is how many requests without a valid key an address may make.
const strangersPerMinute = 1000

// New returns an empty face, or an error that names what cfg lacks.
func New(cfg Config) (*Face, error) {
	switch {
	case cfg.Accounts == nil:
		return nil, errors.New("httpx: Settings.Accounts is required")
	case cfg.Clock == nil:
		return nil, errors.New("httpx: Settings.Clock is required")
	case cfg.Logger == nil:
		return nil, errors.New("httpx: Settings.Logger is required")
	case cfg.Name == "":
		return nil, errors.New("httpx: Config.Name is required")
	case cfg.Envelope.Encode == nil:
		return nil, errors.New("httpx: Config.Envelope.Encode is required")
	case cfg.RateScale < 0:
		return nil, errors.New("httpx: Settings.RateScale must not be negative")
	}
	if cfg.Envelope.Status == nil {
		cfg.Envelope.Status = StatusOf
	}
	cfg.Version = cmp.Or(cfg.Version, "dev")
	cfg.MaxJSON = cmp.Or(cfg.MaxJSON, defaultMaxJSON)
	cfg.MaxUpload = cmp.Or(cfg.MaxUpload, defaultMaxUpload)
	if cfg.Rate.PerMinute == nil {
		cfg.Rate.PerMinute = func(sc account.Scope) int {
			if sc.Tenant.IsZero() {
				return strangersPerMinute
			}
			return sc.Plan.Limits().RequestsPerMinute
		}
	}
	m, err := newMetrics(cfg.Metrics, cfg.Name)
	if err != nil {
		return nil, err
	}
	f := &Face{
		cfg: cfg, mux: http.NewServeMux(), public: make(map[string]bool), yields: make(map[string]string),
		forms: make(map[string]*operation), metrics: m,
		limits:    cfg.Requests,
		strangers: NewLimiter(cfg.Clock, false),
	}
	if f.limits == nil || cfg.Rate.Sliding || cfg.Rate.ByAddress {
		f.limits = NewLimiter(cfg.Clock, cfg.Rate.Sliding)
	}
	for _, route := range cfg.Public {
		f.public[route] = false // becomes true when it is registered
	}
	f.api = newAPI(f)
	f.mux.HandleFunc("/", f.unrouted)
	return f, nil
}

// Build reports what was registered wrongly: operations without a permission, public routes that do not exist, schemas that cannot be
// made.
func (f *Face) Build() error {
	for route, seen := range f.public {
		if !seen {
			f.errs = append(f.errs, fmt.Errorf("httpx: public route %q is not registered", route))
		}
	}
	return errors.Join(f.errs...)
}

// ServeHTTP implements http.Handler.
func (f *Face) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := newCall(f, w, r)
	defer c.end()
	// ServeMux would redirect a path that is not clean; an API has one address for a thing.
	if r.Method == http.MethodConnect || r.RequestURI == "*" || !cleanPath(r.URL.Path) {
		c.fail(errNoRoute)
		return
	}
	f.mux.ServeHTTP(c, r)
}

func cleanPath(p string) bool {
	if p == "" || p[0] != '/' || !validText(p) {
		return false
	}
	if !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return true
	}
	cleaned := path.Clean(p)
	return p == cleaned || p == cleaned+"/" && cleaned != "/"
}

// The answers of the router.
var (
	errNoRoute  = fault.New(fault.NotFound, "route_not_found", "there is nothing at this address")
	errNoMethod = fault.New(fault.Invalid, "method_not_allowed", "this address does not know that method")
	errPanicked = fault.New(fault.Internal, "panic", "a handler panicked")
)

// unrouted answers what no operation matches. Go's ServeMux would answer in plain text.
func (f *Face) unrouted(w http.ResponseWriter, r *http.Request) {
	c := callOf(w)
	var allow []string
	nearest := ""
	for _, m := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		_, pattern := f.mux.Handler(probe)
		_, route, ok := strings.Cut(pattern, " ")
		if last, yields := f.yields[pattern]; !ok || yields && last != path.Base(r.URL.Path) {
			continue
		}
		// /things/special is a resource of its own although GET /things/{id} takes that address, too.
		switch depth := strings.Count(route, "{") - strings.Count(nearest, "{"); {
		case nearest == "" || depth < 0:
			nearest, allow = route, []string{m}
		case route == nearest:
			allow = append(allow, m)
		}
	}
	if len(allow) == 0 {
		if o := f.above(r.URL.Path); o != nil {
			c.unserved(o, errNoRoute)
			return
		}
		c.fail(errNoRoute)
		return
	}
	if slices.Contains(allow, http.MethodGet) {
		allow = append(allow, http.MethodHead)
	}
	c.Header().Set("Allow", strings.Join(allow, ", "))
	if o := f.forms[nearest]; o != nil {
		c.unserved(o, errNoMethod)
		return
	}
	c.fail(errNoMethod)
}

// above returns the operation with headers of its own below whose address a path is; nil for none.
func (f *Face) above(address string) *operation {
	for address = path.Dir(address); address != "/"; address = path.Dir(address) {
		if o := f.forms[address]; o != nil && o.Headers != nil {
			return o
		}
	}
	return nil
}

// unserved answers what is not for o, but at or below its address, as o answers errors. Headers of its own depend on who calls: callers are found out
// and counted as if the request were for o, but none has to send a key.
func (c *call) unserved(o *operation, err error) {
	if o.Headers != nil {
		c.op = o
		if !o.OptionalKey && credential(c.r) == "" {
			err = c.stranger(err)
		} else if refused := c.admit(); refused != nil {
			err = refused
		}
	}
	e, status := c.announce(err)
	o.Fail(c, c.r.WithContext(&c.ctx), status, e)
}

// end closes a request: it answers for a panic, sends a status that no body followed, and counts.
func (c *call) end() {
	if v := recover(); v != nil {
		if v == http.ErrAbortHandler { //nolint:errorlint // the sentinel is panicked as it is
			panic(v)
		}
		c.face.cfg.Logger.ErrorContext(&c.ctx, "panic in a handler", slog.String("request_id", c.id), slog.String("face", c.face.cfg.Name),
			slog.String("method", c.r.Method), slog.String("route", c.route()), slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		c.discard()
		if c.wrote {
			panic(http.ErrAbortHandler) // part of an answer is out: the connection must show that it is not whole
		}
		c.status, c.forced = 0, 0
		c.fail(errPanicked)
	}
	c.flushStatus()
	took := c.face.cfg.Clock.Now().Sub(c.start)
	c.face.metrics.observe(c.op, c.status, took)
	if log := c.face.cfg.Logger; log.Enabled(&c.ctx, slog.LevelDebug) {
		log.DebugContext(&c.ctx, "request", slog.String("request_id", c.id), slog.String("face", c.face.cfg.Name),
			slog.String("method", c.r.Method), slog.String("route", c.route()), slog.Int("status", c.status),
			slog.String("tenant_id", c.scope.Tenant.String()), slog.String("api_key_id", c.scope.Key.String()), slog.Duration("took", took))
	}
}
