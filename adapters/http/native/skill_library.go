package native

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/page"
)

// skillFileWire is a file of a skill made of instructions.
type skillFileWire struct {
	Filename  string `json:"filename" doc:"In the skill's folder."`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}

func showFiles(v *skill.GuideVersion) []skillFileWire {
	out := []skillFileWire{}
	if v == nil {
		return out
	}
	for _, f := range v.Files {
		out = append(out, skillFileWire{f.Path, f.Size, hex.EncodeToString(f.Digest[:])})
	}
	return out
}

// skillVersionWire is a version of a skill made of instructions. It carries the names of both generations of the official client
// libraries.
type skillVersionWire struct {
	ID          string          `json:"id" doc:"skillver_..., and the number for skills that come with the server."`
	Type        string          `json:"type" enum:"skill_version"`
	SkillID     string          `json:"skill_id"`
	Version     string          `json:"version" doc:"Its number, from 1."`
	Name        string          `json:"name" doc:"In its SKILL.md."`
	Description string          `json:"description"`
	Directory   string          `json:"directory" doc:"The folder of its files."`
	Files       []skillFileWire `json:"files" nullable:"false"`
	// Scan is the one member that the official libraries do not know; they pass over what they do not know.
	Scan      *scanWire `json:"scan" doc:"What the security scan found; null for skills that come with the server."`
	Withheld  bool      `json:"withheld" doc:"True while a version that the scan calls malicious is kept from the marketplace."`
	CreatedAt stamp     `json:"created_at"`
}

func showSkillVersion(g skill.Guide) func(skill.GuideVersion) skillVersionWire {
	return func(v skill.GuideVersion) skillVersionWire {
		return skillVersionWire{
			ID: v.Ref(), Type: "skill_version", SkillID: g.Ref(), Version: strconv.Itoa(v.Number), Name: v.Name, Description: v.Description,
			Directory: v.Directory, Files: showFiles(&v), Scan: showScan(v.Scan), Withheld: v.Withheld, CreatedAt: stampOf(v.CreatedAt),
		}
	}
}

// showGuide writes a skill made of instructions.
func showGuide(g skill.Guide) skillWire {
	w := skillWire{
		ID: g.Ref(), Type: "skill", Name: cmp.Or(g.Handle, g.DisplayName), DisplayName: g.DisplayName, DisplayTitle: g.DisplayName, Kind: "instructions",
		Source: skillSourceWire{string(g.Source)}, State: string(skill.StateReady), InputSchema: json.RawMessage("null"), Domains: []string{},
		Secrets: []string{}, CreatedAt: stampOf(g.CreatedAt), UpdatedAt: stampOf(g.UpdatedAt),
	}
	if v := g.Latest; v != nil {
		number, ref := strconv.Itoa(v.Number), v.Ref()
		w.Name, w.Description, w.Version, w.LatestVersion, w.LatestVersionID = v.Name, v.Description, &number, &number, ref
	}
	return w
}

// showGuideWhole is showGuide with the files of the latest version.
func showGuideWhole(g skill.Guide) skillWire {
	w := showGuide(g)
	w.Files = showFiles(g.Latest)
	return w
}

type skillVersionsInput struct {
	httpx.PageQuery
	SkillID string `path:"skill_id" doc:"The id, or the handle."`
}

type skillVersionInput struct {
	SkillID string `path:"skill_id" doc:"The id, or the handle."`
	Version string `path:"version" doc:"Its id, its number, or latest."`
}

type skillFileInput struct {
	SkillID  string `path:"skill_id" doc:"The id, or the handle."`
	Filename string `path:"filename" doc:"The file's path in the skill's folder, with its slashes."`
	Version  string `query:"version" default:"latest" maxLength:"255" doc:"The version's id, its number, or latest."`
}

// skillUpload documents the form of an upload.
func skillUpload(versions bool) *huma.Schema {
	text := func(doc string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: doc} }
	file := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	props := map[string]*huma.Schema{
		"files[]": {
			Type: huma.TypeArray, Items: file,
			Description: "The files, whose filenames keep their folder: my-skill/SKILL.md. Also accepted as files.",
		},
		"file":        {Type: huma.TypeString, Format: "binary", Description: "Instead of files[]: all of them in a ZIP archive."},
		"description": text("Instead of the one in SKILL.md."),
	}
	if !versions {
		props["display_title"] = text("What people see; the name in SKILL.md when left out. Also accepted as display_name.")
		props["id"] = text("A short name by which the skill can be called beside its id, unique in the tenant.")
	}
	return &huma.Schema{Type: huma.TypeObject, Properties: props}
}

const skillUploadHelp = "A form with the files, one of them SKILL.md at the top of the folder that they share, or a ZIP archive of it. SKILL.md " +
	"begins with YAML front matter that has `name`, 1 to 64 of a-z, 0-9 and -, and `description`, up to 1,024 characters. At most 500 files of " +
	"25 MiB, 100 MiB together. JSON is accepted, too."

