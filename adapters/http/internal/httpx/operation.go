package httpx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Op describes an operation.
type Op struct {
	ID          string // operationId, lower camel case: "listAgents"; unique in the face
	Method      string
	Path        string // without the face's prefix: "/v1/agents/{id}"; "{name...}" at its end takes the slashes, too
	Summary     string // a short sentence without a full stop
	Description string // Markdown; "" repeats Summary
	Example     string // a JSON body for the document; without one the page shows what the schema requires
	Tag         string

	// Permission is what the caller's key needs. "" is allowed with AnyKey and on public routes only.
	Permission account.Permission
	AnyKey     bool // every valid key may call it
	// OptionalKey is for public routes that treat callers with a key differently: a key that is sent must be valid.
	OptionalKey bool

	Status int // of success; 0 is 200, or 204 when the output has no Body
	// Statuses are errors beyond those that follow from the other fields, for the document: 402, 409, 501.
	Statuses []int
	// Strict refuses body fields that the schema does not know, at every level, and keys that differ in case only.
	Strict bool
	// Secret says that the answer holds a secret: what is kept for its Idempotency-Key is sealed, and kept for a short time.
	Secret bool
	// OwnIdempotency leaves the Idempotency-Key to the handler, which gives ActKey to the gate.
	OwnIdempotency bool
	// Upload is the content type of a body that the handler reads from Body by itself; "" is JSON or none. The answer is not kept for
	// an Idempotency-Key, because the body is not known before the handler runs.
	Upload string
	// UploadSchema documents the body of an Upload; nil is opaque bytes.
	UploadSchema *huma.Schema
	// UploadJSON is the type of the JSON that the handler takes instead of an Upload, and reads by ReadJSON; nil takes none.
	UploadJSON reflect.Type
	// MaxBody replaces the face's limit of the body's size in bytes; 0 keeps it.
	MaxBody int64
	// Fail writes errors of an operation of RegisterStream or RegisterRaw instead of the face's envelope, for callers who know another form. Headers such as
	// Retry-After are set. A method that the operation's address does not know is answered so, too.
	Fail func(w http.ResponseWriter, r *http.Request, status int, e *fault.Error)
	// FailAs is the type of the JSON that Fail writes, for the document.
	FailAs reflect.Type
	// Headers sets headers of the answers that the handler does not make: replays, and errors, of its own too, unless there were too many requests.
	Headers func(ctx context.Context)
	// Produces is the content type of an answer by RegisterStream; "" is "application/octet-stream".
	Produces string
	// Alternative is the type of the JSON that an operation of RegisterStream may answer instead, for the document; nil is none.
	Alternative reflect.Type
	// PublicRate is how many requests per minute one address may make to a public operation; 0 is no limit. With OptionalKey the
	// face's limit counts instead.
	PublicRate int
	// Hidden leaves the operation out of the document.
	Hidden bool
	// Yields lets another operation have addresses that Path takes as well: /things/{id}/parts has to for there to be /things/all/{id}.
	// The router finds the operation without the last segment of Path, a literal one, which is compared afterwards.
	Yields bool

	raw bool // its body is not checked, see RegisterRaw
}

// lastSegment is what the router calls the last segment of an operation that Yields.
const lastSegment = "last_segment"

// pattern is the operation's for the router.
func (o *operation) pattern(prefix string) string {
	if !o.Yields {
		return prefix + o.Path
	}
	return prefix + path.Dir(o.Path) + "/{" + lastSegment + "}"
}

// operation is a registered Op with what serving needs.
type operation struct {
	Op
	huma     *huma.Operation
	run      func(*call)
	public   bool
	json     bool // has a JSON body
	maxBody  int64
	visitors *Limiter     // of an operation with a PublicRate
	instead  *huma.Schema // of UploadJSON
	stream   bool
	query    []queryParam
	duration prometheus.Observer
	count    [6]prometheus.Counter // by hundreds of the status
}

const metaOperation = "bureau-operation"

