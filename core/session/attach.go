package session

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/runtime"
)

const (
	maxMount  = 1024 // bytes
	maxToken  = 4096
	maxBranch = 255
)

// NewResource asks for something to be mounted. Fields that do not belong to its type are ignored.
type NewResource struct {
	Type  ResourceType
	Mount string // "": the type's default. Memory stores have always theirs

	File id.File // ResourceFile

	// URL, Checkout and Token belong to ResourceRepository. Token is sealed before it is stored; "" is none.
	URL      string
	Checkout *Checkout
	Token    string

	// Store, ReadOnly and Instructions belong to ResourceMemoryStore.
	Store        id.MemoryStore
	ReadOnly     bool
	Instructions string
}

// attach checks what is asked for, whether it is there, and makes resources of it. have are those that the session has already;
// where says how the path of an asked one begins in the client's body.
func (s *Service) attach(
	ctx context.Context, sc account.Scope, have []Resource, asked []NewResource, where func(i int) string,
) ([]Resource, error) {
	if len(have)+len(asked) > MaxResources {
		return nil, fault.Invalidf("resources", "must have at most %d entries", MaxResources)
	}
	now := clock.Stored(s.d.Clock.Now())
	all := slices.Clip(have)
	for i, a := range asked {
		r := Resource{ID: id.New[id.ResourceKind](s.d.IDs), Type: a.Type, Mount: a.Mount, CreatedAt: now, UpdatedAt: now}
		at := where(i)
		var err error
		switch a.Type {
		case ResourceFile:
			err = s.attachFile(ctx, sc, &r, a, at)
		case ResourceRepository:
			err = s.attachRepository(ctx, sc, &r, a, at)
		case ResourceMemoryStore:
			err = s.attachStore(ctx, sc, all, &r, a, at)
		default:
			err = fault.Invalidf(at+"type", "must be one of %s, %s, %s", ResourceFile, ResourceRepository, ResourceMemoryStore)
		}
		if err != nil {
			return nil, err
		}
		if err := checkMount(r, at+"mount_path"); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o Resource) bool { return o.Mount == r.Mount }) {
			return nil, fault.Invalidf(at+"mount_path", "%s is taken by another resource", r.Mount)
		}
		all = append(all, r)
	}
	return all[len(have):], nil
}

func (s *Service) attachFile(ctx context.Context, sc account.Scope, r *Resource, a NewResource, at string) error {
	if a.File.IsZero() {
		return fault.Invalidf(at+"file_id", "is required")
	}
	r.File = a.File
	if r.Mount == "" {
		r.Mount = path.Join(UploadsDir, a.File.String())
	}
	if s.d.Files == nil {
		return id.NotFound[id.FileKind](a.File.String())
	}
	return s.d.Files.CheckFile(ctx, sc, a.File)
}

func (s *Service) attachRepository(ctx context.Context, sc account.Scope, r *Resource, a NewResource, at string) error {
	name, problem := repositoryName(a.URL)
	if problem != "" {
		return fault.Invalidf(at+"url", "%s", problem)
	}
	r.URL = a.URL
	if r.Mount == "" {
		r.Mount = path.Join(WorkspaceDir, name)
	}
	if c := a.Checkout; c != nil {
		switch {
		case (c.Branch == "") == (c.Commit == ""):
			return fault.Invalidf(at+"checkout", "must name a branch or a commit")
		case c.Branch != "" && !isBranch(c.Branch):
			return fault.Invalidf(at+"checkout.name", "is not the name of a branch")
		case c.Commit != "" && !isCommit(c.Commit):
			return fault.Invalidf(at+"checkout.sha", "must be a full commit hash of 40 or 64 hexadecimal digits")
		}
		own := *c
		r.Checkout = &own
	}
	if a.Token == "" {
		return nil
	}
	var err error
	r.SealedToken, err = s.sealToken(ctx, sc, r.ID, a.Token, at+"authorization_token")
	return err
}

func (s *Service) attachStore(ctx context.Context, sc account.Scope, have []Resource, r *Resource, a NewResource, at string) error {
	stores := 0
	for _, o := range have {
		if o.Type != ResourceMemoryStore {
			continue
		}
		if stores++; o.Store == a.Store {
			return fault.Invalidf(at+"memory_store_id", "is attached already")
		}
	}
	switch {
	case a.Store.IsZero():
		return fault.Invalidf(at+"memory_store_id", "is required")
	case stores >= MaxMemoryStores:
		return fault.Invalidf("resources", "must have at most %d memory stores", MaxMemoryStores)
	case a.Mount != "":
		return fault.Invalidf(at+"mount_path", "cannot be chosen for a memory store")
	case utf8.RuneCountInString(a.Instructions) > MaxInstructions:
		return fault.Invalidf(at+"instructions", "must have at most %d characters", MaxInstructions)
	case !storable(a.Instructions):
		return fault.Invalidf(at+"instructions", "must be text without the NUL character")
	case s.d.Stores == nil:
		return id.NotFound[id.MemoryStoreKind](a.Store.String())
	}
	var err error
	if r.Name, r.Description, err = s.d.Stores.DescribeStore(ctx, sc, a.Store); err != nil {
		return err
	}
	r.Store, r.ReadOnly, r.Instructions = a.Store, a.ReadOnly, a.Instructions
	base := path.Join(MemoryDir, slug(r.Name))
	r.Mount = base
	for n := 2; slices.ContainsFunc(have, func(o Resource) bool { return o.Mount == r.Mount }); n++ {
		r.Mount = fmt.Sprintf("%s-%d", base, n)
	}
	return nil
}

