package native

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// fileWire is a file as it is answered. Every field is always there.
type fileWire struct {
	ID           string         `json:"id" doc:"file_..."`
	Type         string         `json:"type" enum:"file"`
	Filename     string         `json:"filename"`
	MIMEType     string         `json:"mime_type"`
	MediaType    string         `json:"media_type" doc:"Another name of mime_type."`
	SizeBytes    int64          `json:"size_bytes"`
	SHA256       string         `json:"sha256" doc:"Of the content, in hexadecimal."`
	Downloadable bool           `json:"downloadable" doc:"Whether callers may read the content, or only agents."`
	Output       bool           `json:"output" doc:"Whether a session made it, rather than a caller."`
	Path         *string        `json:"path" doc:"Of an output: where the session's sandbox has it, below /mnt/session/outputs. The file's name is the last part of it."`
	Scope        *fileScopeWire `json:"scope" doc:"The session that it goes with."`
	ScopeID      *string        `json:"scope_id" doc:"The id in scope."`
	ExpiresAt    *stamp         `json:"expires_at"`
	CreatedAt    stamp          `json:"created_at"`
}

type fileScopeWire struct {
	Type string `json:"type" enum:"session"`
	ID   string `json:"id"`
}

func showFile(v file.File) fileWire {
	w := fileWire{
		ID: v.ID.String(), Type: "file", Filename: v.Name, MIMEType: v.MediaType, MediaType: v.MediaType, SizeBytes: v.Size,
		SHA256: hex.EncodeToString(v.SHA256[:]), Downloadable: v.Downloadable, Output: v.Output, Path: textOrNull(v.Path), ExpiresAt: stampPtr(v.ExpiresAt),
		CreatedAt: stampOf(v.CreatedAt),
	}
	if !v.Session.IsZero() {
		w.Scope, w.ScopeID = &fileScopeWire{"session", v.Session.String()}, textOrNull(v.Session.String())
	}
	return w
}

// filesWire is a page of files, in the words of the older and the newer client libraries.
type filesWire struct {
	Data     []fileWire `json:"data" nullable:"false"`
	HasMore  bool       `json:"has_more" doc:"Whether there is more in the direction that was asked for."`
	FirstID  *string    `json:"first_id" doc:"For before_id; null on an empty page."`
	LastID   *string    `json:"last_id" doc:"For after_id; null on an empty page."`
	NextPage *string    `json:"next_page" doc:"The cursor of what follows; null at the end."`
}

type listFilesInput struct {
	IDs       []string `query:"ids[],explode" doc:"Only these files, as far as they exist: at most 100, and without paging."`
	PlainIDs  []string `query:"ids,explode" doc:"Another name of ids[]."`
	SessionID string   `query:"session_id" doc:"Only files of this session."`
	ScopeID   string   `query:"scope_id" doc:"Another name of session_id."`
	Limit     int      `query:"limit" minimum:"1" maximum:"1000" doc:"Files on a page; 50 when left out."`
	Cursor    string   `query:"cursor" doc:"next_page of the page before."`
	Page      string   `query:"page" doc:"Another name of cursor."`
	AfterID   string   `query:"after_id" doc:"The page that begins behind this file."`
	BeforeID  string   `query:"before_id" doc:"The page that ends before this file."`
	Order     string   `query:"order" enum:"asc,desc" default:"desc" doc:"By the time of creation."`
}

func (in *listFilesInput) request() (file.ListRequest, error) {
	req := file.ListRequest{
		Request: page.Request{Limit: in.Limit, Cursor: cmp.Or(in.Cursor, in.Page)}, OldFirst: in.Order == "asc",
	}
	session, err := sameSession(in.SessionID, in.ScopeID)
	if err != nil {
		return file.ListRequest{}, err
	}
	req.Session = session
	for _, of := range []struct {
		spelled string
		id      *id.File
	}{{in.AfterID, &req.After}, {in.BeforeID, &req.Before}} {
		if of.spelled == "" {
			continue
		}
		if *of.id, err = id.Parse[id.FileKind](of.spelled); err != nil {
			return file.ListRequest{}, err
		}
	}
	// A client library writes null as an empty text.
	ids := slices.DeleteFunc(slices.Concat(in.IDs, in.PlainIDs), func(spelled string) bool { return spelled == "" })
	if len(ids) == 0 {
		return req, nil
	}
	if in.Limit != 0 {
		return file.ListRequest{}, fault.Invalidf("query.ids[]", "cannot be combined with paging")
	}
	req.IDs = []id.File{}
	for _, spelled := range ids {
		// What names no file is left out like what does not exist.
		if of, err := id.Parse[id.FileKind](spelled); err == nil && !slices.Contains(req.IDs, of) {
			req.IDs = append(req.IDs, of)
		}
	}
	return req, nil
}