// Register adds an operation whose handler gets the decoded and validated input and returns what is written as JSON.
//
// I is a struct with fields tagged path, query or header and at most one field Body; O one with a field Body, or struct{} for an
// answer without one. See https://huma.rocks for the tags. Ids are plain strings, given to id.Parse by the handler, so that one which
// cannot be parsed is a 404.
func Register[I, O any](f *Face, op Op, handler func(context.Context, *I) (*O, error)) {
	register(f, op, false, handler)
}

// Stream writes an answer by itself. It is called after everything that can fail in an orderly way.
type Stream func(w http.ResponseWriter, r *http.Request)

// RegisterStream adds an operation that answers with a stream or with bytes instead of JSON. The handler checks the request and
// returns what writes the answer; an error that it returns is written in the envelope. Answers are not kept for an Idempotency-Key.
func RegisterStream[I any](f *Face, op Op, handler func(context.Context, *I) (Stream, error)) {
	op.Produces = cmp.Or(op.Produces, "application/octet-stream")
	register(f, op, true, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		stream, err := handler(ctx, in)
		switch {
		case err != nil && op.Fail != nil:
			stream = func(http.ResponseWriter, *http.Request) { callFrom(ctx).fail(err) }
		case err != nil:
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			c := (*call)(hc.(*humaContext))
			c.status = 0 // the stream sends its own
			stream(c, c.r.WithContext(&c.ctx))
		}}, nil
	})
}

func register[I, O any](f *Face, op Op, stream bool, handler func(context.Context, *I) (*O, error)) {
	route := op.Method + " " + op.Path
	defer func() {
		if v := recover(); v != nil {
			f.errs = append(f.errs, fmt.Errorf("httpx: %s: %v", route, v))
		}
	}()
	_, public := f.public[route]
	switch {
	case op.ID == "" || op.Summary == "" || op.Tag == "" && !op.Hidden:
		panic("ID, Summary and Tag are required")
	case op.PublicRate != 0 && (!public || op.OptionalKey || op.PublicRate < 0):
		panic("PublicRate is for public routes without keys")
	case public && (op.Permission != "" || op.AnyKey):
		panic("a public route needs no permission")
	case !public && op.OptionalKey:
		panic("OptionalKey is for public routes")
	case !public && op.Permission == "" && !op.AnyKey:
		panic("neither a permission nor AnyKey nor a public route")
	case op.Permission != "" && op.AnyKey:
		panic("both a permission and AnyKey")
	case (op.Fail != nil) != (op.FailAs != nil) || op.Fail != nil && !stream && !op.raw:
		panic("Fail is for streams and raw bodies, and needs FailAs")
	}
	if public {
		f.public[route] = true
	}
	o := &operation{Op: op, public: public, stream: stream, maxBody: f.cfg.MaxJSON}
	if op.PublicRate > 0 {
		o.visitors = NewLimiter(f.cfg.Clock, false)
	}
	_, o.json = reflect.TypeFor[I]().FieldByName("Body")
	if op.Upload != "" {
		o.maxBody = f.cfg.MaxUpload
	}
	o.maxBody = cmp.Or(op.MaxBody, o.maxBody)
	f.metrics.prepare(o)

	checkEmbedded(reflect.TypeFor[I](), make(map[reflect.Type]bool))
	checkEmbedded(reflect.TypeFor[O](), make(map[reflect.Type]bool))

	hop := f.document(o)
	huma.Register(f.api, hop, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			c := callFrom(ctx)
			status, body := c.prepare(err)
			return nil, &handled{err: err, status: status, body: body}
		}
		return out, nil
	})
	f.finishDocument(o)
}

// checkEmbedded panics when t embeds a struct whose type is not exported: huma passes over it without a word, so that its parameters would
// stay empty and its fields undocumented.
func checkEmbedded(t reflect.Type, seen map[reflect.Type]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		checkEmbedded(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] || t.PkgPath() == "time" {
			return
		}
		seen[t] = true
		for field := range t.Fields() {
			if field.Anonymous && !field.IsExported() {
				panic(fmt.Sprintf("%v embeds %v, which huma does not see because it is not exported", t, field.Type))
			}
			checkEmbedded(field.Type, seen)
		}
	}
}