// slug makes one segment of a path of a name: lower-case letters and digits, with single dashes in between.
func slug(name string) string {
	var sb strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			sb.WriteRune(r)
		case sb.Len() > 0 && !strings.HasSuffix(sb.String(), "-"):
			sb.WriteByte('-')
		}
		if sb.Len() >= 64 {
			break
		}
	}
	if s := strings.Trim(sb.String(), "-"); s != "" {
		return s
	}
	return "store"
}

// repositoryName returns the last part of a repository's address, or what is wrong with that.
func repositoryName(address string) (name, problem string) {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return "", "is required"
	case len(address) > 2048 || err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", "must be an http or https address"
	case strings.ContainsAny(u.Host, "!$&'()*+,;=\"<>"): // it stands in the name of a setting of git's
		return "", "has a host that is none"
	case u.User != nil:
		return "", "must not hold credentials; they belong in authorization_token"
	case u.RawQuery != "" || u.Fragment != "":
		return "", "must not have a query or a fragment"
	}
	name = strings.TrimSuffix(path.Base(u.Path), ".git")
	if strings.Count(strings.Trim(u.Path, "/"), "/") < 1 || name == "" || name == "." || name == ".." || !plain(name) {
		return "", "must name an owner and a repository"
	}
	return name, ""
}

// plain reports whether a name is made of nothing but letters, digits, dots, dashes and underscores.
func plain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r >= utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r)
	})
}

// isBranch follows the rules of git check-ref-format.
func isBranch(name string) bool {
	if len(name) > maxBranch || !utf8.ValidString(name) || strings.HasPrefix(name, "-") || strings.HasSuffix(name, "/") ||
		strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") || name == "@" {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
}

func isCommit(sha string) bool {
	_, err := hex.DecodeString(sha)
	return err == nil && (len(sha) == 40 || len(sha) == 64)
}

// reservedDirs are not for mounting: those that other things are mounted into, and what the server keeps in a sandbox for itself.
var reservedDirs = []string{OutputsDir, MemoryDir, SkillsDir, StateDir, PackagesDir}

// checkMount returns a fault.Invalid for a place where nothing can be mounted.
func checkMount(r Resource, at string) error {
	m := r.Mount
	switch {
	case !strings.HasPrefix(m, "/"):
		return fault.Invalidf(at, "must be an absolute path")
	case len(m) > maxMount:
		return fault.Invalidf(at, "must have at most %d bytes", maxMount)
	case m == "/" || path.Clean(m) != m:
		return fault.Invalidf(at, "must be a clean path below /, without empty, . and .. segments")
	case !storable(m) || strings.ContainsFunc(m, unicode.IsControl):
		return fault.Invalidf(at, "must be text without control characters")
	}
	for _, dir := range reservedDirs {
		if r.Type == ResourceMemoryStore && dir == MemoryDir {
			continue
		}
		if m == dir || strings.HasPrefix(m, dir+"/") || strings.HasPrefix(dir, m+"/") {
			return fault.Invalidf(at, "%s is reserved", dir)
		}
	}
	dirs := runtime.Dirs()
	if !slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(m, dir+"/") }) {
		return fault.Invalidf(at, "must be below one of the directories that sandboxes have: %s", strings.Join(dirs, ", "))
	}
	return nil
}

// storable reports whether every database can hold a text: Postgres cannot store NUL.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// tokenPlace is where a repository's token is bound to.
func tokenPlace(sc account.Scope, r id.Resource) string {
	return sc.Tenant.String() + "/session_resources/" + r.String() + "/token"
}

func (s *Service) sealToken(ctx context.Context, sc account.Scope, r id.Resource, token, at string) ([]byte, error) {
	switch {
	case len(token) > maxToken:
		return nil, fault.Invalidf(at, "must have at most %d characters", maxToken)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return nil, fault.Invalidf(at, "must have printable characters without spaces only")
	case s.d.Keeper == nil:
		return nil, fault.Invalidf(at, "this server keeps no tokens")
	}
	return s.d.Keeper.Seal(ctx, tokenPlace(sc, r), []byte(token))
}

// RepositoryToken returns the token that a repository is cloned with; "" is none. It is for the sandbox and its egress alone: no
// answer, log or event may hold it.
func (s *Service) RepositoryToken(ctx context.Context, sc account.Scope, r Resource) (string, error) {
	if r.SealedToken == nil || s.d.Keeper == nil {
		return "", nil
	}
	token, err := s.d.Keeper.Open(ctx, tokenPlace(sc, r.ID), r.SealedToken)
	return string(token), err
}

