package wellknown

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The places of cards below an agent's base address.
const (
	Path       = "/.well-known/agent-card.json" // since A2A 0.3.0
	LegacyPath = "/.well-known/agent.json"      // before it
)

// The faults of fetching, whose messages are fit for a tenant. What ports/egress refuses keeps its own.
var (
	// ErrAddress: what was given is no address of the web.
	ErrAddress = fault.New(fault.Invalid, "card_address", "the address must begin with http:// or https:// and name a host, without a user's name")
	// ErrMissing: there is no card at any of the places; the message names them.
	ErrMissing = fault.New(fault.NotFound, "card_missing", "there is no agent card")
	// ErrRefused: the server wants a credential, or forbids it.
	ErrRefused = fault.New(fault.Forbidden, "card_refused", "the server does not show the agent card")
	// ErrUnreachable: no answer came, or one that may be better later.
	ErrUnreachable = fault.New(fault.Unavailable, "card_unreachable", "the agent card cannot be read")
	// ErrTooLarge: the card is longer than card.MaxSize.
	ErrTooLarge = fault.New(fault.TooLarge, "card_too_large", "the agent card is too large")
)

// DefaultTimeout is how long a Fetch may take, all its requests together.
const DefaultTimeout = 30 * time.Second

// maxRedirects is how many redirects of one request are followed.
const maxRedirects = 5

// Config of a Source; the zero value is a good one for addresses that are trusted.
type Config struct {
	Transport http.RoundTripper // nil is http.DefaultTransport, which reaches private addresses too
	Timeout   time.Duration     // of a Fetch; 0 is DefaultTimeout
	UserAgent string            // "" is "bureau"
}

// Source fetches cards. It is safe for concurrent use.
type Source struct {
	cfg    Config
	client *http.Client
}

// New returns a Source. It makes no request.
func New(cfg Config) *Source {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "bureau"
	}
	return &Source{cfg: cfg, client: &http.Client{Transport: cfg.Transport, CheckRedirect: redirect}}
}

func redirect(_ *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return ErrUnreachable.Withf("the agent card's address redirects more than %d times", maxRedirects)
	}
	return nil
}

// Fetched is a card as it was found.
type Fetched struct {
	URL         string        // where it is; Fetch of it goes straight there
	Text        []byte        // as it came; nil with NotModified
	ETag        string        // "" when the server names none
	MaxAge      time.Duration // how long it may be believed, by Cache-Control; -1 when that says nothing of it
	NotModified bool          // it is the card of the ETag that was given
	Legacy      bool          // it is at LegacyPath
}

// Fetch fetches a card. An address whose path ends in ".json" is taken for that of a card; any other for an agent's base, below which
// Path and then LegacyPath are tried, and then the address itself. A server that answers with something else than a JSON object, as those do
// that have a page for every address, has no card there. With an ETag that an earlier Fetch of the same URL returned, an unchanged card is
// not sent again.
func (s *Source) Fetch(ctx context.Context, address, etag string) (Fetched, error) {
	places, err := Places(address)
	if err != nil {
		return Fetched{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for _, place := range places {
		got, err := s.get(ctx, place, etag)
		if err == nil || !errors.Is(err, ErrMissing) {
			return got, err
		}
	}
	return Fetched{}, ErrMissing.Withf("there is no agent card at %s", strings.Join(places, ", "))
}

// Places are the addresses at which Fetch looks, in its order.
func Places(address string) ([]string, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, ErrAddress
	}
	u.Fragment, u.RawFragment = "", ""
	if strings.HasSuffix(u.Path, ".json") {
		return []string{u.String()}, nil
	}
	base := *u
	base.RawQuery, base.ForceQuery = "", false
	places := []string{base.JoinPath(Path).String(), base.JoinPath(LegacyPath).String()}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		places = append(places, u.String())
	}
	return places, nil
}

// get asks one place.
func (s *Source) get(ctx context.Context, place, etag string) (Fetched, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, http.NoBody)
	if err != nil {
		return Fetched{}, ErrAddress
	}
	req.Header.Set("Accept", "application/json, application/a2a+json;q=0.9, */*;q=0.1")
	req.Header.Set("User-Agent", s.cfg.UserAgent)
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return Fetched{}, unreachable(ctx, place, err)
	}
	defer resp.Body.Close()
	got := Fetched{URL: place, ETag: resp.Header.Get("ETag"), MaxAge: maxAge(resp.Header), Legacy: strings.HasSuffix(place, LegacyPath)}
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		got.NotModified = true
		if got.ETag == "" {
			got.ETag = etag
		}
		return got, nil
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return Fetched{}, ErrRefused.Withf("%s answers with status %d: a card must be readable without a credential", place, resp.StatusCode)
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode >= http.StatusInternalServerError:
		return Fetched{}, ErrUnreachable.Withf("%s answers with status %d", place, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return Fetched{}, ErrMissing.Withf("%s answers with status %d", place, resp.StatusCode)
	}
	got.Text, err = io.ReadAll(io.LimitReader(resp.Body, card.MaxSize+1))
	switch {
	case err != nil:
		return Fetched{}, unreachable(ctx, place, err)
	case len(got.Text) > card.MaxSize:
		return Fetched{}, ErrTooLarge.Withf("%s is longer than %d bytes", place, card.MaxSize)
	case !object(got.Text):
		return Fetched{}, ErrMissing.Withf("%s answers with something else than a JSON object", place)
	}
	return got, nil
}

// object reports whether text begins like a JSON object.
func object(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("{"))
}

// unreachable keeps the faults of the guarded client and of this package, whose messages are fit to be told.
func unreachable(ctx context.Context, place string, err error) error {
	if known, ok := fault.As(err); ok && known.Kind != fault.Internal {
		return known
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ErrUnreachable.Withf("%s does not answer in time", place).Wrap(err)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return ErrUnreachable.Withf("%s cannot be reached", place).Wrap(err)
}

// maxAge reads Cache-Control (RFC 9111, 5.2.2), less the Age that the card already has.
func maxAge(h http.Header) time.Duration {
	const unsaid, longest = time.Duration(-1), 365 * 24 * 3600
	out := unsaid
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return 0
			case "max-age":
				seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 63)
				if err != nil {
					return 0 // RFC 9111, 4.2.1: what is said wrongly is stale
				}
				out = time.Duration(min(seconds, longest)) * time.Second
			}
		}
	}
	if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil && out > 0 {
		out = max(0, out-time.Duration(age)*time.Second)
	}
	return out
}