// document returns the operation as huma is to document it.
func (f *Face) document(o *operation) huma.Operation {
	hop := huma.Operation{
		OperationID: o.ID, Method: o.Method, Path: strings.ReplaceAll(o.Path, "...}", "}"), Summary: o.Summary, Description: cmp.Or(o.Description, o.Summary+"."),
		DefaultStatus: o.Status, Hidden: o.Hidden, MaxBodyBytes: o.maxBody + 1, BodyReadTimeout: -1,
		Responses: make(map[string]*huma.Response), Metadata: map[string]any{metaOperation: o},
	}
	if o.Tag != "" {
		hop.Tags = []string{o.Tag}
	}
	statuses := slices.Concat([]int{http.StatusBadRequest, http.StatusTooManyRequests}, f.cfg.Statuses, o.Statuses)
	if !o.public || o.OptionalKey {
		hop.Security = []map[string][]string{{"ApiKey": {}}, {"Bearer": {}}}
		statuses = append(statuses, http.StatusUnauthorized)
	}
	if o.OptionalKey {
		hop.Security = append(hop.Security, map[string][]string{})
	}
	if o.Permission != "" {
		hop.Description += "\n\nNeeds a key with the scope `" + string(o.Permission) + "`."
		hop.Extensions = map[string]any{"x-bureau-scope": string(o.Permission)}
		statuses = append(statuses, http.StatusForbidden)
	}
	if strings.Contains(o.Path, "{") || o.json {
		statuses = append(statuses, http.StatusNotFound)
	}
	if o.json || o.Upload != "" {
		statuses = append(statuses, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge)
	}
	if o.Method == http.MethodPost && (!o.public || o.OptionalKey) {
		statuses = append(statuses, http.StatusConflict)
		if !o.stream && o.Upload == "" {
			hop.Parameters = append(hop.Parameters, &huma.Param{
				Name: "Idempotency-Key", In: "header",
				Description: "Makes repeating this request safe: the same key with the same body gets the same answer for 24 hours.",
				Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: new(maxIdempotencyKey), Pattern: "^[ -~]*$"},
			})
		}
	}
	for _, status := range statuses {
		hop.Responses[strconv.Itoa(status)] = f.errorResponse(o, http.StatusText(status))
	}
	hop.Responses["default"] = f.errorResponse(o, "Another error")
	return hop
}

// errorResponse documents an answer in the envelope, or in the operation's own form.
func (f *Face) errorResponse(o *operation, description string) *huma.Response {
	if o.FailAs != nil {
		return &huma.Response{
			Description: description,
			Content:     map[string]*huma.MediaType{contentJSON: {Schema: f.api.OpenAPI().Components.Schemas.Schema(o.FailAs, true, "Failure")}},
		}
	}
	if f.errSchema == nil {
		example := f.cfg.Envelope.Encode(http.StatusNotFound, errNoRoute, "req_example")
		f.errSchema = f.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(example), true, "Error")
	}
	return &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{contentJSON: {Schema: f.errSchema}},
	}
}

// finishDocument does what can only be done once huma has made the schemas.
func (f *Face) finishDocument(o *operation) {
	for _, p := range o.huma.Parameters {
		if p.In == "query" && p.Schema != nil {
			o.query = append(o.query, newQueryParam(p))
			if status := strconv.Itoa(http.StatusNotFound); isID(p.Name) && o.huma.Responses[status] == nil {
				o.huma.Responses[status] = f.errorResponse(o, http.StatusText(http.StatusNotFound)) // a filter by what there is not
			}
		}
	}
	reg := f.api.OpenAPI().Components.Schemas
	if o.Strict && o.huma.RequestBody != nil {
		for _, m := range o.huma.RequestBody.Content {
			closeSchema(reg, m.Schema, make(map[*huma.Schema]bool))
		}
	}
	if o.Upload != "" {
		schema := o.UploadSchema
		if schema == nil {
			schema = &huma.Schema{Type: huma.TypeString, Format: "binary"}
		}
		o.huma.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{o.Upload: {Schema: schema}}}
		if o.UploadJSON != nil {
			o.instead = reg.Schema(o.UploadJSON, true, o.ID+"Body")
			o.huma.RequestBody.Content[contentJSON] = &huma.MediaType{Schema: o.instead}
		}
	}
	if o.Example != "" {
		if !json.Valid([]byte(o.Example)) {
			panic("Example is not JSON")
		}
		o.huma.RequestBody.Content[contentJSON].Example = json.RawMessage(o.Example)
	}
	if o.stream {
		status := strconv.Itoa(cmp.Or(o.Status, http.StatusOK))
		schema := &huma.Schema{Type: huma.TypeString}
		if o.Produces == ContentEvents {
			schema = reg.Schema(reflect.TypeFor[eventDoc](), true, "ServerSentEvent")
		}
		content := map[string]*huma.MediaType{o.Produces: {Schema: schema}}
		if o.Alternative != nil {
			content[contentJSON] = &huma.MediaType{Schema: reg.Schema(o.Alternative, true, o.ID+"Response")}
		}
		o.huma.Responses[status].Content = content
	}
}