const skillExample = `{"files":[{"filename":"notes/SKILL.md","content":"---\nname: notes\ndescription: Writes notes.\n---\nKeep them short.\n"}]}`

func (f *face) registerSkillLibrary() {
	for _, route := range []struct{ id, path, summary string }{
		{"createSkill", "/v1/skills", "Upload a skill made of instructions"},
		{"uploadSkill", "/v1/skills/upload", "Upload a skill as a ZIP archive"},
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: route.id, Method: http.MethodPost, Path: route.path, Tag: "skills", Status: http.StatusCreated,
			Summary: route.summary, Description: skillUploadHelp, Permission: account.Skills, Upload: "multipart/form-data",
			UploadSchema: skillUpload(false), UploadJSON: reflect.TypeFor[skillBody](), Example: skillExample, Statuses: []int{http.StatusConflict},
		}, func(ctx context.Context, _ *struct{}) (*output[skillWire], error) {
			up, err := f.readSkillUpload(ctx)
			if err != nil {
				return nil, err
			}
			defer up.close()
			g, err := f.deps.Library.Create(ctx, httpx.Scope(ctx), up.NewGuide)
			if err != nil {
				return nil, err
			}
			return ok(showGuideWhole(g)), nil
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteSkill", Method: http.MethodDelete, Path: "/v1/skills/{skill_id}", Tag: "skills",
		Summary: "Delete an uploaded skill with all its versions", Permission: account.Skills,
		Description: "Skills that come with the server cannot be deleted. Agents that have the skill are told that it is not there any more.",
	}, func(ctx context.Context, in *skillInput) (*output[httpx.Deleted], error) {
		g, err := f.deps.Library.Delete(ctx, httpx.Scope(ctx), in.SkillID)
		if fault.KindOf(err) == fault.NotFound {
			if p, perr := f.deps.Skills.Skill(ctx, httpx.Scope(ctx), in.SkillID); perr == nil {
				return nil, skill.ErrBuiltin.Withf("the skill %q is a plugin of the server, which only its operator can remove", p.Name)
			}
		}
		if err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: g.Ref(), Type: "skill_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createSkillVersion", Method: http.MethodPost, Path: "/v1/skills/{skill_id}/versions", Tag: "skills", Status: http.StatusCreated,
		Summary: "Upload the next version of a skill", Description: skillUploadHelp, Permission: account.Skills, Upload: "multipart/form-data",
		UploadSchema: skillUpload(true), UploadJSON: reflect.TypeFor[skillBody](), Example: skillExample,
	}, func(ctx context.Context, in *skillInput) (*output[skillVersionWire], error) {
		if _, err := f.deps.Library.Get(ctx, httpx.Scope(ctx), in.SkillID); err != nil { // before a large body is read
			return nil, err
		}
		up, err := f.readSkillUpload(ctx)
		if err != nil {
			return nil, err
		}
		defer up.close()
		g, v, err := f.deps.Library.AddVersion(ctx, httpx.Scope(ctx), in.SkillID, up.NewGuide)
		if err != nil {
			return nil, err
		}
		return ok(showSkillVersion(g)(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSkillVersions", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/versions", Tag: "skills",
		Summary: "List the versions of a skill, newest first", Permission: account.Skills,
	}, func(ctx context.Context, in *skillVersionsInput) (*output[httpx.List[skillVersionWire]], error) {
		g, p, err := f.deps.Library.Versions(ctx, httpx.Scope(ctx), in.SkillID, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showSkillVersion(g))), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSkillVersion", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/versions/{version}", Tag: "skills",
		Summary: "Read a version of a skill", Permission: account.Skills,
	}, func(ctx context.Context, in *skillVersionInput) (*output[skillVersionWire], error) {
		g, v, err := f.deps.Library.Version(ctx, httpx.Scope(ctx), in.SkillID, in.Version)
		if err != nil {
			return nil, err
		}
		return ok(showSkillVersion(g)(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteSkillVersion", Method: http.MethodDelete, Path: "/v1/skills/{skill_id}/versions/{version}", Tag: "skills",
		Summary: "Delete a version of an uploaded skill", Permission: account.Skills,
		Description: "The newest of the versions that remain becomes the latest one.",
	}, func(ctx context.Context, in *skillVersionInput) (*output[httpx.Deleted], error) {
		v, err := f.deps.Library.DeleteVersion(ctx, httpx.Scope(ctx), in.SkillID, in.Version)
		if err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: v.Ref(), Type: "skill_version_deleted"}), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getSkillVersionContent", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/versions/{version}/content", Tag: "skills",
		Summary: "Download the files of a version as a ZIP archive", Permission: account.Skills, Produces: "application/zip",
	}, func(ctx context.Context, in *skillVersionInput) (httpx.Stream, error) {
		sc := httpx.Scope(ctx)
		g, v, err := f.deps.Library.Version(ctx, sc, in.SkillID, in.Version)
		if err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, r *http.Request) {
			download(w, v.Name+"-"+strconv.Itoa(v.Number)+".zip", "application/zip")
			if err := f.deps.Library.Zip(r.Context(), sc, g, v, w); err != nil {
				panic(http.ErrAbortHandler) // the connection must show that the archive is not whole
			}
		}, nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getSkillFile", Method: http.MethodGet, Path: "/v1/skills/{skill_id}/files/{filename...}", Tag: "skills",
		Summary: "Download a file of a skill", Permission: account.Skills,
	}, func(ctx context.Context, in *skillFileInput) (httpx.Stream, error) {
		sc := httpx.Scope(ctx)
		g, v, err := f.deps.Library.Version(ctx, sc, in.SkillID, in.Version)
		if err != nil {
			return nil, err
		}
		file, content, err := f.deps.Library.Open(ctx, sc, g, v, in.Filename)
		if err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			defer content.Close()
			typ := mime.TypeByExtension(path.Ext(file.Path))
			if strings.HasSuffix(file.Path, ".md") {
				typ = "text/markdown; charset=utf-8"
			}
			download(w, path.Base(file.Path), cmp.Or(typ, "application/octet-stream"))
			w.Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
			if _, err := io.Copy(w, content); err != nil {
				panic(http.ErrAbortHandler)
			}
		}, nil
	})
}

