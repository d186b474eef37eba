package skill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Source says who a guide is from, as the Managed Agents API spells it.
type Source string

// The sources.
const (
	SourceCustom  Source = "custom"    // a tenant has uploaded it
	SourceBuiltin Source = "anthropic" // it comes with the server
)

// Guide is a skill made of instructions: a SKILL.md, which tells a model how to do something, and further files that it may need.
type Guide struct {
	// ID names a guide of a tenant; Handle one that comes with the server, "builtin_pdf", and is the tenant's own short name otherwise,
	// "" for none. A guide that comes with the server has no ID.
	ID          id.Skill
	Handle      string
	Tenant      id.Tenant
	Source      Source
	DisplayName string
	Latest      *GuideVersion // nil when every version was deleted
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Ref is how the guide is named: its id, and the handle of one that comes with the server.
func (g Guide) Ref() string {
	if g.ID.IsZero() {
		return g.Handle
	}
	return g.ID.String()
}

// GuideVersion is one upload of a guide. It never changes.
type GuideVersion struct {
	ID          id.SkillVersion // zero for guides that come with the server
	Number      int             // from 1; a deleted number does not come back
	Name        string          // in its SKILL.md
	Description string
	Directory   string // the folder that it was uploaded in; Name when there was none
	Files       []File // by path
	// Scan is what the security scan found at the upload; nil for what comes with the server.
	Scan *scan.Report
	// Withheld keeps a version that the scan calls malicious from the marketplace, until an administrator accepts it. The tenant's own agents may use it by
	// their configurations all the same.
	Withheld  bool
	CreatedAt time.Time
}

// Ref is how the version is named: its id, and its number for guides that come with the server.
func (v GuideVersion) Ref() string {
	if v.ID.IsZero() {
		return strconv.Itoa(v.Number)
	}
	return v.ID.String()
}

// Skill returns the id under which the marketplace lists the guide, also one that comes with the server.
func (g Guide) Skill() id.Skill {
	if g.ID.IsZero() {
		return builtinSkill(g.Handle)
	}
	return g.ID
}

// Digest is the lower-case hexadecimal SHA-256 over the paths, the sizes and the digests of the files, in the order of their paths.
func (v GuideVersion) Digest() string {
	sum := sha256.New()
	for _, f := range v.Files {
		fmt.Fprintf(sum, "%d:%s %d %x\n", len(f.Path), f.Path, f.Size, f.Digest)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// file returns a file by its path.
func (v GuideVersion) file(path string) (File, bool) {
	for _, f := range v.Files {
		if f.Path == path {
			return f, true
		}
	}
	return File{}, false
}

// GuideRepository keeps the guides of tenants. Calls join the transaction in ctx. A guide that is not the tenant's is
// ErrSkillNotFound, a version that it does not have ErrVersionNotFound.
type GuideRepository interface {
	// CreateGuide adds a guide without versions. It returns ErrHandle when the tenant has one of this Handle.
	CreateGuide(ctx context.Context, sc account.Scope, g Guide) error
	// AddVersion gives v the next number of the guide and adds it, with UpdatedAt of the guide set to its CreatedAt.
	AddVersion(ctx context.Context, sc account.Scope, guide id.Skill, v GuideVersion) (GuideVersion, error)
	// Guide returns the guide of this id or, when guide is zero, of this handle.
	Guide(ctx context.Context, sc account.Scope, guide id.Skill, handle string) (Guide, error)
	// Guides lists guides, newest first.
	Guides(ctx context.Context, sc account.Scope, req ListGuides) (page.Page[Guide], error)
	// Version returns the version of this id or, when version is zero, of this number.
	Version(ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion, number int) (GuideVersion, error)
	// Versions lists versions, newest first.
	Versions(ctx context.Context, sc account.Scope, guide id.Skill, req page.Request) (page.Page[GuideVersion], error)
	// Delete removes a version or, when version is zero, the guide with all versions, and returns what went.
	Delete(ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion) ([]GuideVersion, error)
}

// GuideAcceptor keeps which versions were accepted after all. It joins the transaction in ctx.
type GuideAcceptor interface {
	// Accept ends that a version is Withheld. It returns ErrVersionNotFound.
	Accept(ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion) error
}

// ListGuides asks for a page of guides.
type ListGuides struct {
	page.Request
	Search string // part of the display name, the handle, or the newest version's name or description, in any case; "" is all
}

// LibraryDeps are what a Library works with. All are required but those that say otherwise.
type LibraryDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository GuideRepository
	Acceptor   GuideAcceptor // nil: nothing that is withheld can be accepted
	Blobs      blob.Store
	Plugins    Repository     // whose names guides may not take as handles; nil: there are none
	Ward       *Ward          // nil: nothing is in quarantine
	Holds      HoldRepository // of blocked digests of single files; nil: there are none
	Audit      Auditor        // nil: nobody is told
}

// Library keeps skills made of instructions: those that come with the server and those of tenants. It is safe for concurrent use.
type Library struct {
	d       LibraryDeps
	shipped []shippedGuide
}

// NewLibrary checks its dependencies and reads what comes with the server.
func NewLibrary(d LibraryDeps) (*Library, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Blobs", d.Blobs == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("skill: LibraryDeps.%s is required", dep.name)
		}
	}
	shipped, err := readShipped()
	if err != nil {
		return nil, err
	}
	return &Library{d, shipped}, nil
}

