package native

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// withFiles adds files of at most 4 MiB, 6 MiB together, in a folder that it returns.
func withFiles(t *testing.T) (dir string, service **file.Service, option func(*fixture, *Deps)) {
	t.Helper()
	dir = t.TempDir()
	service = new(*file.Service)
	return dir, service, func(f *fixture, d *Deps) {
		blobs, err := gocloud.Open(t.Context(), gocloud.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = blobs.Close() })
		d.Files, err = file.NewService(file.Deps{
			TX: f.store, Clock: f.clock, IDs: id.NewGenerator(f.clock.Now), Logger: slog.New(slog.NewTextHandler(f.log, nil)),
			Repository: f.store.Files(), Sessions: f.store.Files(), Blobs: blobs,
		}, file.Config{MaxSize: 4 << 20, Quota: 6 << 20})
		if err != nil {
			t.Fatal(err)
		}
		*service = d.Files
	}
}

// stored lists the blobs in a folder.
func stored(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

type filePart struct{ name, filename, media, content string }

// fileFormOf writes a form and returns it with its content type.
func fileFormOf(t *testing.T, parts ...filePart) (body, header string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name=%q`, p.name)
		if p.filename != "" {
			disposition += fmt.Sprintf(`; filename="%s"`, p.filename)
		}
		h.Set("Content-Disposition", disposition)
		if p.media != "" {
			h.Set("Content-Type", p.media)
		}
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, p.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String(), "Content-Type: " + w.FormDataContentType()
}

// upload uploads a form and returns the file.
func (f *fixture) upload(parts ...filePart) answer {
	f.t.Helper()
	body, header := fileFormOf(f.t, parts...)
	return f.want(201, http.MethodPost, "/v1/files", body, header)
}

func (f *fixture) bareSession() string {
	f.t.Helper()
	ids := id.NewGenerator(f.clock.Now)
	v := session.Session{
		ID: id.New[id.SessionKind](ids), Tenant: f.admin.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1,
		Active: session.StatusIdle, CreatedAt: f.clock.Now(), UpdatedAt: f.clock.Now(),
	}
	if err := f.store.Sessions().Create(f.t.Context(), account.System(f.admin.Tenant), v); err != nil {
		f.t.Fatal(err)
	}
	return v.ID.String()
}

func TestFileUpload(t *testing.T) {
	t.Parallel()
	dir, _, files := withFiles(t)
	f := newFixture(t, files)
	of := f.bareSession()
	sum := sha256.Sum256([]byte("hello"))
	made := f.upload(
		filePart{name: "purpose", content: "agent"}, filePart{name: "file", filename: `C:\dir\na/me ü.txt`, media: "text/x-own", content: "hello"},
		filePart{name: "session_id", content: of}, filePart{name: "expires_in_seconds", content: "3600"}, // fields may follow the file
	)
	want := decode(t, fmt.Sprintf(`{"id":%q,"type":"file","filename":"me ü.txt","mime_type":"text/x-own","media_type":"text/x-own",
		"size_bytes":5,"sha256":%q,"downloadable":true,"output":false,"path":null,"scope":{"type":"session","id":%q},"scope_id":%q,
		"expires_at":"2026-07-15T13:30:00.000Z","created_at":"2026-07-15T12:30:00.000Z"}`,
		made.get("id"), hex.EncodeToString(sum[:]), of, of))
	if d := cmp.Diff(want, made.json); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	path := "/v1/files/" + made.get("id").(string)
	for _, h := range []string{"Accept: application/json", "anthropic-version: 2023-06-01", "Accept: text/html, application/JSON;q=0.9"} {
		if d := cmp.Diff(made.json, f.want(200, http.MethodGet, path, "", h).json); d != "" {
			t.Errorf("%s (-made +read):\n%s", h, d)
		}
	}
	for _, p := range []string{path, path + "/content"} {
		got := f.want(200, http.MethodGet, p, "", "Accept: */*")
		if string(got.body) != "hello" {
			t.Errorf("%s: %q", p, got.body)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/x-own", "Content-Disposition": "attachment; filename*=utf-8''me%20%C3%BC.txt", "X-Content-Type-Options": "nosniff",
			"Etag": `"` + hex.EncodeToString(sum[:]) + `"`, "Content-Length": "5", "Content-Security-Policy": "sandbox; default-src 'none'",
		} {
			if got := got.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q", p, name, got)
			}
		}
	}
	if got := f.want(200, http.MethodGet, path+"/content", "", "anthropic-version: 2026-10-21", "Accept: application/binary"); string(got.body) != "hello" {
		t.Errorf("content for a client library: %q", got.body)
	}

	for _, c := range []struct{ body, name, media string }{
		{`{"filename":"a.csv","content":"a,b"}`, "a.csv", "text/csv; charset=utf-8"},
		{`{"filename":"a","content":"aGk=","encoding":"base64"}`, "a", "text/plain; charset=utf-8"},
		{`{"filename":"a","content":"AAE=","encoding":"base64"}`, "a", "application/octet-stream"},
		{`{"filename":"../../x","content":"","media_type":"image/png"}`, "x", "image/png"},
		{`{"filename":"..","content":"iVBORw0KGgo=","encoding":"base64"}`, "unnamed.png", "image/png"},
		{`{"filename":"/","content":"x","media_type":"text/plain"}`, "unnamed.txt", "text/plain"},
		{`{"filename":"a\u202egpj.exe","content":"x","mime_type":"text/plain"}`, "agpj.exe", "text/plain"},
	} {
		got := f.want(201, http.MethodPost, "/v1/files", c.body)
		if got.get("filename") != c.name || got.get("mime_type") != c.media || got.get("scope") != nil || got.get("expires_at") != nil {
			t.Errorf("%s: %s", c.body, got.body)
		}
	}
	empty := f.upload(filePart{name: "file", filename: "empty"})
	if got := f.want(200, http.MethodGet, "/v1/files/"+empty.get("id").(string), ""); len(got.body) != 0 || got.Header.Get("Content-Length") != "0" {
		t.Errorf("empty: %q", got.body)
	}

	if got := f.want(200, http.MethodDelete, path, ""); got.get("type") != "file_deleted" || got.get("id") != made.get("id") {
		t.Errorf("deleted: %s", got.body)
	}
	if n := len(stored(t, dir)); n != 8 {
		t.Errorf("%d blobs are left", n)
	}
	for _, p := range []string{path, path + "/content"} {
		f.wantError(f.do(http.MethodGet, p, ""), 404, "not_found_error", "file_not_found")
	}
	f.wantError(f.do(http.MethodDelete, path, ""), 404, "not_found_error", "file_not_found")
}

func TestFileRefusals(t *testing.T) {
	t.Parallel()
	dir, _, files := withFiles(t)
	f := newFixture(t, files)
	good := filePart{name: "file", filename: "a.txt", content: "x"}
	big := strings.Repeat("x", 4<<20)
	for name, c := range map[string]struct {
		parts  []filePart
		status int
		code   string
	}{
		"no file":           {[]filePart{{name: "session_id", content: ""}}, 400, "invalid_request"},
		"two files":         {[]filePart{good, good}, 400, "invalid_request"},
		"bad session":       {[]filePart{good, {name: "session_id", content: "nonsense"}}, 404, "session_not_found"},
		"no such session":   {[]filePart{good, {name: "scope_id", content: id.New[id.SessionKind](id.NewGenerator(time.Now)).String()}}, 404, "session_not_found"},
		"two sessions":      {[]filePart{good, {name: "scope_id", content: f.bareSession()}, {name: "session_id", content: f.bareSession()}}, 400, "invalid_request"},
		"bad flag":          {[]filePart{good, {name: "downloadable", content: "perhaps"}}, 400, "invalid_request"},
		"bad expiry":        {[]filePart{good, {name: "expires_in_seconds", content: "soon"}}, 400, "invalid_request"},
		"no expiry":         {[]filePart{good, {name: "expires_in_seconds", content: "0"}}, 400, "invalid_request"},
		"late expiry":       {[]filePart{good, {name: "expires_in_seconds", content: "7776001"}}, 400, "invalid_request"},
		"overflowing":       {[]filePart{good, {name: "expires_in_seconds", content: "9223372036854775807"}}, 400, "invalid_request"},
		"long field":        {[]filePart{good, {name: "session_id", content: big[:5000]}}, 400, "invalid_request"},
		"long name":         {[]filePart{{name: "file", filename: big[:256], content: "x"}}, 400, "file_invalid"},
		"too many parts":    {make([]filePart, 51), 400, "invalid_request"},
		"one byte too much": {[]filePart{{name: "file", filename: "a", content: big + "x"}}, 413, "file_too_large"},
	} {
		body, header := fileFormOf(t, c.parts...)
		a := f.do(http.MethodPost, "/v1/files", body, header)
		if a.StatusCode != c.status || a.get("error", "details", "error_code") != c.code {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	body, header := fileFormOf(t, good)
	for name, c := range map[string][2]string{
		"cut off":     {body[:len(body)-30], header},
		"no boundary": {body, "Content-Type: multipart/form-data"},
		"not a form":  {"hello", header},
		"no JSON":     {"hello", "Content-Type: text/plain"},
		"no name":     {`{"content":"x"}`, "Content-Type: application/json"},
		"no content":  {`{"filename":"x"}`, "Content-Type: application/json"},
		"null":        {`{"filename":"x","content":null}`, "Content-Type: application/json"},
		"a number":    {`{"filename":"x","content":1}`, "Content-Type: application/json"},
		"encoding":    {`{"filename":"x","content":"x","encoding":"rot13"}`, "Content-Type: application/json"},
		"base64":      {`{"filename":"x","content":"?","encoding":"base64"}`, "Content-Type: application/json"},
		"media type":  {`{"filename":"x","content":"x","media_type":"text/html\r\nSet-Cookie: a"}`, "Content-Type: application/json"},
		"a list":      {`[]`, "Content-Type: application/json"},
	} {
		if a := f.do(http.MethodPost, "/v1/files", c[0], c[1]); a.StatusCode != 400 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if left := stored(t, dir); len(left) != 0 {
		t.Errorf("refused uploads left %v", left)
	}

	// What fits is stored, and then the quota is full.
	f.upload(filePart{name: "file", filename: "a", content: big})
	body, header = fileFormOf(t, filePart{name: "file", filename: "a", content: big})
	f.wantError(f.do(http.MethodPost, "/v1/files", body, header), 400, "invalid_request_error", "storage_quota_exceeded")
	if n := len(stored(t, dir)); n != 1 {
		t.Errorf("%d blobs are left", n)
	}

	closed := f.upload(good, filePart{name: "downloadable", content: "false"})
	for _, suffix := range []string{"", "/content"} {
		f.wantError(f.do(http.MethodGet, "/v1/files/"+closed.get("id").(string)+suffix, ""), 403, "permission_error", "file_not_downloadable")
	}
}

func TestFileRanges(t *testing.T) {
	t.Parallel()
	_, _, files := withFiles(t)
	f := newFixture(t, files)
	var text strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&text, "%06d\n", i)
	}
	for name, content := range map[string]string{"small": text.String()[:1000], "large": text.String()} {
		path := "/v1/files/" + f.upload(filePart{name: "file", filename: "a", content: content}).get("id").(string) + "/content"
		n := len(content)
		for header, want := range map[string]string{
			"": content, "bytes=0-0": content[:1], "bytes=5-99": content[5:100], "bytes=-7": content[n-7:], "bytes=990-": content[990:],
			fmt.Sprintf("bytes=%d-", n-1): content[n-1:], fmt.Sprintf("bytes=10-%d", n+50): content[10:],
		} {
			status, h := 206, "Range: "+header
			if header == "" {
				status, h = 200, "Accept: */*"
			}
			if got := f.want(status, http.MethodGet, path, "", h); string(got.body) != want {
				t.Errorf("%s %s: %d bytes, want %d", name, header, len(got.body), len(want))
			}
		}
		f.want(416, http.MethodGet, path, "", fmt.Sprintf("Range: bytes=%d-", n))
		tag := f.want(200, http.MethodGet, path, "").Header.Get("ETag")
		f.want(304, http.MethodGet, path, "", "If-None-Match: "+tag)
		f.want(206, http.MethodGet, path, "", "Range: bytes=0-1", "If-Range: "+tag)
		f.want(200, http.MethodGet, path, "", "Range: bytes=0-1", `If-Range: "other"`)
	}
}

// TestDamagedFile: what is not what was stored is not served as if it were.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	dir, _, files := withFiles(t)
	f := newFixture(t, files)
	for name, size := range map[string]int{"small": 1000, "large": 3 << 20} {
		made := f.upload(filePart{name: "file", filename: name, content: strings.Repeat("x", size)})
		of, err := id.Parse[id.FileKind](made.get("id").(string))
		if err != nil {
			t.Fatal(err)
		}
		var blob string
		for _, path := range stored(t, dir) {
			if strings.Contains(path, of.UUID().String()) {
				blob = path
			}
		}
		w, err := os.OpenFile(blob, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteAt([]byte("y"), int64(size/2)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{"", "bytes=0-0", "bytes=-1"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/v1/files/"+of.String()+"/content", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Api-Key", adminSecret)
			if header != "" {
				req.Header.Set("Range", header)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if name == "large" && header == "" {
				if resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || len(body) >= size {
					t.Errorf("%s: %d, %d bytes, %v", name, resp.StatusCode, len(body), err)
				}
			} else if resp.StatusCode != 500 || bytes.Contains(body, []byte("xxxx")) {
				t.Errorf("%s %s: %d, %d bytes", name, header, resp.StatusCode, len(body))
			}
		}
	}
	if !strings.Contains(f.log.String(), "a stored file is damaged") {
		t.Errorf("nobody is told: %s", f.log)
	}
}

func TestListFiles(t *testing.T) {
	t.Parallel()
	_, _, files := withFiles(t)
	f := newFixture(t, files)
	of := f.bareSession()
	var all []string
	for i := range 5 {
		p := []filePart{{name: "file", filename: fmt.Sprint(i), content: "x"}}
		if i == 2 {
			p = append(p, filePart{name: "scope_id", content: of})
		}
		all = append(all, f.upload(p...).get("id").(string))
	}
	list := func(query string) (names string, a answer) {
		t.Helper()
		a = f.want(200, http.MethodGet, "/v1/files"+query, "")
		for _, v := range a.get("data").([]any) {
			names += v.(map[string]any)["filename"].(string)
		}
		return names, a
	}
	for query, want := range map[string]string{
		"": "43210", "?order=asc": "01234", "?limit=2": "43", "?scope_id=" + of: "2", "?session_id=" + of: "2",
		"?after_id=" + all[3]: "210", "?before_id=" + all[3]: "4", "?before_id=" + all[0] + "&limit=2": "21",
		"?ids[]=" + all[0] + "&ids[]=" + all[4] + "&ids[]=nonsense&ids[]=" + all[0]: "40", "?ids=" + all[1]: "1", "?ids=": "43210", "?ids[]=nonsense": "",
	} {
		if got, _ := list(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	_, first := list("?limit=2")
	if first.get("has_more") != true || first.get("first_id") != all[4] || first.get("last_id") != all[3] {
		t.Errorf("first page: %s", first.body)
	}
	second, a := list("?limit=3&page=" + first.get("next_page").(string))
	if second != "210" || a.get("has_more") != false || a.get("next_page") != nil {
		t.Errorf("second page: %s", a.body)
	}
	for query, status := range map[string]int{
		"?limit=0": 400, "?limit=1001": 400, "?limit=1000": 200, "?cursor=nonsense": 400, "?order=up": 400, "?after_id=nonsense": 404,
		"?ids[]=" + all[0] + "&limit=1": 400, "?ids[]=" + all[0] + "&after_id=" + all[0]: 400, "?after_id=" + all[0] + "&before_id=" + all[1]: 400,
		"?scope_id=nonsense": 404, "?scope_id=" + id.New[id.SessionKind](id.NewGenerator(time.Now)).String(): 404,
		"?" + strings.Repeat("ids[]="+all[0]+"&", 101): 200, // one file, a hundred and one times
	} {
		f.want(status, http.MethodGet, "/v1/files"+query, "")
	}
	session, err := id.Parse[id.SessionKind](of)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Sessions().Delete(t.Context(), account.System(f.admin.Tenant), session, f.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if got, _ := list(""); got != "4310" {
		t.Errorf("after the session went: %q", got)
	}
	f.want(404, http.MethodGet, "/v1/files/"+all[2], "")
}

func TestFilesGo(t *testing.T) {
	t.Parallel()
	dir, service, files := withFiles(t)
	f := newFixture(t, files)
	ctx, sc := t.Context(), account.System(f.admin.Tenant)
	short := f.upload(filePart{name: "file", filename: "a", content: "x"}, filePart{name: "expires_in_seconds", content: "60"})
	f.upload(filePart{name: "file", filename: "b", content: "x"}, filePart{name: "expires_in_seconds", content: "6000"})
	sweep := func(want int) {
		t.Helper()
		n, err := (*service).Sweep(ctx)
		if err != nil || n != want {
			t.Errorf("swept %d, want %d: %v", n, want, err)
		}
	}
	sweep(0)
	f.clock.Advance(time.Minute)
	f.wantError(f.do(http.MethodGet, "/v1/files/"+short.get("id").(string), ""), 404, "not_found_error", "file_expired")
	sweep(1)
	sweep(0)
	f.wantError(f.do(http.MethodGet, "/v1/files/"+short.get("id").(string), ""), 404, "not_found_error", "file_not_found")

	// A process that dies between the bytes and their description leaves a pending row.
	if _, err := (*service).Receive(ctx, sc, strings.NewReader("lost")); err != nil {
		t.Fatal(err)
	}
	sweep(0)
	if n := len(stored(t, dir)); n != 2 {
		t.Errorf("%d blobs", n)
	}
	f.clock.Advance(time.Hour + time.Second)
	sweep(1)
	if n := len(stored(t, dir)); n != 1 {
		t.Errorf("%d blobs", n)
	}
}

// TestOutputs: a session's outputs are replaced by name, and what has not changed stays.
func TestOutputs(t *testing.T) {
	t.Parallel()
	dir, service, files := withFiles(t)
	f := newFixture(t, files)
	ctx, sc := t.Context(), account.System(f.admin.Tenant)
	of, err := id.Parse[id.SessionKind](f.bareSession())
	if err != nil {
		t.Fatal(err)
	}
	create := func(content string, output bool) file.File {
		t.Helper()
		v, err := (*service).Create(ctx, sc, file.New{Name: "report.md", Session: of, Output: output, Downloadable: true}, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	upload := create("one", false)
	first := create("one", true)
	if again := create("one", true); again.ID != first.ID {
		t.Error("an output that has not changed is another file")
	}
	second := create("two", true)
	p, err := (*service).List(ctx, sc, file.ListRequest{Session: of})
	if err != nil {
		t.Fatal(err)
	}
	var got []id.File
	for _, v := range p.Items {
		got = append(got, v.ID)
	}
	if d := cmp.Diff([]id.File{second.ID, upload.ID}, got, cmp.AllowUnexported(id.File{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if n := len(stored(t, dir)); n != 2 {
		t.Errorf("%d blobs", n)
	}
	if _, err := (*service).Create(ctx, sc, file.New{Name: "a", Output: true}, strings.NewReader("")); !errors.Is(err, file.ErrInvalid) {
		t.Errorf("an output of no session: %v", err)
	}
	boom := errors.New("boom")
	third := file.New{Name: "report.md", Session: of, Output: true, Then: func(ctx context.Context, v file.File) error {
		if got, err := (*service).Get(ctx, sc, v.ID); err != nil || got.Size != 5 {
			t.Errorf("%+v, %v", got, err)
		}
		return boom
	}}
	if _, err := (*service).Create(ctx, sc, third, strings.NewReader("three")); !errors.Is(err, boom) {
		t.Errorf("what comes with a file fails: %v", err)
	}
	if _, err := (*service).Get(ctx, sc, second.ID); err != nil { // and nothing was replaced
		t.Error(err)
	}
	if _, err := (*service).Create(ctx, sc, file.New{Name: "a"}, io.MultiReader(strings.NewReader("x"), failing{boom})); !errors.Is(err, boom) {
		t.Errorf("a reader that fails: %v", err)
	}
	if n := len(stored(t, dir)); n != 2 {
		t.Errorf("%d blobs", n)
	}
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }
