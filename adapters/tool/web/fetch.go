package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/bureau-agents/bureau/adapters/internal/htmlpage"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of fetching; their messages are for the model.
var (
	errAddress = fault.New(fault.Invalid, "web_address", "the address cannot be fetched")
	errDomain  = fault.New(fault.Forbidden, "web_domain", "the agent may not fetch from this domain")
	errAnswer  = fault.New(fault.Unavailable, "web_answer", "the address answered with an error")
	errMedia   = fault.New(fault.Unsupported, "web_media_type", "what the address holds cannot be read as text")
)

// Config of a Fetcher; the zero value is the default.
type Config struct {
	// EgressAllow lists private addresses that may be reached; see egress.Config.Allow.
	EgressAllow []string
	// MaxBody is how many bytes of a page are read; 0 is 5 MiB.
	MaxBody int64
	// Timeout bounds a fetch with its redirects; 0 is 30 s.
	Timeout time.Duration
}

// Fetcher implements sandbox.Web. It is safe for concurrent use.
type Fetcher struct {
	client *egress.Client
	most   int64
}

var _ sandbox.Web = (*Fetcher)(nil)

// New returns a Fetcher, or an error for an address to allow that is none.
func New(cfg Config) (*Fetcher, error) {
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = 5 << 20
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 30 * time.Second
	}
	c, err := egress.New(egress.Config{
		Allow: cfg.EgressAllow, MaxBody: -1, Timeout: cfg.Timeout, UserAgent: "Mozilla/5.0 (compatible; bureau; web_fetch)",
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	return &Fetcher{c, cfg.MaxBody}, nil
}

// Fetch implements sandbox.Web.
func (f *Fetcher) Fetch(ctx context.Context, req sandbox.FetchRequest) (sandbox.Page, error) {
	u, err := url.Parse(req.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return sandbox.Page{}, errAddress.Withf("url must be an address that begins with https:// or http://")
	}
	if u.User != nil {
		return sandbox.Page{}, errAddress.Withf("url must not hold a user name or a password")
	}
	if err := admits(req, u); err != nil {
		return sandbox.Page{}, err
	}
	client := *f.client.HTTPClient()
	guard := client.CheckRedirect
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if err := admits(req, r.URL); err != nil {
			return err
		}
		return guard(r, via)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return sandbox.Page{}, errAddress.Withf("url is not an address")
	}
	r.Header.Set("Accept", "text/html, text/markdown;q=0.9, text/plain;q=0.9, application/json;q=0.8, */*;q=0.5")
	resp, err := client.Do(r)
	if err != nil {
		return sandbox.Page{}, failure(ctx, u, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return sandbox.Page{}, errAnswer.Withf("%s answered %s", resp.Request.URL.Host, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, f.most+1))
	if err != nil {
		return sandbox.Page{}, failure(ctx, u, err)
	}
	page := sandbox.Page{URL: resp.Request.URL.String()}
	if int64(len(body)) > f.most {
		body, page.Truncated = body[:f.most], true
	}
	return page, read(&page, resp.Header.Get("Content-Type"), body, resp.Request.URL)
}

// failure makes an error of the client one that the model may see.
func failure(ctx context.Context, u *url.URL, err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() && ctx.Err() == nil {
		return errAnswer.Withf("%s did not answer in time", u.Host)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errAnswer.Withf("%s could not be read", u.Host).Wrap(err)
}

// admits says whether an agent may fetch an address.
func admits(req sandbox.FetchRequest, u *url.URL) error {
	for _, b := range req.Blocked {
		if within(b, u) {
			return errDomain.Withf("the agent may not fetch from %s: it is among its blocked_domains", u.Host)
		}
	}
	if req.Allowed == nil {
		return nil
	}
	for _, a := range req.Allowed {
		if within(a, u) {
			return nil
		}
	}
	return errDomain.Withf("the agent may not fetch from %s: it is not among its allowed_domains", u.Host)
}

// within reports whether an address lies in a domain or one of its subdomains, and below the path that may follow it.
func within(entry string, u *url.URL) bool {
	entry = strings.ToLower(strings.TrimSpace(entry))
	entry = strings.TrimPrefix(strings.TrimPrefix(entry, "https://"), "http://")
	domain, below, hasPath := strings.Cut(entry, "/")
	domain = spelled(strings.TrimPrefix(strings.TrimPrefix(domain, "*"), "."))
	host := spelled(u.Hostname())
	if domain == "" || host != domain && !strings.HasSuffix(host, "."+domain) {
		if domain != strings.ToLower(u.Host) { // an entry may name a port
			return false
		}
	}
	below = strings.Trim(below, "/")
	if !hasPath || below == "" {
		return true
	}
	at := strings.ToLower(strings.TrimPrefix(path.Clean("/"+u.Path), "/"))
	return at == below || strings.HasPrefix(at, below+"/")
}

// spelled returns the name of a host as it is looked up: in wide letters or in Unicode it would be another to compare, and the same one
// to connect to.
func spelled(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// read makes text of what an address held.
func read(page *sandbox.Page, contentType string, body []byte, at *url.URL) error {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media == "" {
		media, _, _ = mime.ParseMediaType(http.DetectContentType(body)) // always one
		contentType = ""
	}
	page.MediaType = media
	switch {
	case media == "text/html", media == "application/xhtml+xml":
		return readHTML(page, contentType, body, at)
	case strings.HasPrefix(media, "text/"), media == "application/json", media == "application/xml", media == "application/javascript",
		media == "application/yaml", media == "application/x-yaml", strings.HasSuffix(media, "+json"), strings.HasSuffix(media, "+xml"):
		page.Text = htmlpage.Decode(contentType, body)
		return nil
	case media == "application/octet-stream" && utf8.Valid(body) && bytes.IndexByte(body, 0) < 0:
		page.Text = string(body)
		return nil
	}
	return errMedia.Withf("%s holds %s of %d bytes, which cannot be read as text; download it with a program in bash",
		at.Host, media, len(body))
}

func readHTML(page *sandbox.Page, contentType string, body []byte, at *url.URL) error {
	var err error
	page.Title, page.Text, err = htmlpage.Markdown(htmlpage.Decode(contentType, body), at.Scheme+"://"+at.Host)
	if err != nil {
		return errMedia.Withf("%s holds HTML that cannot be read", at.Host).Wrap(err)
	}
	return nil
}