// NewGuide is an upload.
type NewGuide struct {
	Handle      string // 1 to 64 of a-z, 0-9, _ and -; "" is none
	DisplayName string // "" is the name in SKILL.md
	Name        string // must be that of SKILL.md; "" does not ask
	Description string // "" is that of SKILL.md
	Files       []Upload
}

// Create stores an upload as the first version of a new guide. It returns ErrBundle for files that are no skill, a fault.Invalid for
// another field, and ErrHandle for a Handle that is taken.
func (l *Library) Create(ctx context.Context, sc account.Scope, n NewGuide) (Guide, error) {
	b, err := l.admit(ctx, n)
	if err != nil {
		return Guide{}, err
	}
	if err := l.checkHandle(ctx, n.Handle); err != nil {
		return Guide{}, err
	}
	now := clock.Stored(l.d.Clock.Now())
	g := Guide{
		ID: id.New[id.SkillKind](l.d.IDs), Handle: n.Handle, Tenant: sc.Tenant, Source: SourceCustom, DisplayName: n.DisplayName,
		CreatedAt: now, UpdatedAt: now,
	}
	if g.DisplayName == "" {
		g.DisplayName = b.name
	}
	v, err := l.store(ctx, sc, b, n.Description, func(ctx context.Context, v GuideVersion) (GuideVersion, error) {
		if err := l.d.Repository.CreateGuide(ctx, sc, g); err != nil {
			return GuideVersion{}, err
		}
		return l.d.Repository.AddVersion(ctx, sc, g.ID, v)
	})
	if err != nil {
		return Guide{}, err
	}
	g.Latest = &v
	return g, nil
}

// AddVersion stores an upload as the next version of a guide; Handle and DisplayName of n are not looked at. It returns
// ErrSkillNotFound, ErrBuiltin, or what Create returns about the files.
func (l *Library) AddVersion(ctx context.Context, sc account.Scope, ref string, n NewGuide) (Guide, GuideVersion, error) {
	g, err := l.own(ctx, sc, ref)
	if err != nil {
		return Guide{}, GuideVersion{}, err
	}
	b, err := l.admit(ctx, n)
	if err != nil {
		return Guide{}, GuideVersion{}, err
	}
	v, err := l.store(ctx, sc, b, n.Description, func(ctx context.Context, v GuideVersion) (GuideVersion, error) {
		return l.d.Repository.AddVersion(ctx, sc, g.ID, v)
	})
	return g, v, err
}

// admit checks an upload.
func (l *Library) admit(ctx context.Context, n NewGuide) (bundle, error) {
	for _, f := range []struct {
		path, text string
		most       int
	}{{"display_title", n.DisplayName, MaxDisplayName}, {"description", n.Description, MaxGuideDescription}} {
		switch {
		case !utf8.ValidString(f.text) || strings.ContainsRune(f.text, 0):
			return bundle{}, fault.Invalidf(f.path, "must be UTF-8 without NUL characters")
		case utf8.RuneCountInString(f.text) > f.most:
			return bundle{}, fault.Invalidf(f.path, "has more than %d characters", f.most)
		case f.text != "" && strings.TrimSpace(f.text) == "":
			return bundle{}, fault.Invalidf(f.path, "must not be blank")
		}
	}
	b, err := readBundle(ctx, n.Files)
	if err != nil {
		return bundle{}, err
	}
	if n.Name != "" && n.Name != b.name {
		return bundle{}, fault.Invalidf("name", "must be %q, the name in %s", b.name, SkillDoc)
	}
	return b, nil
}

func (l *Library) checkHandle(ctx context.Context, handle string) error {
	switch {
	case handle == "":
		return nil
	case !validName(handle):
		return fault.Invalidf("id", "must have 1 to 64 of the characters a-z, 0-9, _ and -")
	case strings.HasPrefix(handle, builtinPrefix), strings.HasPrefix(handle, "skill_"):
		return fault.Invalidf("id", "begins with what ids of the server's own begin with")
	}
	if l.d.Plugins == nil {
		return nil
	}
	p, err := l.d.Plugins.ByName(ctx, handle)
	if errors.Is(err, ErrNotFound) || err == nil && p.Removed {
		return nil
	} else if err != nil {
		return err
	}
	return ErrHandle.Withf("the server has a plugin %q", handle)
}