// download sets the headers of a file that somebody uploaded: browsers keep it and never show it as a page of this server.
func download(w http.ResponseWriter, name, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
}

// listSkills lists uploaded skills, newest first, then those that come with the server, then plugins by name. A cursor names the list
// that it goes on in.
func (f *face) listSkills(ctx context.Context, in *listSkillsInput) (*output[httpx.List[skillWire]], error) {
	sc := httpx.Scope(ctx)
	req := in.Request()
	parts := []struct {
		source string
		list   func(page.Request) (page.Page[skillWire], error)
	}{
		{"custom", func(r page.Request) (page.Page[skillWire], error) {
			p, err := f.deps.Library.List(ctx, sc, skill.ListGuides{Request: r, Search: in.Search})
			return pageAs(p, showGuide), err
		}},
		{"anthropic", func(r page.Request) (page.Page[skillWire], error) {
			return builtinPage(f.deps.Library.Builtin(in.Search), r)
		}},
		{"plugin", func(r page.Request) (page.Page[skillWire], error) {
			p, err := f.deps.Skills.Skills(ctx, sc, in.Search, r)
			return pageAs(p, f.showSkill), err
		}},
		{"agent", func(r page.Request) (page.Page[skillWire], error) { return f.structuredPage(ctx, sc, in.Search, r) }},
	}
	from, cursor, found := strings.Cut(req.Cursor, ".")
	if req.Cursor != "" && (!found || from != "custom" && from != "anthropic" && from != "plugin" && from != "agent") {
		return nil, fault.Invalidf("cursor", "is not a cursor of this list")
	}
	size := req.Size()
	out := httpx.List[skillWire]{Data: []skillWire{}}
	more := func(source, next string) *output[httpx.List[skillWire]] {
		next = source + "." + next
		out.HasMore, out.NextPage = true, &next
		return ok(out)
	}
	for _, part := range parts {
		if in.Source != "any" && in.Source != part.source || part.source == "agent" && f.deps.Market == nil || part.source != "plugin" && part.source != "agent" && f.deps.Library == nil {
			continue
		}
		if from != "" && from != part.source {
			continue
		}
		if len(out.Data) == size { // whether there is more can only be known by asking
			p, err := part.list(page.Request{Limit: 1})
			if err != nil {
				return nil, err
			}
			if len(p.Items) > 0 {
				return more(part.source, ""), nil
			}
			continue
		}
		p, err := part.list(page.Request{Limit: size - len(out.Data), Cursor: cursor})
		if err != nil {
			return nil, err
		}
		from, cursor = "", ""
		out.Data = append(out.Data, p.Items...)
		if p.Next != "" {
			return more(part.source, p.Next), nil
		}
	}
	return ok(out), nil
}

func pageAs[E, T any](p page.Page[E], show func(E) T) page.Page[T] {
	out := page.Page[T]{Next: p.Next}
	for _, item := range p.Items {
		out.Items = append(out.Items, show(item))
	}
	return out
}

// builtinPage is a page of a short list; its cursors are handles.
func builtinPage(all []skill.Guide, req page.Request) (page.Page[skillWire], error) {
	var out page.Page[skillWire]
	for _, g := range all {
		switch {
		case req.Cursor != "" && g.Handle <= req.Cursor:
		case len(out.Items) == req.Size():
			out.Next = out.Items[len(out.Items)-1].ID
			return out, nil
		default:
			out.Items = append(out.Items, showGuide(g))
		}
	}
	return out, nil
}
