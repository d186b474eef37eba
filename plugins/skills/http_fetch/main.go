// Command http_fetch is the skill with which agents read web pages: GET and HEAD of public addresses, with the readable text of
// HTML pages taken out of their markup.
//
// It reaches the network through sdk.HTTPClient alone, so private addresses are refused, also behind names and redirects.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/ports/fault"
)

func main() { sdk.Serve(httpFetch()) }

// The sizes of what is read and of what is answered, in bytes.
const (
	maxRead       = 8 << 20
	defaultAnswer = 100_000
	maxAnswer     = 800_000 // JSON may need more than a byte for one; a result holds a mebibyte
)

// input is what the model fills in.
type input struct {
	URL      string `json:"url" jsonschema:"format=uri,example=https://example.com/" jsonschema_description:"the address of the page, with http:// or https://"`
	Method   string `json:"method,omitempty" jsonschema:"enum=GET,enum=HEAD,default=GET" jsonschema_description:"GET reads the page, HEAD only its headers"`
	Format   string `json:"format,omitempty" jsonschema:"enum=text,enum=raw,default=text" jsonschema_description:"text takes the readable text out of HTML, raw leaves it as it is"`
	MaxBytes int    `json:"max_bytes,omitempty" jsonschema:"minimum=1,maximum=800000,default=100000" jsonschema_description:"how much of the text to answer with, at most"`
}

// output is what the model reads.
type output struct {
	Status      int    `json:"status"`
	URL         string `json:"url"` // after redirects
	ContentType string `json:"content_type,omitempty"`
	Length      int64  `json:"content_length,omitempty"` // HEAD: as announced
	Title       string `json:"title,omitempty"`
	Text        string `json:"text,omitempty"`
	Truncated   bool   `json:"truncated,omitempty"`
}

func httpFetch() sdk.Plugin {
	return sdk.Skill(sdk.SkillInfo{
		Name:    "http_fetch",
		Version: "1.0.0",
		Description: "Fetches a web page or a text document from a public URL and returns its readable text. Use it to read, open, " +
			"download or look up an address on the web.",
		Idempotent: true,
		Domains:    []string{"*"},
	}, fetch)
}

func fetch(ctx context.Context, in input) (output, error) {
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Method != http.MethodGet && in.Method != http.MethodHead {
		return output{}, fmt.Errorf("method must be GET or HEAD, not %q", in.Method)
	}
	if in.Format != "" && in.Format != "text" && in.Format != "raw" {
		return output{}, fmt.Errorf("format must be text or raw, not %q", in.Format)
	}
	if in.MaxBytes < 0 || in.MaxBytes > maxAnswer {
		return output{}, fmt.Errorf("max_bytes must lie between 1 and %d", maxAnswer)
	}
	if in.MaxBytes == 0 {
		in.MaxBytes = defaultAnswer
	}
	u, err := url.Parse(strings.TrimSpace(in.URL))
	if err != nil || u.Host == "" {
		return output{}, fmt.Errorf("%q is not the address of a page; it must begin with http:// or https://", in.URL)
	}
	req, err := http.NewRequestWithContext(ctx, in.Method, u.String(), nil)
	if err != nil {
		return output{}, err
	}
	req.Header.Set("Accept", "text/html, text/plain, application/json, application/xml;q=0.9, text/*;q=0.9, */*;q=0.1")
	resp, err := sdk.HTTPClient(ctx).Do(req)
	if err != nil {
		return output{}, reason(err)
	}
	defer resp.Body.Close()
	out := output{Status: resp.StatusCode, URL: resp.Request.URL.String(), ContentType: resp.Header.Get("Content-Type")}
	if in.Method == http.MethodHead {
		out.Length = max(0, resp.ContentLength)
		return out, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRead+1))
	if err != nil {
		return output{}, reason(err)
	}
	if len(body) > maxRead {
		body, out.Truncated = body[:maxRead], true
	}
	if err := read(body, in, &out); err != nil {
		return output{}, err
	}
	return out, nil
}

// read puts the text of a body into out.
func read(body []byte, in input, out *output) error {
	kind := out.ContentType
	if kind == "" {
		kind = http.DetectContentType(body)
	}
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "application/octet-stream"
	}
	if !textual(media, body) {
		return fmt.Errorf("%s is %s, which is not text", out.URL, media)
	}
	if len(body) > 0 {
		decoded, err := charset.NewReader(bytes.NewReader(body), kind)
		if err != nil {
			return fmt.Errorf("the text of %s cannot be decoded: %w", out.URL, err)
		}
		if body, err = io.ReadAll(decoded); err != nil {
			return fmt.Errorf("the text of %s cannot be decoded: %w", out.URL, err)
		}
	}
	text := string(body)
	if in.Format != "raw" && (media == "text/html" || media == "application/xhtml+xml") {
		out.Title, text = readable(body)
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > in.MaxBytes {
		cut := in.MaxBytes
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text, out.Truncated = text[:cut], true
	}
	out.Text = text
	return nil
}

// textual reports whether a body can be shown to a model. What a server does not call text is taken by its look: servers send
// source files and logs as application/octet-stream.
func textual(media string, body []byte) bool {
	switch {
	case strings.HasPrefix(media, "text/"), strings.HasSuffix(media, "+json"), strings.HasSuffix(media, "+xml"):
		return true
	case media == "application/json", media == "application/xml", media == "application/javascript", media == "application/yaml",
		media == "application/x-yaml", media == "application/x-ndjson", media == "application/x-www-form-urlencoded":
		return true
	}
	return strings.HasPrefix(http.DetectContentType(body), "text/") && utf8.Valid(body)
}

// reason takes the address and the method, which the model knows, off an error of the HTTP client.
func reason(err error) error {
	if f, ok := fault.As(err); ok {
		return errors.New(f.Message)
	}
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("the server did not answer in time")
		}
		return u.Err
	}
	return err
}