// store puts the files of a version where they stay and then writes it down; what is not written down does not stay.
func (l *Library) store(
	ctx context.Context, sc account.Scope, b bundle, description string, write func(context.Context, GuideVersion) (GuideVersion, error),
) (GuideVersion, error) {
	v := GuideVersion{
		ID: id.New[id.SkillVersionKind](l.d.IDs), Name: b.name, Description: b.summary, Directory: b.directory, Files: b.files,
		CreatedAt: clock.Stored(l.d.Clock.Now()),
	}
	if v.Directory == "" {
		v.Directory = v.Name
	}
	if description != "" {
		v.Description = description
	}
	if err := l.d.Ward.check(ctx, sc, v.Digest()); err != nil { // before anything is stored
		return GuideVersion{}, err
	}
	if err := l.inspect(ctx, sc, &v, b); err != nil {
		return GuideVersion{}, err
	}
	err := l.put(ctx, sc, v, b)
	if err == nil {
		made := v
		err = l.d.TX.Do(ctx, func(ctx context.Context) error {
			err := l.d.Ward.check(ctx, sc, v.Digest())
			if err != nil {
				return err
			}
			made, err = write(ctx, v)
			return err
		})
		v.Number = made.Number
	}
	if err != nil {
		l.drop(context.WithoutCancel(ctx), sc, v)
		return GuideVersion{}, err
	}
	return v, nil
}

func (l *Library) put(ctx context.Context, sc account.Scope, v GuideVersion, b bundle) error {
	done := map[[sha256.Size]byte]bool{}
	for _, f := range v.Files {
		if done[f.Digest] {
			continue
		}
		done[f.Digest] = true
		r, err := b.open[f.Path]()
		if err != nil {
			return fmt.Errorf("skill: %w", err)
		}
		info, err := l.d.Blobs.Put(ctx, guideKey(sc.Tenant, v.ID, f), io.LimitReader(r, f.Size+1))
		_ = r.Close()
		if err != nil {
			return err
		}
		if info.SHA256 != f.Digest || info.Size != f.Size {
			return fmt.Errorf("skill: %s changed while it was stored", f.Path)
		}
	}
	return nil
}

// guideKey is where a file lies. Versions share nothing, so that deleting one never takes from another.
func guideKey(tenant id.Tenant, v id.SkillVersion, f File) string {
	return "skills/" + tenant.UUID().String() + "/" + v.UUID().String() + "/" + hex.EncodeToString(f.Digest[:])
}

// drop removes the files of a version that is not written down, or not any more.
func (l *Library) drop(ctx context.Context, sc account.Scope, v GuideVersion) {
	done := map[[sha256.Size]byte]bool{}
	for _, f := range v.Files {
		if done[f.Digest] {
			continue
		}
		done[f.Digest] = true
		if err := l.d.Blobs.Delete(ctx, guideKey(sc.Tenant, v.ID, f)); err != nil && !errors.Is(err, blob.ErrNotFound) {
			l.d.Logger.WarnContext(ctx, "a file of a deleted skill stays behind", "version", v.ID.String(), "path", f.Path, "error", err)
		}
	}
}

// Get returns a guide by its id or handle; ErrSkillNotFound.
func (l *Library) Get(ctx context.Context, sc account.Scope, ref string) (Guide, error) {
	if g, ok := l.builtin(ref); ok {
		return g.Guide, nil
	}
	if guide, err := id.Parse[id.SkillKind](ref); err == nil {
		for _, b := range l.shipped {
			if builtinSkill(b.Handle) == guide {
				return b.Guide, nil
			}
		}
		return l.d.Repository.Guide(ctx, sc, guide, "")
	}
	if !validName(ref) {
		return Guide{}, notFound(ref)
	}
	g, err := l.d.Repository.Guide(ctx, sc, id.Skill{}, ref)
	if errors.Is(err, ErrSkillNotFound) {
		// Client libraries know those that come with the server by their bare names. A tenant's own of that name goes first.
		if b, ok := l.builtin(builtinPrefix + ref); ok {
			return b.Guide, nil
		}
		return Guide{}, notFound(ref)
	}
	return g, err
}

func notFound(ref string) error { return ErrSkillNotFound.Withf("no skill %q", cut(ref)) }

// own returns a guide that the tenant may change.
func (l *Library) own(ctx context.Context, sc account.Scope, ref string) (Guide, error) {
	g, err := l.Get(ctx, sc, ref)
	if err == nil && g.Source == SourceBuiltin {
		return Guide{}, ErrBuiltin.Withf("the skill %q comes with the server and cannot be changed or deleted", g.Handle)
	}
	return g, err
}

// List lists the tenant's guides, newest first.
func (l *Library) List(ctx context.Context, sc account.Scope, req ListGuides) (page.Page[Guide], error) {
	return l.d.Repository.Guides(ctx, sc, req)
}

