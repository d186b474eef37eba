package native

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/fault"
)

// skillUploaded is an upload while it is being stored.
type skillUploaded struct {
	skill.NewGuide

	form *multipart.Form
	temp *os.File
}

func (u *skillUploaded) close() {
	if u.form != nil {
		_ = u.form.RemoveAll() // the system clears its temporary files, too
	}
	if u.temp != nil {
		_ = u.temp.Close()
	}
}

// formMemory is how much of a form is held in memory; the rest goes into temporary files.
const formMemory = 8 << 20

var errUploadTooLarge = fault.New(fault.TooLarge, "body_too_large", "the request's body is over the limit")

// readSkillUpload reads a form, an archive or JSON.
func (f *face) readSkillUpload(ctx context.Context) (*skillUploaded, error) {
	kind, params, _ := mime.ParseMediaType(httpx.Request(ctx).Header.Get("Content-Type"))
	u := &skillUploaded{}
	var err error
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		err = u.readForm(httpx.Body(ctx), params["boundary"])
	case kind == "application/zip", kind == "application/x-zip-compressed", kind == "application/octet-stream":
		err = u.readArchive(httpx.Body(ctx))
	default:
		err = u.readJSON(ctx)
	}
	if err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

func (u *skillUploaded) readForm(body io.Reader, boundary string) error {
	if boundary == "" {
		return fault.Invalidf("body", "the content type of a form names its boundary")
	}
	form, err := multipart.NewReader(body, boundary).ReadForm(formMemory)
	if err != nil {
		if fe, ok := fault.As(err); ok {
			return fe
		}
		if errors.Is(err, multipart.ErrMessageTooLarge) {
			return errUploadTooLarge
		}
		return fault.Invalidf("body", "is not a form that can be read")
	}
	u.form = form
	for name, values := range form.Value {
		if name == "file" || isFiles(name) {
			return fault.Invalidf(name, "needs a filename")
		}
		if len(values) > 1 && (name == "id" || name == "name" || name == "description" || strings.HasPrefix(name, "display_")) {
			return fault.Invalidf(name, "appears twice")
		}
	}
	one := func(name string) string {
		if v := form.Value[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if err := u.titles(one("display_title"), one("display_name")); err != nil {
		return err
	}
	u.Handle, u.Name, u.Description = one("id"), one("name"), one("description")
	var files []*multipart.FileHeader
	for name, of := range form.File {
		if name == "file" || isFiles(name) {
			files = append(files, of...)
		}
	}
	if len(files) == 1 {
		archive, err := openArchive(files[0])
		if err != nil {
			return err
		}
		if archive != nil {
			u.Files, err = skill.ReadZip(archive, files[0].Size)
			return err
		}
	}
	for _, h := range files {
		// What the library calls the file's name has lost its folder.
		_, params, err := mime.ParseMediaType(h.Header.Get("Content-Disposition"))
		if err != nil {
			return fault.Invalidf("files", "a part has a content disposition that cannot be read")
		}
		u.Files = append(u.Files, skill.Upload{Path: params["filename"], Open: func() (io.ReadCloser, error) { return h.Open() }})
	}
	return nil
}

// isFiles reports whether a part holds one of several files: files, files[] or files[3].
func isFiles(name string) bool { return name == "files" || strings.HasPrefix(name, "files[") }

var zipMagic = []byte("PK\x03\x04")

// openArchive opens a file that is a ZIP archive, and returns nil for any other.
func openArchive(h *multipart.FileHeader) (multipart.File, error) {
	file, err := h.Open() // closed with the form
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	head := make([]byte, len(zipMagic))
	if _, err := file.ReadAt(head, 0); err == nil && bytes.Equal(head, zipMagic) || strings.HasSuffix(strings.ToLower(h.Filename), ".zip") {
		return file, nil
	}
	return nil, file.Close()
}

// readArchive reads a body that is itself an archive.
func (u *skillUploaded) readArchive(body io.Reader) error {
	temp, err := os.CreateTemp("", "bureau-skill-*.zip")
	if err != nil {
		return fmt.Errorf("native: %w", err)
	}
	u.temp = temp
	if err := os.Remove(temp.Name()); err != nil { // it stays until it is closed
		return fmt.Errorf("native: %w", err)
	}
	size, err := io.Copy(temp, body)
	if err != nil {
		return err
	}
	u.Files, err = skill.ReadZip(temp, size)
	return err
}

// skillBody is an upload as JSON.
type skillBody struct {
	ID           string          `json:"id,omitempty" doc:"A short name by which the skill can be called beside its id, unique in the tenant."`
	DisplayTitle string          `json:"display_title,omitempty" doc:"What people see; the name in SKILL.md when left out."`
	DisplayName  string          `json:"display_name,omitempty" doc:"Another name of display_title."`
	Name         string          `json:"name,omitempty" doc:"Instead of the one in SKILL.md."`
	Description  string          `json:"description,omitempty" doc:"Instead of the one in SKILL.md."`
	Files        []skillFileBody `json:"files" minItems:"1" nullable:"false"`
}

type skillFileBody struct {
	Filename string `json:"filename" minLength:"1" doc:"With its folder: my-skill/SKILL.md."`
	Content  string `json:"content" doc:"As encoding says."`
	Encoding string `json:"encoding,omitempty" enum:"utf8,utf-8,base64" doc:"utf8 when left out."`
}

func (u *skillUploaded) readJSON(ctx context.Context) error {
	var b skillBody
	if err := httpx.ReadJSON(ctx, &b); err != nil {
		return err
	}
	if err := u.titles(b.DisplayTitle, b.DisplayName); err != nil {
		return err
	}
	u.Handle, u.Name, u.Description = b.ID, b.Name, b.Description
	for i, file := range b.Files {
		content := []byte(file.Content)
		if file.Encoding == "base64" {
			var err error
			if content, err = base64.StdEncoding.DecodeString(file.Content); err != nil {
				return fault.Invalidf(fmt.Sprintf("files[%d].content", i), "is not base64")
			}
		}
		u.Files = append(u.Files, skill.Bytes(file.Filename, content))
	}
	return nil
}

// titles takes the name that people see, which has two spellings.
func (u *skillUploaded) titles(title, name string) error {
	if title != "" && name != "" && title != name {
		return fault.Invalidf("display_name", "differs from display_title, which is another spelling of it")
	}
	u.DisplayName = cmp.Or(title, name)
	return nil
}