// sameSession reads a session that two fields may name; "" is none.
func sameSession(sessionID, scopeID string) (id.Session, error) {
	spelled := cmp.Or(sessionID, scopeID)
	if spelled == "" {
		return id.Session{}, nil
	}
	session, err := id.Parse[id.SessionKind](spelled)
	if err != nil {
		return id.Session{}, err
	}
	if scopeID != "" && sessionID != "" {
		if other, err := id.Parse[id.SessionKind](scopeID); err != nil || other != session {
			return id.Session{}, fault.Invalidf("scope_id", "names another session than session_id")
		}
	}
	return session, nil
}

// FileInput names a file.
type FileInput struct {
	FileID string `path:"file_id" doc:"The file's id."`
}

type getFileInput struct {
	FileID  string `path:"file_id" doc:"The file's id."`
	Accept  string `header:"Accept" doc:"application/json asks for the description, anything else for the content."`
	Version string `header:"anthropic-version" doc:"With any value, the description is answered."`
}

// anyContent says that an answer has the media type of what is stored.
const anyContent = "*/*"

// fileForm documents the body of an upload.
var fileForm = &huma.Schema{
	Type: huma.TypeObject, Required: []string{"file"},
	Properties: map[string]*huma.Schema{
		"file":       {Type: huma.TypeString, Format: "binary", Description: "The content, with a filename and perhaps a content type."},
		"session_id": {Type: huma.TypeString, Description: "The session that it belongs to and goes with."},
		"scope_id":   {Type: huma.TypeString, Description: "Another name of session_id."},
		"downloadable": {
			Type: huma.TypeString, Enum: []any{"true", "false", "True", "False", "1", "0"}, // as clients write it in a form
			Description: "Whether callers may read the content back; true when left out.",
		},
		"expires_in_seconds": {
			Type: huma.TypeInteger, Minimum: new(1.0), Maximum: new(file.MaxTTL.Seconds()), Description: "After how long it is deleted.",
		},
	},
}