// isID reports whether a parameter of that name is an id: agent_id, or agentId on faces in camel case.
func isID(name string) bool { return strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "Id") }

// eventDoc documents each event of a stream.
type eventDoc struct {
	Event string `json:"event,omitempty" doc:"What happened: the type of the data."`
	ID    string `json:"id,omitempty" doc:"Where to go on from, as Last-Event-ID; not every event has one."`
	Data  string `json:"data,omitempty" doc:"JSON."`
	Retry int    `json:"retry,omitempty" doc:"After how many milliseconds to come back."`
}

// closeSchema forbids unknown properties in s and below.
func closeSchema(reg huma.Registry, s *huma.Schema, seen map[*huma.Schema]bool) {
	for s != nil && s.Ref != "" {
		s = reg.SchemaFromRef(s.Ref)
	}
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	if open, ok := s.AdditionalProperties.(bool); ok && open && len(s.Properties) > 0 {
		s.AdditionalProperties = false
	}
	if sub, ok := s.AdditionalProperties.(*huma.Schema); ok {
		closeSchema(reg, sub, seen)
	}
	for _, p := range s.Properties {
		closeSchema(reg, p, seen)
	}
	closeSchema(reg, s.Items, seen)
	for _, list := range [][]*huma.Schema{s.OneOf, s.AnyOf, s.AllOf} {
		for _, sub := range list {
			closeSchema(reg, sub, seen)
		}
	}
}

// route puts a finished operation into the router.
func (f *Face) route(o *operation) {
	pattern := o.Method + " " + o.pattern(f.cfg.Prefix)
	if o.Yields {
		f.yields[pattern] = path.Base(o.Path)
	}
	if o.Fail != nil {
		f.forms[o.pattern(f.cfg.Prefix)] = o
	}
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := callOf(w)
		if o.Yields && r.PathValue(lastSegment) != f.yields[pattern] {
			f.unrouted(w, r)
			return
		}
		c.op, c.r = o, r
		if err := c.admit(); err != nil {
			c.fail(err)
			return
		}
		c.serve()
	})
}

// admit authenticates the caller, counts the request and checks its permission.
func (c *call) admit() error {
	o := c.op
	secret := credential(c.r)
	switch {
	case !o.public || o.OptionalKey && secret != "":
		sc, err := c.face.cfg.Accounts.Authenticate(&c.ctx, secret)
		if err != nil {
			if fault.KindOf(err) != fault.Unauthenticated {
				return err
			}
			if secret == "" {
				err = errNoKey
			}
			return c.stranger(err)
		}
		c.scope = sc
		if err := c.rate(); err != nil {
			return err
		}
	case o.OptionalKey:
		if err := c.rate(); err != nil {
			return err
		}
	case o.visitors != nil:
		if err := c.visitor(); err != nil {
			return err
		}
	}
	if o.Permission != "" {
		return c.scope.Require(o.Permission)
	}
	return nil
}

var errNoKey = fault.New(fault.Unauthenticated, "missing_api_key", "send an API key as x-api-key or as Authorization: Bearer")

