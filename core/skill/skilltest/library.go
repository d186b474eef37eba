package skilltest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tx"
)

// LibraryConfig of the suite of guides.
type LibraryConfig struct {
	// New returns a store and its transactions. It is called once per subtest; stores may be the same one.
	New func(t *testing.T) (skill.GuideRepository, tx.Runner)
}

type shelf struct {
	skill.GuideRepository

	tx  tx.Runner
	ctx context.Context
	sc  account.Scope
}

// RunLibrary runs the suite of skill.GuideRepository and of skill.Library over it.
func RunLibrary(t *testing.T, cfg LibraryConfig) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *shelf){
		"guides":            guides,
		"guides missing":    guidesMissing,
		"guide handles":     guideHandles,
		"guide versions":    guideVersions,
		"guide paging":      guidePaging,
		"guide search":      guideSearch,
		"guide rollback":    guideRollback,
		"guides at once":    guidesAtOnce,
		"guides cancelled":  guidesCancelled,
		"library":           libraryKeeps,
		"library clears up": libraryClearsUp,
		"library tool":      libraryTool,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, runner := cfg.New(t)
			fn(t, &shelf{r, runner, t.Context(), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

func guideEqual(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b id.Skill) bool { return a == b }),
		cmp.Comparer(func(a, b id.SkillVersion) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (s *shelf) guide(t *testing.T, handle string) skill.Guide {
	t.Helper()
	now := clock.Stored(time.Now())
	g := skill.Guide{
		ID: id.New[id.SkillKind](ids), Handle: handle, Tenant: s.sc.Tenant, Source: skill.SourceCustom, DisplayName: "It's \"a\" ? guide \\ ü",
		CreatedAt: now, UpdatedAt: now,
	}
	if err := s.CreateGuide(s.ctx, s.sc, g); err != nil {
		t.Fatal(err)
	}
	return g
}

func (s *shelf) version(t *testing.T, g *skill.Guide, name string) skill.GuideVersion {
	t.Helper()
	v := skill.GuideVersion{
		ID: id.New[id.SkillVersionKind](ids), Name: name, Description: "About " + name, Directory: "d", CreatedAt: clock.Stored(time.Now().Add(time.Second)),
		Files: []skill.File{{Path: "SKILL.md", Size: 7, Digest: sha256.Sum256([]byte(name))}, {Path: "ü/it's.txt", Digest: sha256.Sum256(nil)}},
	}
	v, err := s.AddVersion(s.ctx, s.sc, g.ID, v)
	if err != nil {
		t.Fatal(err)
	}
	g.Latest, g.UpdatedAt = &v, v.CreatedAt
	return v
}

func guides(t *testing.T, s *shelf) {
	g := s.guide(t, "mine")
	got, err := s.Guide(s.ctx, s.sc, g.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, g, got)
	v := s.version(t, &g, "one")
	if v.Number != 1 {
		t.Errorf("the first version has the number %d", v.Number)
	}
	for _, by := range []id.Skill{g.ID, {}} {
		if got, err = s.Guide(s.ctx, s.sc, by, "mine"); err != nil {
			t.Fatal(err)
		}
		guideEqual(t, g, got)
	}
}

func guidesMissing(t *testing.T, s *shelf) {
	g := s.guide(t, "mine")
	v := s.version(t, &g, "one")
	other := &shelf{s.GuideRepository, s.tx, s.ctx, account.System(id.New[id.TenantKind](ids))}
	own := other.guide(t, "") // somebody's guide does not make other guides' versions theirs
	for name, c := range map[string]struct {
		sc    account.Scope
		guide id.Skill
		want  error
	}{
		"unknown": {s.sc, id.New[id.SkillKind](ids), skill.ErrSkillNotFound},
		"foreign": {other.sc, g.ID, skill.ErrSkillNotFound},
		"another": {other.sc, own.ID, skill.ErrVersionNotFound},
	} {
		errs := map[string]error{}
		_, errs["version by id"] = s.Version(s.ctx, c.sc, c.guide, v.ID, 0)
		_, errs["version by number"] = s.Version(s.ctx, c.sc, c.guide, id.SkillVersion{}, 1)
		_, errs["delete version"] = s.Delete(s.ctx, c.sc, c.guide, v.ID)
		if errors.Is(c.want, skill.ErrSkillNotFound) {
			_, errs["guide"] = s.Guide(s.ctx, c.sc, c.guide, "")
			_, errs["versions"] = s.Versions(s.ctx, c.sc, c.guide, page.Request{})
			_, errs["add"] = s.AddVersion(s.ctx, c.sc, c.guide, v)
			_, errs["delete"] = s.Delete(s.ctx, c.sc, c.guide, id.SkillVersion{})
		}
		for call, err := range errs {
			if !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v; want %v", name, call, err, c.want)
			}
		}
	}
	if _, err := s.Guide(s.ctx, other.sc, id.Skill{}, "mine"); !errors.Is(err, skill.ErrSkillNotFound) {
		t.Errorf("a foreign handle: %v", err)
	}
	if p, err := s.Guides(s.ctx, other.sc, skill.ListGuides{}); err != nil || len(p.Items) != 1 || p.Items[0].ID != own.ID {
		t.Errorf("the other tenant lists %+v, %v", p, err)
	}
}

func guideHandles(t *testing.T, s *shelf) {
	g := s.guide(t, "mine")
	s.guide(t, "")
	s.guide(t, "") // no handle is not a handle
	again := g
	again.ID = id.New[id.SkillKind](ids)
	if err := s.CreateGuide(s.ctx, s.sc, again); !errors.Is(err, skill.ErrHandle) {
		t.Errorf("a second guide of one handle: %v", err)
	}
	if _, err := s.Delete(s.ctx, s.sc, g.ID, id.SkillVersion{}); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateGuide(s.ctx, s.sc, again); err != nil {
		t.Errorf("the handle of a deleted guide: %v", err)
	}
}

func guideVersions(t *testing.T, s *shelf) {
	g := s.guide(t, "")
	one, two := s.version(t, &g, "one"), s.version(t, &g, "two")
	if two.Number != 2 {
		t.Errorf("got the number %d", two.Number)
	}
	byID, err := s.Version(s.ctx, s.sc, g.ID, one.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, one, byID)
	byNumber, err := s.Version(s.ctx, s.sc, g.ID, id.SkillVersion{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, two, byNumber)

	gone, err := s.Delete(s.ctx, s.sc, g.ID, two.ID)
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, []skill.GuideVersion{two}, gone)
	got, err := s.Guide(s.ctx, s.sc, g.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, &one, got.Latest)
	if three := s.version(t, &g, "three"); three.Number != 3 {
		t.Errorf("a deleted number came back: %d", three.Number)
	}
	if _, err := s.Delete(s.ctx, s.sc, g.ID, one.ID); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Guide(s.ctx, s.sc, g.ID, ""); err != nil || got.Latest == nil || got.Latest.Number != 3 {
		t.Errorf("after an older version went: %+v, %v", got.Latest, err)
	}
	if gone, err = s.Delete(s.ctx, s.sc, g.ID, got.Latest.ID); err != nil || len(gone) != 1 {
		t.Errorf("the only version: %v, %v", gone, err)
	}
	if got, err = s.Guide(s.ctx, s.sc, g.ID, ""); err != nil || got.Latest != nil {
		t.Errorf("without versions: %+v, %v", got.Latest, err)
	}
	if p, err := s.Versions(s.ctx, s.sc, g.ID, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("without versions: %+v, %v", p, err)
	}
	s.version(t, &g, "four")
	s.version(t, &g, "five")
	if gone, err = s.Delete(s.ctx, s.sc, g.ID, id.SkillVersion{}); err != nil || len(gone) != 2 {
		t.Errorf("the guide: %v, %v", gone, err)
	}
	if _, err := s.Guide(s.ctx, s.sc, g.ID, ""); !errors.Is(err, skill.ErrSkillNotFound) {
		t.Errorf("a deleted guide: %v", err)
	}
}

func guidePaging(t *testing.T, s *shelf) {
	var want []string
	for range 5 {
		want = append(want, s.guide(t, "").ID.String())
	}
	slices.Reverse(want)
	g := s.guide(t, "")
	want = append([]string{g.ID.String()}, want...)
	key := func(g skill.Guide) string { return g.ID.String() }
	got := pagetest.Walk(t, 2, key, func(req page.Request) (page.Page[skill.Guide], error) {
		return s.Guides(s.ctx, s.sc, skill.ListGuides{Request: req})
	})
	guideEqual(t, want, got)
	for range 3 {
		s.version(t, &g, "v")
	}
	p, err := s.Versions(s.ctx, s.sc, g.ID, page.Request{Limit: 2})
	if err != nil || len(p.Items) != 2 || p.Items[0].Number != 3 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = s.Versions(s.ctx, s.sc, g.ID, page.Request{Limit: 2, Cursor: p.Next}); err != nil || len(p.Items) != 1 || p.Items[0].Number != 1 || p.Next != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, bad := range []string{"x", "WyJ4Il0"} {
		if _, err := s.Guides(s.ctx, s.sc, skill.ListGuides{Request: page.Request{Cursor: bad}}); err == nil {
			t.Errorf("the cursor %q lists guides", bad)
		}
		if _, err := s.Versions(s.ctx, s.sc, g.ID, page.Request{Cursor: bad}); err == nil {
			t.Errorf("the cursor %q lists versions", bad)
		}
	}
}

func guideSearch(t *testing.T, s *shelf) {
	g := s.guide(t, "handle-a")
	s.version(t, &g, "invoices")
	s.guide(t, "")
	for search, want := range map[string]int{"": 2, "GUIDE": 2, "HANDLE": 1, "about INVOICES": 1, "none": 0, "%": 0, "it's": 2, "\x00": 0} {
		p, err := s.Guides(s.ctx, s.sc, skill.ListGuides{Search: search})
		if err != nil || len(p.Items) != want {
			t.Errorf("%q finds %d, %v; want %d", search, len(p.Items), err, want)
		}
	}
}

func guideRollback(t *testing.T, s *shelf) {
	g := s.guide(t, "")
	oops := errors.New("oops")
	err := s.tx.Do(s.ctx, func(ctx context.Context) error {
		if _, err := s.AddVersion(ctx, s.sc, g.ID, skill.GuideVersion{ID: id.New[id.SkillVersionKind](ids), CreatedAt: g.CreatedAt}); err != nil {
			return err
		}
		return oops
	})
	if !errors.Is(err, oops) {
		t.Fatal(err)
	}
	got, err := s.Guide(s.ctx, s.sc, g.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	guideEqual(t, g, got)
}

func guidesAtOnce(t *testing.T, s *shelf) {
	g := s.guide(t, "")
	const n = 8
	numbers := make([]int, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			v, err := s.AddVersion(s.ctx, s.sc, g.ID, skill.GuideVersion{ID: id.New[id.SkillVersionKind](ids), Name: "x", CreatedAt: g.CreatedAt})
			if err != nil {
				t.Error(err)
			}
			numbers[i] = v.Number
		})
	}
	wg.Wait()
	slices.Sort(numbers)
	guideEqual(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, numbers)
}

func guidesCancelled(t *testing.T, s *shelf) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.Guides(ctx, s.sc, skill.ListGuides{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// memoryBlobs is a blob.Store whose writes may fail.
type memoryBlobs struct {
	mu    sync.Mutex
	byKey map[string][]byte
	left  int // how many writes succeed; negative is all
}

var errBlobs = errors.New("skilltest: the disk is full")

func (m *memoryBlobs) Put(_ context.Context, key string, r io.Reader) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return blob.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == 0 {
		return blob.Info{}, errBlobs
	}
	m.left--
	m.byKey[key] = b
	return blob.Info{Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

func (m *memoryBlobs) Open(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	info, err := m.Stat(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return io.NopCloser(bytes.NewReader(m.byKey[key])), info, nil
}

func (m *memoryBlobs) Stat(_ context.Context, key string) (blob.Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.byKey[key]
	if !ok {
		return blob.Info{}, blob.ErrNotFound
	}
	return blob.Info{Size: int64(len(b)), SHA256: sha256.Sum256(b)}, nil
}

func (m *memoryBlobs) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.byKey[key]; !ok {
		return blob.ErrNotFound
	}
	delete(m.byKey, key)
	return nil
}

func (s *shelf) library(t *testing.T) (*skill.Library, *memoryBlobs) {
	t.Helper()
	blobs := &memoryBlobs{byKey: map[string][]byte{}, left: -1}
	l, err := skill.NewLibrary(skill.LibraryDeps{
		TX: s.tx, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Repository: s, Blobs: blobs,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, blobs
}

// GuideFiles are the files of a guide of this name; pairs are more paths and contents.
func GuideFiles(name string, pairs ...string) []skill.Upload {
	out := []skill.Upload{skill.Bytes("f/SKILL.md", []byte("---\nname: "+name+"\ndescription: Does "+name+".\n---\nText of "+name+"."))}
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, skill.Bytes("f/"+pairs[i], []byte(pairs[i+1])))
	}
	return out
}

func libraryKeeps(t *testing.T, s *shelf) {
	l, blobs := s.library(t)
	g, err := l.Create(s.ctx, s.sc, skill.NewGuide{Files: GuideFiles("one", "a.txt", "same", "b.txt", "same")})
	if err != nil {
		t.Fatal(err)
	}
	if len(blobs.byKey) != 2 {
		t.Errorf("%d blobs for three files, two of which are the same", len(blobs.byKey))
	}
	_, r, err := l.Open(s.ctx, s.sc, g, *g.Latest, "b.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); err != nil || string(b) != "same" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, _, err := l.AddVersion(s.ctx, s.sc, g.ID.String(), skill.NewGuide{Files: GuideFiles("two", "a.txt", "same")}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DeleteVersion(s.ctx, s.sc, g.ID.String(), "1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Open(s.ctx, s.sc, g, *g.Latest, "b.txt"); !errors.Is(err, skill.ErrVersionNotFound) {
		t.Errorf("a file of a deleted version: %v", err)
	}
	_, v, err := l.Version(s.ctx, s.sc, g.ID.String(), "latest")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Open(s.ctx, s.sc, g, v, "a.txt"); err != nil {
		t.Errorf("the other version lost a file: %v", err)
	}
	if _, err := l.Delete(s.ctx, s.sc, g.ID.String()); err != nil || len(blobs.byKey) != 0 {
		t.Errorf("%d blobs stay behind, %v", len(blobs.byKey), err)
	}
}

func libraryClearsUp(t *testing.T, s *shelf) {
	l, blobs := s.library(t)
	blobs.left = 1
	if _, err := l.Create(s.ctx, s.sc, skill.NewGuide{Handle: "h", Files: GuideFiles("one", "a", "a", "b", "b")}); !errors.Is(err, errBlobs) {
		t.Errorf("got %v", err)
	}
	blobs.left = -1
	if _, err := s.Guide(s.ctx, s.sc, id.Skill{}, "h"); !errors.Is(err, skill.ErrSkillNotFound) || len(blobs.byKey) != 0 {
		t.Errorf("a guide that failed: %v, and %d blobs", err, len(blobs.byKey))
	}
	s.guide(t, "h")
	if _, err := l.Create(s.ctx, s.sc, skill.NewGuide{Handle: "h", Files: GuideFiles("one")}); !errors.Is(err, skill.ErrHandle) || len(blobs.byKey) != 0 {
		t.Errorf("a guide that lost its handle: %v, and %d blobs", err, len(blobs.byKey))
	}
}

func libraryTool(t *testing.T, s *shelf) {
	l, _ := s.library(t)
	g, err := l.Create(s.ctx, s.sc, skill.NewGuide{Files: GuideFiles("one", "more/a.md", "More.", "b.bin", "\x00")})
	if err != nil {
		t.Fatal(err)
	}
	refs := []skill.Ref{{ID: g.ID.UUID().String(), Type: "custom", Version: "latest"}, {ID: "pdf", Type: "anthropic", Version: "1"}}
	refs, err = l.CheckRefs(s.ctx, s.sc, refs)
	if err != nil || refs[0].ID != g.ID.String() || refs[1].ID != "pdf" {
		t.Fatalf("%+v, %v", refs, err)
	}
	if _, err := l.CheckRefs(s.ctx, s.sc, append(refs, skill.Ref{ID: "builtin_pdf", Type: "anthropic"})); err == nil {
		t.Error("two skills of one name are taken")
	}
	have, err := l.Attach(s.ctx, s.sc, append(refs, skill.Ref{ID: "gone", Type: "custom", Version: "latest"}))
	if err != nil {
		t.Fatal(err)
	}
	prompt := skill.Prompt(have, "/skills")
	for _, want := range []string{"- one (/skills/one/SKILL.md): Does one.", "- pdf (", skill.ReadTool} {
		if !strings.Contains(prompt, want) {
			t.Errorf("%q is not in the prompt:\n%s", want, prompt)
		}
	}
	if strings.Contains(prompt, "gone") {
		t.Errorf("the prompt names what is not there:\n%s", prompt)
	}
	read, err := l.Tool(s.sc, have)
	if err != nil {
		t.Fatal(err)
	}
	for input, want := range map[string]string{
		`{"skill":"one"}`:                     "Text of one.\n\n[Files of this skill, beside SKILL.md: b.bin, more/a.md]",
		`{"skill":"one","file":"more/a.md"}`:  "More.",
		`{"skill":"one","file":"one/b.bin"}`:  "! is no text",
		`{"skill":"one","file":"../secrets"}`: "! has no file",
		`{"skill":"gone"}`:                    "! is not available",
		`{"skill":"other"}`:                   "! no skill",
		`{"skill":"pdf"}`:                     "# PDF",
		`[]`:                                  "! must be an object",
	} {
		res, err := read.Call(s.ctx, tool.Call{Input: json.RawMessage(input)})
		if err != nil {
			t.Fatal(err)
		}
		text, refuse := strings.CutPrefix(want, "!")
		if res.IsError != refuse || !strings.Contains(res.Text, strings.TrimSpace(text)) {
			t.Errorf("%s: %+v; want %s", input, res, want)
		}
	}
	files := l.Files(s.sc, have[0])
	var paths []string
	for _, f := range files {
		paths = append(paths, fmt.Sprintf("%s %d", f.Path, f.Size))
	}
	if diff := cmp.Diff("b.bin 1, more/a.md 5", strings.Join(paths[1:], ", ")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