func (f *face) registerFiles() {
	httpx.Register(f.Face, httpx.Op{
		ID: "uploadFile", Method: http.MethodPost, Path: "/v1/files", Tag: "files", Status: http.StatusCreated, Summary: "Upload a file",
		Upload: "multipart/form-data", UploadSchema: fileForm, UploadJSON: reflect.TypeFor[fileBody](), Permission: account.FilesWrite,
		Statuses:    []int{http.StatusNotFound},
		Example:     `{"filename":"notes.txt","content":"Bring milk.","media_type":"text/plain"}`,
		Description: "Takes a form or JSON. The file can be given to sessions as a resource.",
	}, func(ctx context.Context, _ *struct{}) (*output[fileWire], error) {
		kind, params, _ := mime.ParseMediaType(httpx.Request(ctx).Header.Get("Content-Type"))
		upload := f.uploadJSON
		if kind == "multipart/form-data" {
			upload = func(ctx context.Context) (file.File, error) { return f.uploadForm(ctx, params["boundary"]) }
		}
		v, err := upload(ctx)
		if err != nil {
			return nil, err
		}
		return ok(showFile(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listFiles", Method: http.MethodGet, Path: "/v1/files", Tag: "files", Summary: "List files, newest first",
		Permission: account.FilesRead, Statuses: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *listFilesInput) (*output[filesWire], error) {
		req, err := in.request()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Files.List(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		w := filesWire{Data: []fileWire{}, HasMore: p.More, NextPage: textOrNull(p.Next)}
		for _, v := range p.Items {
			w.Data = append(w.Data, showFile(v))
		}
		if n := len(w.Data); n > 0 {
			w.FirstID, w.LastID = &w.Data[0].ID, &w.Data[n-1].ID
		}
		return ok(w), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getFile", Method: http.MethodGet, Path: "/v1/files/{file_id}", Tag: "files", Summary: "Describe or download a file",
		Permission: account.FilesRead, Produces: anyContent, Alternative: reflect.TypeFor[fileWire](),
		Description: "Answers with the description when `Accept` names `application/json` or the request has an `anthropic-version`, as client " +
			"libraries do, and with the content otherwise, as for `/content`.",
	}, func(ctx context.Context, in *getFileInput) (httpx.Stream, error) {
		of, err := id.Parse[id.FileKind](in.FileID)
		if err != nil {
			return nil, err
		}
		if in.Version == "" && !strings.Contains(strings.ToLower(in.Accept), "application/json") {
			return f.download(ctx, of)
		}
		v, err := f.deps.Files.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(showFile(v))
		if err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Vary", "Accept, Anthropic-Version")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body) // the caller went away; there is nobody to tell
		}, nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getFileContent", Method: http.MethodGet, Path: "/v1/files/{file_id}/content", Tag: "files", Summary: "Download a file",
		Permission: account.FilesRead, Produces: anyContent,
		Description: "Takes `Range` and conditional headers. The content is verified against its checksum: a damaged file breaks the connection " +
			"off, and is an error from the start when it is small. 403 when the file is not downloadable.",
	}, func(ctx context.Context, in *FileInput) (httpx.Stream, error) {
		of, err := id.Parse[id.FileKind](in.FileID)
		if err != nil {
			return nil, err
		}
		return f.download(ctx, of)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteFile", Method: http.MethodDelete, Path: "/v1/files/{file_id}", Tag: "files", Summary: "Delete a file with its content",
		Permission: account.FilesWrite,
	}, func(ctx context.Context, in *FileInput) (*output[httpx.Deleted], error) {
		of, err := id.Parse[id.FileKind](in.FileID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Files.Delete(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "file_deleted"}), nil
	})
}

// download returns what writes a file's content.
func (f *face) download(ctx context.Context, of id.File) (httpx.Stream, error) {
	v, err := f.deps.Files.Get(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	if !v.Downloadable {
		return nil, file.ErrNotDownloadable
	}
	v, content, err := f.deps.Files.Open(ctx, httpx.Scope(ctx), of)
	if err != nil {
		return nil, err
	}
	send, err := httpx.SendFile(ctx, v, content)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept, Anthropic-Version")
		send(w, r)
	}, nil
}

// fileFields are what an upload says beside its content.
type fileFields struct {
	sessionID, scopeID string
	downloadable       *bool
	ttl                *int64
}

func (v fileFields) read(name, media string) (file.New, error) {
	n := file.New{Name: name, MediaType: media, Downloadable: v.downloadable == nil || *v.downloadable}
	var err error
	if n.Session, err = sameSession(v.sessionID, v.scopeID); err != nil {
		return file.New{}, err
	}
	if most := int64(file.MaxTTL / time.Second); v.ttl != nil {
		if *v.ttl < 1 || *v.ttl > most {
			return file.New{}, fault.Invalidf("expires_in_seconds", "must be 1 to %d", most)
		}
		n.TTL = time.Duration(*v.ttl) * time.Second
	}
	return n, nil
}

// Limits of a form's fields beside the file.
const (
	maxFormParts = 50
	maxFormField = 4 << 10
)

// uploadForm reads a form. The file is stored as it comes; fields may come before and after it.
func (f *face) uploadForm(ctx context.Context, boundary string) (v file.File, err error) {
	if boundary == "" {
		return file.File{}, fault.Invalidf("body", "the content type of a form names its boundary")
	}
	form := multipart.NewReader(httpx.Body(ctx), boundary)
	sc := httpx.Scope(ctx)
	var got *file.Received
	var name, media string
	var fields fileFields
	kept := false
	defer func() {
		if got != nil && !kept {
			f.deps.Files.Drop(context.WithoutCancel(ctx), sc, *got)
		}
	}()
	for n := 0; ; n++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return file.File{}, formErr(err)
		}
		if n >= maxFormParts {
			return file.File{}, fault.Invalidf("body", "a form has at most %d parts here", maxFormParts)
		}
		if part.FormName() == "file" {
			if got != nil {
				return file.File{}, fault.Invalidf("file", "appears twice; upload one file at a time")
			}
			r, err := f.deps.Files.Receive(ctx, sc, part)
			if err != nil {
				return file.File{}, formErr(err)
			}
			got, name, media = &r, part.FileName(), partMedia(part)
			continue
		}
		if err := fields.set(part); err != nil {
			return file.File{}, err
		}
	}
	if got == nil {
		return file.File{}, fault.Invalidf("file", "is required")
	}
	what, err := fields.read(name, media)
	if err != nil {
		return file.File{}, err
	}
	kept = true // or dropped, by the service
	return f.deps.Files.Keep(ctx, sc, *got, what)
}