// credential returns the key that came with a request, or "".
func credential(r *http.Request) string {
	if v := r.Header["X-Api-Key"]; len(v) > 0 && v[0] != "" {
		return v[0]
	}
	if v := r.Header["Authorization"]; len(v) > 0 {
		scheme, token, ok := strings.Cut(v[0], " ")
		if ok && strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token)
		}
	}
	return ""
}

// serve reads the input and runs the operation.
func (c *call) serve() {
	o := c.op
	if err := c.checkQuery(); err != nil {
		c.fail(err)
		return
	}
	if err := c.readBody(); err != nil {
		c.fail(err)
		return
	}
	// Answers are kept for tenants: a caller without a key has nobody to keep them for.
	if o.Method == http.MethodPost && !c.scope.Tenant.IsZero() && !o.stream {
		if err := c.readIdempotencyKey(); err != nil {
			c.fail(err)
			return
		}
		if c.key != "" && !o.OwnIdempotency && o.Upload == "" {
			c.serveOnce()
			return
		}
	}
	o.run(c)
}

var errTooLarge = fault.New(fault.TooLarge, "body_too_large", "the request's body is over the limit")

// bodyTimeout is how long a JSON body may take to arrive; uploads may take uploadTimeout.
const (
	bodyTimeout   = 30 * time.Second
	uploadTimeout = 10 * time.Minute
)

// readBody reads and checks a JSON body, and prepares the reader of an upload.
func (c *call) readBody() error {
	o := c.op
	if !o.json && o.Upload == "" {
		return nil
	}
	if c.r.ContentLength > o.maxBody {
		return errTooLarge
	}
	conn := http.NewResponseController(c.w)
	limited := &bodyReader{http.MaxBytesReader(c.w, c.r.Body, o.maxBody)}
	if o.Upload != "" {
		_ = conn.SetReadDeadline(time.Now().Add(uploadTimeout)) // not every writer has deadlines: tests' do not
		c.input = limited
		return nil
	}
	if c.r.Body == http.NoBody {
		return nil
	}
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	var buf bytes.Buffer
	if n := c.r.ContentLength; n > 0 {
		buf.Grow(int(min(n, 1<<20)) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(limited)
	_ = conn.SetReadDeadline(time.Time{})
	if err != nil {
		return err
	}
	c.body = buf.Bytes()
	if len(c.body) == 0 || o.raw {
		return nil
	}
	return CheckJSON(c.body, o.Strict)
}

// ReadJSON reads the body that came instead of an upload into v, a pointer to the type that Op.UploadJSON names. It checks what is
// checked of every JSON body.
func ReadJSON(ctx context.Context, v any) error {
	c := callFrom(ctx)
	most := c.face.cfg.MaxJSON
	raw, err := io.ReadAll(io.LimitReader(c.input, most+1))
	if err != nil {
		return err
	}
	if int64(len(raw)) > most {
		return errTooLarge
	}
	if err := CheckJSON(raw, c.op.Strict); err != nil {
		return err
	}
	var parsed any
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return invalid([]fault.Field{{Path: "body", Message: decodeError(err).Error()}})
	}
	at := huma.NewPathBuffer(nil, 0)
	at.Push("body")
	var found huma.ValidateResult
	huma.Validate(c.face.api.OpenAPI().Components.Schemas, c.op.instead, at, huma.ModeWriteToServer, parsed, &found)
	var fields []fault.Field
	for _, err := range found.Errors {
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			fields = append(fields, fieldOf(d))
		}
	}
	if len(fields) > 0 {
		return invalid(fields)
	}
	if err := c.face.api.Unmarshal("", raw, v); err != nil {
		return invalid([]fault.Field{{Path: "body", Message: err.Error()}})
	}
	return nil
}

// bodyReader turns what can go wrong while reading a body into faults.
type bodyReader struct{ r io.Reader }

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	var tooLarge *http.MaxBytesError
	var netErr net.Error
	switch {
	case errors.As(err, &tooLarge):
		return n, errTooLarge
	case errors.As(err, &netErr) && netErr.Timeout():
		return n, errSlowBody
	}
	return n, fault.New(fault.Invalid, "body_unreadable", "the request's body could not be read to its end").Wrap(err)
}