// Resource returns one resource of a session, id.NotFound, or ErrResourceNotFound.
func (s *Service) Resource(ctx context.Context, sc account.Scope, session id.Session, resource id.Resource) (Resource, error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return Resource{}, err
	}
	i := indexOf(v.Resources, resource)
	if i < 0 {
		return Resource{}, ErrResourceNotFound.Withf("the session has no resource %s", resource)
	}
	return v.Resources[i], nil
}

// Resources lists what is mounted into a session, in the order in which it was.
func (s *Service) Resources(ctx context.Context, sc account.Scope, session id.Session, req page.Request) (page.Page[Resource], error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return page.Page[Resource]{}, err
	}
	rest := v.Resources
	if req.Cursor != "" {
		last, err := id.Parse[id.ResourceKind](req.Cursor)
		if err != nil {
			return page.Page[Resource]{}, fault.Invalidf("cursor", "is not a cursor of this list")
		}
		// Ids grow with time, like the list: one that was taken out still has its place.
		i := slices.IndexFunc(rest, func(r Resource) bool { return r.ID.UUID().String() > last.UUID().String() })
		if i < 0 {
			i = len(rest)
		}
		rest = rest[i:]
	}
	out := page.Page[Resource]{Items: rest}
	if len(rest) > req.Size() {
		out.Items = rest[:req.Size()]
		out.Next = out.Items[len(out.Items)-1].ID.String()
	}
	return out, nil
}

func indexOf(list []Resource, resource id.Resource) int {
	return slices.IndexFunc(list, func(r Resource) bool { return r.ID == resource })
}

// Attach mounts something more into a session; a sandbox that runs finds it at its next tool call. It returns id.NotFound, ErrArchived, or
// a fault.Invalid.
func (s *Service) Attach(ctx context.Context, sc account.Scope, session id.Session, a NewResource) (Resource, error) {
	if _, err := s.own(ctx, sc, session); err != nil {
		return Resource{}, err
	}
	var out Resource
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Repository.Update(ctx, sc, session, func(v *Session) error {
			if v.ArchivedAt != nil {
				return ErrArchived
			}
			added, err := s.attach(ctx, sc, v.Resources, []NewResource{a}, func(int) string { return "" })
			if err != nil {
				return err
			}
			out = added[0]
			v.Resources, v.UpdatedAt = append(slices.Clip(v.Resources), out), out.CreatedAt
			return nil
		})
		return err
	})
	if err != nil {
		return Resource{}, err
	}
	return out, nil
}

// RotateToken replaces the token of a repository. It returns id.NotFound, ErrResourceNotFound, ErrArchived, or a fault.Invalid.
func (s *Service) RotateToken(
	ctx context.Context, sc account.Scope, session id.Session, resource id.Resource, token string,
) (Resource, error) {
	if token == "" {
		return Resource{}, fault.Invalidf("authorization_token", "is required")
	}
	sealed, err := s.sealToken(ctx, sc, resource, token, "authorization_token")
	if err != nil {
		return Resource{}, err
	}
	return s.changeResource(ctx, sc, session, resource, func(list []Resource, i int) ([]Resource, error) {
		if list[i].Type != ResourceRepository {
			return nil, fault.Invalidf("authorization_token", "only a %s has one", ResourceRepository)
		}
		list[i].SealedToken, list[i].UpdatedAt = sealed, clock.Stored(s.d.Clock.Now())
		return list, nil
	})
}

// Detach takes a resource out of a session. It returns id.NotFound, ErrResourceNotFound or ErrArchived.
func (s *Service) Detach(ctx context.Context, sc account.Scope, session id.Session, resource id.Resource) error {
	_, err := s.changeResource(ctx, sc, session, resource, func(list []Resource, i int) ([]Resource, error) {
		return slices.Delete(list, i, i+1), nil
	})
	return err
}

func (s *Service) changeResource(
	ctx context.Context, sc account.Scope, session id.Session, resource id.Resource, change func(list []Resource, i int) ([]Resource, error),
) (Resource, error) {
	if _, err := s.own(ctx, sc, session); err != nil {
		return Resource{}, err
	}
	var out Resource
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Repository.Update(ctx, sc, session, func(v *Session) error {
			i := indexOf(v.Resources, resource)
			switch {
			case v.ArchivedAt != nil:
				return ErrArchived
			case i < 0:
				return ErrResourceNotFound.Withf("the session has no resource %s", resource)
			}
			list := slices.Clone(v.Resources)
			next, err := change(list, i)
			if err != nil {
				return err
			}
			out = list[i]
			v.Resources, v.UpdatedAt = next, clock.Stored(s.d.Clock.Now())
			return nil
		})
		return err
	})
	if err != nil {
		return Resource{}, err
	}
	return out, nil
}