// partMedia is the media type of a part, and "" when it is not a good one.
func partMedia(part *multipart.Part) string {
	raw := part.Header.Get("Content-Type")
	if _, _, err := mime.ParseMediaType(raw); err != nil || len(raw) > file.MaxMediaType {
		return ""
	}
	return raw
}

// formErr turns what the form's reader finds into a fault.
func formErr(err error) error {
	if _, known := fault.As(err); known || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Invalidf("body", "is not a form that can be read").Wrap(err)
}

// set reads a field that is not the file. Those that nobody knows are skipped.
func (v *fileFields) set(part *multipart.Part) error {
	name := part.FormName()
	raw, err := io.ReadAll(io.LimitReader(part, maxFormField+1))
	if err != nil {
		return formErr(err)
	}
	value := string(raw)
	bad := func(want string) error { return fault.Invalidf(name, "%s", want) }
	switch name {
	case "session_id", "scope_id", "downloadable", "expires_in_seconds":
		if len(raw) > maxFormField {
			return bad("is too long")
		}
	}
	switch name {
	case "session_id":
		v.sessionID = value
	case "scope_id":
		v.scopeID = value
	case "downloadable":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return bad("must be true or false")
		}
		v.downloadable = &b
	case "expires_in_seconds":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return bad("must be a whole number")
		}
		v.ttl = &n
	}
	return nil
}

// fileBody is an upload as JSON.
type fileBody struct {
	Filename     string `json:"filename" minLength:"1"`
	Content      string `json:"content" doc:"As encoding says."`
	Encoding     string `json:"encoding,omitempty" enum:"utf8,utf-8,base64" doc:"utf8 when left out."`
	MediaType    string `json:"media_type,omitempty" doc:"Without one, it is told by the name and the content."`
	MIMEType     string `json:"mime_type,omitempty" doc:"Another name of media_type."`
	SessionID    string `json:"session_id,omitempty" doc:"The session that it belongs to and goes with."`
	ScopeID      string `json:"scope_id,omitempty" doc:"Another name of session_id."`
	Downloadable *bool  `json:"downloadable,omitempty" doc:"Whether callers may read the content back; true when left out."`
	TTL          *int64 `json:"expires_in_seconds,omitempty" minimum:"1" maximum:"7776000" doc:"After how long it is deleted."`
}

func (f *face) uploadJSON(ctx context.Context) (file.File, error) {
	var b fileBody
	if err := httpx.ReadJSON(ctx, &b); err != nil {
		return file.File{}, err
	}
	content := b.Content
	if b.Encoding == "base64" {
		decoded, err := base64.StdEncoding.DecodeString(content)
		if err != nil {
			return file.File{}, fault.Invalidf("content", "is not base64")
		}
		content = string(decoded)
	}
	n, err := fileFields{b.SessionID, b.ScopeID, b.Downloadable, b.TTL}.read(b.Filename, cmp.Or(b.MediaType, b.MIMEType))
	if err != nil {
		return file.File{}, err
	}
	return f.deps.Files.Create(ctx, httpx.Scope(ctx), n, strings.NewReader(content))
}