// Delete removes a guide with every version and all files. Returns ErrSkillNotFound or ErrBuiltin.
func (l *Library) Delete(ctx context.Context, sc account.Scope, ref string) (Guide, error) {
	g, err := l.own(ctx, sc, ref)
	if err != nil {
		return Guide{}, err
	}
	return g, l.remove(ctx, sc, g, id.SkillVersion{})
}

// DeleteVersion removes a version; the newest of those that remain becomes the latest. Deleting the only one leaves a guide without
// versions. Returns ErrSkillNotFound, ErrVersionNotFound or ErrBuiltin.
func (l *Library) DeleteVersion(ctx context.Context, sc account.Scope, ref, version string) (GuideVersion, error) {
	g, err := l.own(ctx, sc, ref)
	if err != nil {
		return GuideVersion{}, err
	}
	v, err := l.version(ctx, sc, g, version)
	if err != nil {
		return GuideVersion{}, err
	}
	return v, l.remove(ctx, sc, g, v.ID)
}

func (l *Library) remove(ctx context.Context, sc account.Scope, g Guide, version id.SkillVersion) error {
	var gone []GuideVersion
	err := l.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		gone, err = l.d.Repository.Delete(ctx, sc, g.ID, version)
		return err
	})
	if err != nil {
		return err
	}
	for _, v := range gone {
		l.drop(context.WithoutCancel(ctx), sc, v)
	}
	return nil
}

// Latest is the version that stands for the newest one.
const Latest = "latest"

// Version returns a version by its id, its number or "latest". Returns ErrSkillNotFound or ErrVersionNotFound.
func (l *Library) Version(ctx context.Context, sc account.Scope, ref, version string) (Guide, GuideVersion, error) {
	g, err := l.Get(ctx, sc, ref)
	if err != nil {
		return Guide{}, GuideVersion{}, err
	}
	v, err := l.version(ctx, sc, g, version)
	return g, v, err
}

func (l *Library) version(ctx context.Context, sc account.Scope, g Guide, version string) (GuideVersion, error) {
	number, err := strconv.Atoi(version)
	plain := err == nil && strconv.Itoa(number) == version && number > 0
	switch {
	case version == "" || version == Latest || g.Latest != nil && plain && number == g.Latest.Number:
		if g.Latest == nil {
			return GuideVersion{}, ErrVersionNotFound.Withf("the skill has no version any more")
		}
		return *g.Latest, nil
	case g.Source == SourceBuiltin:
	case plain:
		return l.d.Repository.Version(ctx, sc, g.ID, id.SkillVersion{}, number)
	default:
		if of, err := id.Parse[id.SkillVersionKind](version); err == nil {
			return l.d.Repository.Version(ctx, sc, g.ID, of, 0)
		}
	}
	return GuideVersion{}, ErrVersionNotFound.Withf("the skill has no version %q", cut(version))
}

// Versions lists the versions of a guide, newest first.
func (l *Library) Versions(ctx context.Context, sc account.Scope, ref string, req page.Request) (Guide, page.Page[GuideVersion], error) {
	g, err := l.Get(ctx, sc, ref)
	if err != nil {
		return Guide{}, page.Page[GuideVersion]{}, err
	}
	if g.Source == SourceBuiltin {
		return g, page.Page[GuideVersion]{Items: []GuideVersion{*g.Latest}}, nil
	}
	p, err := l.d.Repository.Versions(ctx, sc, g.ID, req)
	return g, p, err
}

// Open reads a file of a version of a guide by its path. It returns ErrFileNotFound when the version has none, and the reader returns
// blob.ErrCorrupt in place of io.EOF for bytes that are not those that were stored.
func (l *Library) Open(ctx context.Context, sc account.Scope, g Guide, v GuideVersion, path string) (File, io.ReadCloser, error) {
	f, ok := v.file(path)
	if !ok {
		return File{}, nil, ErrFileNotFound.Withf("the skill has no file %q", cut(path))
	}
	if b, ok := l.builtin(g.Handle); ok && g.Source == SourceBuiltin {
		return f, b.open(path), nil
	}
	r, _, err := l.d.Blobs.Open(ctx, guideKey(sc.Tenant, v.ID, f))
	if errors.Is(err, blob.ErrNotFound) {
		return File{}, nil, ErrVersionNotFound.Withf("version %d of the skill was deleted", v.Number)
	}
	return f, r, err
}

// Zip writes all files of a version as an archive.
func (l *Library) Zip(ctx context.Context, sc account.Scope, g Guide, v GuideVersion, w io.Writer) error {
	return WriteZip(w, v.Directory, v.Files, func(f File) (io.ReadCloser, error) {
		_, r, err := l.Open(ctx, sc, g, v, f.Path)
		return r, err
	})
}
