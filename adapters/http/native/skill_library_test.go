package native

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
)

// libraryFixture serves skills of every kind.
func libraryFixture(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, withLibrary)
}

// withLibrary adds skills of every kind.
func withLibrary(f *fixture, d *Deps) {
	f.provideSkills(d)
	d.Library = f.library()
	f.provideMarket(d, d.Library)
}

// library returns the library of instructions.
func (f *fixture) library() *skill.Library {
	f.t.Helper()
	blobs, err := gocloud.Open(f.t.Context(), gocloud.Config{Dir: f.t.TempDir()})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = blobs.Close() })
	l, err := skill.NewLibrary(skill.LibraryDeps{
		TX: f.store, Clock: f.clock, IDs: id.NewGenerator(time.Now), Logger: slog.New(slog.DiscardHandler), Repository: f.store.Guides(), Blobs: blobs,
		Plugins: f.store.Skills(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

func skillDoc(name string) string {
	return "---\nname: " + name + "\ndescription: Does " + name + ".\n---\n# " + name + "\n"
}

// form makes the body of an upload: parts are name, filename ("" is a field) and content.
func form(t *testing.T, parts ...[3]string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf("form-data; name=%q", p[0])
		if p[1] != "" {
			disposition += fmt.Sprintf("; filename=%q", p[1])
		}
		h.Set("Content-Disposition", disposition)
		part, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write([]byte(p[2]))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), "Content-Type: " + w.FormDataContentType()
}

// archive makes a ZIP of name and content in turns.
func archive(t *testing.T, pairs ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		f, err := w.Create(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.Write([]byte(pairs[i+1]))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSkillUpload(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	body, typ := form(t, [3]string{"display_name", "", "My notes"},
		[3]string{"files[]", "notes/SKILL.md", skillDoc("notes")}, [3]string{"files[]", "notes/scripts/run.py", "print(1)\n"})
	made := f.want(201, "POST", "/v1/skills", body, typ)
	ref := made.get("id").(string)
	if !strings.HasPrefix(ref, "skill_") || made.get("type") != "skill" || made.get("display_name") != "My notes" || made.get("display_title") != "My notes" ||
		made.get("source", "type") != "custom" || made.get("latest_version") != "1" || made.get("kind") != "instructions" ||
		made.get("name") != "notes" || made.get("description") != "Does notes." || len(made.get("files").([]any)) != 2 {
		t.Errorf("got %s", made.body)
	}
	version := made.get("latest_version_id").(string)
	if a := f.want(200, "GET", "/v1/skills/"+ref, ""); a.get("latest_version_id") != version {
		t.Errorf("got %s", a.body)
	}

	t.Run("files", func(t *testing.T) {
		for path, want := range map[string]string{
			"SKILL.md": skillDoc("notes"), "scripts/run.py": "print(1)\n", "scripts%2Frun.py": "print(1)\n", "scripts/run.py?version=1": "print(1)\n",
		} {
			a := f.want(200, "GET", "/v1/skills/"+ref+"/files/"+path, "")
			if string(a.body) != want || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %q, %v", path, a.body, a.Header)
			}
		}
		f.wantError(f.do("GET", "/v1/skills/"+ref+"/files/none.md", ""), 404, "not_found_error", "skill_file_not_found")
		f.wantError(f.do("GET", "/v1/skills/"+ref+"/files/SKILL.md?version=7", ""), 404, "not_found_error", "skill_version_not_found")
	})
	t.Run("other forms of the same", func(t *testing.T) {
		zipped := archive(t, "z/SKILL.md", skillDoc("zipped"), "z/a.txt", "a", "__MACOSX/z/._a.txt", "x")
		zipForm, zipType := form(t, [3]string{"file", "z.zip", zipped}, [3]string{"display_title", "", "Z"}, [3]string{"description", "", "Better words."})
		plain, plainType := form(t, [3]string{"files", "p/SKILL.md", skillDoc("plain")})
		inline := `{"files":[{"filename":"SKILL.md","content":` + quoted(skillDoc("inline")) + `},{"filename":"b.bin","encoding":"base64","content":"` +
			base64.StdEncoding.EncodeToString([]byte{0, 1}) + `"}]}`
		for _, c := range []struct{ path, body, typ, name, display, description string }{
			{"/v1/skills", zipForm, zipType, "zipped", "Z", "Better words."},
			{"/v1/skills/upload", zipForm, zipType, "zipped", "Z", "Better words."},
			{"/v1/skills/upload", zipped, "Content-Type: application/zip", "zipped", "zipped", "Does zipped."},
			{"/v1/skills", plain, plainType, "plain", "plain", "Does plain."},
			{"/v1/skills", inline, "Content-Type: application/json", "inline", "inline", "Does inline."},
		} {
			a := f.want(201, "POST", c.path, c.body, c.typ)
			if a.get("name") != c.name || a.get("display_title") != c.display || a.get("description") != c.description {
				t.Errorf("%s: got %s", c.name, a.body)
			}
		}
	})
	t.Run("versions", func(t *testing.T) {
		body, typ := form(t, [3]string{"files[]", "notes/SKILL.md", skillDoc("notes-two")})
		two := f.want(201, "POST", "/v1/skills/"+ref+"/versions", body, typ)
		if two.get("version") != "2" || two.get("skill_id") != ref || two.get("name") != "notes-two" || two.get("directory") != "notes" ||
			two.get("type") != "skill_version" {
			t.Errorf("got %s", two.body)
		}
		for v, name := range map[string]string{"1": "notes", version: "notes", "2": "notes-two", "latest": "notes-two", two.get("id").(string): "notes-two"} {
			if a := f.want(200, "GET", "/v1/skills/"+ref+"/versions/"+v, ""); a.get("name") != name {
				t.Errorf("%s: got %s", v, a.body)
			}
		}
		list := f.want(200, "GET", "/v1/skills/"+ref+"/versions?limit=1", "")
		next := list.get("next_page").(string)
		rest := f.want(200, "GET", "/v1/skills/"+ref+"/versions?limit=1&page="+next, "")
		if list.get("data").([]any)[0].(map[string]any)["version"] != "2" || rest.get("data").([]any)[0].(map[string]any)["version"] != "1" || rest.get("next_page") != nil {
			t.Errorf("got %s and %s", list.body, rest.body)
		}
		content := f.want(200, "GET", "/v1/skills/"+ref+"/versions/1/content", "")
		z, err := zip.NewReader(bytes.NewReader(content.body), int64(len(content.body)))
		if err != nil || len(z.File) != 2 || z.File[0].Name != "notes/SKILL.md" || z.File[1].Name != "notes/scripts/run.py" {
			t.Fatalf("%v, %v", z, err)
		}
		r, err := z.File[1].Open()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != "print(1)\n" {
			t.Errorf("%q, %v", text, err)
		}
		f.wantError(f.do("GET", "/v1/skills/"+ref+"/versions/3", ""), 404, "not_found_error", "skill_version_not_found")
		f.wantError(f.do("POST", "/v1/skills/skill_01h455vb4pex5vsknk084sn02q/versions", body, typ), 404, "not_found_error", "skill_not_found")

		if a := f.want(200, "DELETE", "/v1/skills/"+ref+"/versions/2", ""); a.get("type") != "skill_version_deleted" || a.get("id") != two.get("id") {
			t.Errorf("got %s", a.body)
		}
		if a := f.want(200, "GET", "/v1/skills/"+ref, ""); a.get("latest_version") != "1" || a.get("name") != "notes" {
			t.Errorf("got %s", a.body)
		}
		if a := f.want(201, "POST", "/v1/skills/"+ref+"/versions", body, typ); a.get("version") != "3" {
			t.Errorf("a deleted number came back: %s", a.body)
		}
		f.want(200, "DELETE", "/v1/skills/"+ref+"/versions/latest", "")
		f.want(200, "DELETE", "/v1/skills/"+ref+"/versions/"+version, "")
		if a := f.want(200, "GET", "/v1/skills/"+ref, ""); a.get("latest_version_id") != "" || a.get("display_title") != "My notes" {
			t.Errorf("got %s", a.body)
		}
		f.wantError(f.do("GET", "/v1/skills/"+ref+"/files/SKILL.md", ""), 404, "not_found_error", "skill_version_not_found")
		if a := f.want(200, "DELETE", "/v1/skills/"+ref, ""); a.get("type") != "skill_deleted" || a.get("id") != ref {
			t.Errorf("got %s", a.body)
		}
		f.wantError(f.do("GET", "/v1/skills/"+ref, ""), 404, "not_found_error", "skill_not_found")
		f.wantError(f.do("DELETE", "/v1/skills/"+ref, ""), 404, "not_found_error", "skill_not_found")
	})
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestSkillUploadRefusals(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	doc := skillDoc("a")
	inline := func(fields string, pairs ...string) string {
		var files []string
		for i := 0; i < len(pairs); i += 2 {
			files = append(files, `{"filename":`+quoted(pairs[i])+`,"content":`+quoted(pairs[i+1])+`}`)
		}
		return `{"files":[` + strings.Join(files, ",") + `]` + fields + `}`
	}
	for what, c := range map[string]struct{ body, path string }{
		"no files":            {`{}`, "files"},
		"null":                {`{"files":null}`, "files"},
		"an array":            {`[]`, "body"},
		"files of wrong type": {`{"files":"x"}`, "files"},
		"no content":          {`{"files":[{"filename":"SKILL.md"}]}`, "files[0].content"},
		"no filename":         {`{"files":[{"content":"x"}]}`, "files[0].filename"},
		"bad encoding":        {`{"files":[{"filename":"SKILL.md","content":"","encoding":"x"}]}`, "files[0].encoding"},
		"bad base64":          {`{"files":[{"filename":"SKILL.md","content":"!","encoding":"base64"}]}`, "files[0].content"},
		"no SKILL.md":         {inline("", "a/b.md", doc), "SKILL.md"},
		"SKILL.md too deep":   {inline("", "a/b/SKILL.md", doc), "SKILL.md"},
		"two folders":         {inline("", "a/SKILL.md", doc, "b/x", ""), "b/x"},
		"absolute":            {inline("", "/a/SKILL.md", doc), "/a/SKILL.md"},
		"dots":                {inline("", "a/SKILL.md", doc, "a/../b", ""), "a/../b"},
		"backslash":           {inline("", `a\SKILL.md`, doc), `a\SKILL.md`},
		"twice":               {inline("", "a/SKILL.md", doc, "a/x", "", "a/x", ""), "a/x"},
		"case":                {inline("", "a/SKILL.md", doc, "a/x", "", "a/X", ""), "a/X"},
		"file and folder":     {inline("", "a/SKILL.md", doc, "a/x", "", "a/x/y", ""), "a/x"},
		"no front matter":     {inline("", "a/SKILL.md", "# a"), "SKILL.md"},
		"bad name":            {inline("", "a/SKILL.md", "---\nname: A b\ndescription: d\n---\n"), "SKILL.md"},
		"no description":      {inline("", "a/SKILL.md", "---\nname: a\n---\n"), "SKILL.md"},
		"long description":    {inline("", "a/SKILL.md", "---\nname: a\ndescription: "+strings.Repeat("d", 1025)+"\n---\n"), "SKILL.md"},
		"list as description": {inline("", "a/SKILL.md", "---\nname: a\ndescription: [d]\n---\n"), "SKILL.md"},
		"another name":        {inline(`,"name":"b"`, "a/SKILL.md", doc), "name"},
		"two titles":          {inline(`,"display_title":"a","display_name":"b"`, "a/SKILL.md", doc), "display_name"},
		"long title":          {inline(`,"display_title":"`+strings.Repeat("x", 256)+`"`, "a/SKILL.md", doc), "display_title"},
		"reserved id":         {inline(`,"id":"builtin_pdf"`, "a/SKILL.md", doc), "id"},
		"bad id":              {inline(`,"id":"A B"`, "a/SKILL.md", doc), "id"},
	} {
		a := f.do("POST", "/v1/skills", c.body, "Content-Type: application/json")
		fields, _ := a.get("error", "details", "fields").([]any)
		if a.StatusCode != 400 || len(fields) == 0 || fields[0].(map[string]any)["path"] != c.path {
			t.Errorf("%s: %d %s; want the path %s", what, a.StatusCode, a.body, c.path)
		}
	}
	noBoundary := f.do("POST", "/v1/skills", "x", "Content-Type: multipart/form-data")
	broken := f.do("POST", "/v1/skills", "x", "Content-Type: multipart/form-data; boundary=b")
	noZip := f.do("POST", "/v1/skills/upload", "x", "Content-Type: application/zip")
	for _, a := range []answer{noBoundary, broken, noZip} {
		if a.StatusCode != 400 {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	if list := f.want(200, "GET", "/v1/skills?source=custom", ""); len(list.get("data").([]any)) != 0 {
		t.Errorf("something was stored: %s", list.body)
	}

	f.want(201, "POST", "/v1/skills", inline(`,"id":"mine"`, "a/SKILL.md", doc))
	f.wantError(f.do("POST", "/v1/skills", inline(`,"id":"mine"`, "a/SKILL.md", doc)), 409, "conflict_error", "skill_exists")
	f.installPlugin("skill echo")
	f.wantError(f.do("POST", "/v1/skills", inline(`,"id":"echo"`, "a/SKILL.md", doc)), 409, "conflict_error", "skill_exists")
	if a := f.want(200, "GET", "/v1/skills/mine", ""); a.get("name") != "a" {
		t.Errorf("got %s", a.body)
	}
}

func TestBuiltinSkills(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	f.installPlugin("skill echo")
	f.want(201, "POST", "/v1/skills", `{"files":[{"filename":"SKILL.md","content":`+quoted(skillDoc("mine"))+`}]}`)
	var names []string
	for page, n := "", 0; n < 20; n++ {
		list := f.want(200, "GET", "/v1/skills?limit=2"+page, "")
		for _, item := range list.get("data").([]any) {
			s := item.(map[string]any)
			names = append(names, s["source"].(map[string]any)["type"].(string)+" "+s["name"].(string))
		}
		next, more := list.get("next_page").(string)
		if more != (list.get("has_more") == true) {
			t.Fatalf("got %s", list.body)
		}
		if !more {
			break
		}
		page = "&page=" + next
	}
	want := "custom mine, anthropic docx, anthropic pdf, anthropic pptx, anthropic xlsx, plugin echo"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for query, want := range map[string]int{
		"source=custom": 1, "source=anthropic": 4, "source=plugin": 1, "source=any": 6, "source=anthropic_example": 0, "search=PDF": 1, "search=mine": 1,
	} {
		if a := f.want(200, "GET", "/v1/skills?"+query, ""); len(a.get("data").([]any)) != want {
			t.Errorf("%s: got %s, want %d", query, a.body, want)
		}
	}
	for _, bad := range []string{"x", "custom.x", "plugin.x", "other.1"} {
		if a := f.do("GET", "/v1/skills?cursor="+bad, ""); a.StatusCode != 400 {
			t.Errorf("the cursor %s: %d %s", bad, a.StatusCode, a.body)
		}
	}
	if a := f.want(200, "GET", "/v1/skills/builtin_pdf", ""); a.get("id") != "builtin_pdf" || a.get("source", "type") != "anthropic" || a.get("latest_version_id") != "1" {
		t.Errorf("got %s", a.body)
	}
	if a := f.want(200, "GET", "/v1/skills/pdf", ""); a.get("id") != "builtin_pdf" {
		t.Errorf("by its bare name: got %s", a.body)
	}
	if a := f.want(200, "GET", "/v1/skills/builtin_pdf/files/scripts/make_pdf.py", ""); !bytes.Contains(a.body, []byte("PDF")) {
		t.Errorf("got %s", a.body)
	}
	f.want(200, "GET", "/v1/skills/builtin_pdf/versions/latest/content", "")
	if a := f.want(200, "GET", "/v1/skills/builtin_pdf/versions", ""); len(a.get("data").([]any)) != 1 {
		t.Errorf("got %s", a.body)
	}
	f.wantError(f.do("DELETE", "/v1/skills/builtin_pdf", ""), 403, "permission_error", "skill_builtin")
	f.wantError(f.do("DELETE", "/v1/skills/builtin_pdf/versions/1", ""), 403, "permission_error", "skill_builtin")
	f.wantError(f.do("DELETE", "/v1/skills/echo", ""), 403, "permission_error", "skill_builtin")
	body, typ := form(t, [3]string{"files[]", "a/SKILL.md", skillDoc("a")})
	f.wantError(f.do("POST", "/v1/skills/builtin_pdf/versions", body, typ), 403, "permission_error", "skill_builtin")
}

func TestSkillsOfTenants(t *testing.T) {
	t.Parallel()
	f := libraryFixture(t)
	upload := `{"id":"same","files":[{"filename":"SKILL.md","content":` + quoted(skillDoc("mine")) + `}]}`
	ref := f.want(201, "POST", "/v1/skills", upload).get("id").(string)
	_, secret := f.newTenant(account.PlanFree)
	key := "x-api-key: " + secret
	for _, path := range []string{ref, "same", ref + "/versions", ref + "/versions/1", ref + "/versions/1/content", ref + "/files/SKILL.md"} {
		f.wantError(f.do("GET", "/v1/skills/"+path, "", key), 404, "not_found_error", "skill_not_found")
	}
	f.wantError(f.do("DELETE", "/v1/skills/"+ref, "", key), 404, "not_found_error", "skill_not_found")
	f.wantError(f.do("POST", "/v1/skills/"+ref+"/versions", upload, key), 404, "not_found_error", "skill_not_found")
	f.want(201, "POST", "/v1/skills", upload, key) // handles are a tenant's own
	clerk := "x-api-key: " + f.newKey(account.AgentsRead)
	f.wantError(f.do("POST", "/v1/skills", upload, clerk), 403, "permission_error", "permission_denied")
}
