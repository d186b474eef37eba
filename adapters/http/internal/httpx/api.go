package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

const contentJSON = "application/json"

// api is the huma.API of a face: huma decodes and validates, and this type decides what errors and answers look like, so that none
// of huma's package variables need to change.
type api struct {
	huma.API
	face *Face
}

func newAPI(f *Face) *api {
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: f.cfg.Title, Version: f.cfg.Version, Description: f.cfg.Description,
			Contact: &huma.Contact{Name: "Bureau", URL: "https://github.com/bureau-agents/bureau"},
		},
		Servers: []*huma.Server{{URL: serverURL(f.cfg), Description: "this server"}},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"ApiKey": {Type: "apiKey", In: "header", Name: "x-api-key", Description: "An API key."},
				"Bearer": {Type: "http", Scheme: "bearer", Description: "The same API key as a bearer token."},
			},
		},
	}
	for _, t := range f.cfg.Tags {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: t.Name, Description: t.Description})
	}
	cfg := huma.Config{OpenAPI: doc, DefaultFormat: contentJSON}
	cfg.AllowAdditionalPropertiesByDefault = true
	a := &api{face: f}
	a.API = huma.NewAPI(cfg, adapter{f})
	return a
}

// schemaName leaves out of a schema's name what only our own names need: that the type is of the wire.
func schemaName(t reflect.Type, hint string) string {
	return strings.ReplaceAll(huma.DefaultSchemaNamer(t, hint), "Wire", "")
}

func serverURL(cfg Config) string {
	if url := cfg.PublicURL + cfg.Prefix; url != "" {
		return url
	}
	return "/"
}

// Negotiate answers JSON whatever the caller accepts: official clients ask for other types by mistake.
func (a *api) Negotiate(string) (string, error) { return contentJSON, nil }

// Unmarshal decodes a body that the guard has found to be JSON. JSON does not tell 2 from 2.0, and Go does: a body with such an
// integer is decoded once more with all of them written plainly.
func (a *api) Unmarshal(_ string, data []byte, v any) error {
	err := json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) && strings.HasPrefix(typ.Value, "number ") {
		if plain := plainIntegers(data); json.Unmarshal(plain, v) == nil {
			return nil
		}
	}
	return decodeError(err)
}

// plainIntegers writes the integers of a JSON text without point and exponent, as far as a float64 holds them exactly.
func plainIntegers(data []byte) []byte {
	const exact = 1 << 53
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		start := i
		switch b := data[i]; {
		case b == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			i = min(i+1, len(data))
		case b == '-' || b >= '0' && b <= '9':
			for i < len(data) && strings.IndexByte("+-.eE0123456789", data[i]) >= 0 {
				i++
			}
			if n, err := strconv.ParseFloat(string(data[start:i]), 64); err == nil && n == math.Trunc(n) && math.Abs(n) <= exact &&
				bytes.ContainsAny(data[start:i], ".eE") {
				out = strconv.AppendInt(out, int64(n), 10)
				continue
			}
		default:
			i++
		}
		out = append(out, data[start:i]...)
	}
	return out
}

// Transform puts errors into the face's envelope.
func (a *api) Transform(ctx huma.Context, _ string, v any) (any, error) {
	switch e := v.(type) {
	case *handled:
		return e.body, nil
	case *huma.ErrorModel:
		c := (*call)(ctx.(*humaContext))
		status, body := c.prepare(validation(e))
		c.forced = status
		c.Header().Set("Content-Type", contentJSON) // huma announced a problem document
		return body, nil
	}
	return v, nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Marshal encodes an answer completely before the first byte is sent.
func (a *api) Marshal(w io.Writer, _ string, v any) error {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= 1<<20 {
			buffers.Put(buf)
		}
	}()
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if c, ok := w.(*call); ok {
		c.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	}
	_, err := w.Write(buf.Bytes())
	if err != nil {
		return nil
	}
	return nil
}

// adapter is the router that huma sees.
type adapter struct{ face *Face }

// Handle is called by huma.Register with the operation that newOperation left in the metadata.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	o := op.Metadata[metaOperation].(*operation)
	o.huma = op
	o.run = func(c *call) { handler((*humaContext)(c)) }
	a.face.route(o)
}

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.face.ServeHTTP(w, r) }
