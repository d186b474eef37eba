package memory

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// NewMemory is a memory that is to be made.
type NewMemory struct {
	Path    string // "/notes/a.md": 1 to MaxSegments segments, at most MaxPath bytes
	Content string // at most MaxContent bytes
	By      Actor  // zero: who acts in the scope
}

// Create makes a memory. It returns id.NotFound for the store, ErrArchived, ErrInvalid, ErrFull, or ErrPathConflict.
func (s *Service) Create(ctx context.Context, sc account.Scope, store id.MemoryStore, n NewMemory) (Memory, error) {
	if err := checkNew(n); err != nil {
		return Memory{}, err
	}
	v, err := s.prepare(ctx, sc, store, n.Content)
	if err != nil {
		return Memory{}, err
	}
	var out Memory
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		st, err := s.writable(ctx, sc, store)
		if err != nil {
			return err
		}
		out, err = s.insert(ctx, sc, st, n, v)
		return err
	})
	return out, err
}

func checkNew(n NewMemory) error {
	k := &checker{}
	k.memoryPath("path", n.Path)
	k.content("content", n.Content)
	return k.Err(ErrInvalid)
}

// prepare does what cannot be done in a transaction: it checks early that the store is there, and embeds the content.
func (s *Service) prepare(ctx context.Context, sc account.Scope, store id.MemoryStore, content string) (*Vectors, error) {
	st, err := s.d.Stores.Store(ctx, sc, store)
	if err != nil {
		return nil, err
	}
	if st.ArchivedAt != nil {
		return nil, ErrArchived
	}
	return s.vectors(ctx, content)
}

// writable locks a store that is not archived.
func (s *Service) writable(ctx context.Context, sc account.Scope, store id.MemoryStore) (Store, error) {
	st, err := s.d.Memories.Lock(ctx, sc, store)
	if err == nil && st.ArchivedAt != nil {
		err = ErrArchived
	}
	return st, err
}

// insert adds a memory to a store that is locked.
func (s *Service) insert(ctx context.Context, sc account.Scope, st Store, n NewMemory, v *Vectors) (Memory, error) {
	if err := s.free(ctx, sc, st.ID, n.Path, id.Memory{}); err != nil {
		return Memory{}, err
	}
	if st.Memories >= s.most {
		return Memory{}, ErrFull.Withf("the memory store has %d memories, and may not have more", st.Memories)
	}
	now := clock.Stored(s.d.Clock.Now())
	m := Memory{
		ID: id.New[id.MemoryKind](s.d.IDs), Store: st.ID, Version: id.New[id.MemoryVersionKind](s.d.IDs), Path: n.Path, Content: n.Content,
		Digest: DigestOf(n.Content), Size: len(n.Content), CreatedAt: now, UpdatedAt: now,
	}
	if err := s.d.Memories.Put(ctx, sc, m, v); err != nil {
		return Memory{}, err
	}
	return m, s.d.Versions.AddVersion(ctx, sc, versionOf(sc, m, Created, n.By))
}

// free returns ErrPathConflict unless a memory may have the path.
func (s *Service) free(ctx context.Context, sc account.Scope, store id.MemoryStore, path string, except id.Memory) error {
	other, found, err := s.d.Memories.At(ctx, sc, store, path, true, except)
	if err != nil || !found {
		return err
	}
	e := ErrPathConflict.WithDetails(map[string]string{"conflicting_memory_id": other.ID.String(), "conflicting_path": other.Path})
	if other.Path == path {
		return e.Withf("another memory has the path %s", path)
	}
	return e.Withf("the path %s overlaps that of another memory, %s", path, other.Path)
}

func versionOf(sc account.Scope, m Memory, op Operation, by Actor) Version {
	if by.IsZero() {
		by = ActorOf(sc)
	}
	v := Version{ID: m.Version, Memory: m.ID, Store: m.Store, Operation: op, Path: m.Path, By: by, CreatedAt: m.UpdatedAt}
	if op != Deleted {
		v.Stated, v.Content, v.Digest, v.Size = true, m.Content, m.Digest, m.Size
	}
	return v
}

// Patch is a change of a memory; nil fields stay.
type Patch struct {
	Content *string
	Path    *string
	Expect  *Digest // the content that is to be replaced
	By      Actor   // zero: who acts in the scope
}

// Update changes a memory. One that is as the patch wants it already stays as it is, whatever the patch expects. It returns
// id.NotFound, ErrArchived, ErrInvalid, ErrPrecondition or ErrPathConflict.
func (s *Service) Update(ctx context.Context, sc account.Scope, store id.MemoryStore, memory id.Memory, p Patch) (Memory, error) {
	k := &checker{}
	if p.Path != nil {
		k.memoryPath("path", *p.Path)
	}
	var v *Vectors
	if p.Content != nil {
		k.content("content", *p.Content)
	}
	if err := k.Err(ErrInvalid); err != nil {
		return Memory{}, err
	}
	if p.Content != nil {
		_, err := s.Memory(ctx, sc, store, memory) // before the embedder is asked
		if err != nil {
			return Memory{}, err
		}
		if v, err = s.prepare(ctx, sc, store, *p.Content); err != nil {
			return Memory{}, err
		}
	}
	var out Memory
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.writable(ctx, sc, store); err != nil {
			return err
		}
		m, err := s.d.Memories.Memory(ctx, sc, store, memory)
		if err != nil {
			return err
		}
		out, err = s.change(ctx, sc, m, p, v)
		return err
	})
	return out, err
}

// change applies p to a memory of a store that is locked; v are the vectors of the new content.
func (s *Service) change(ctx context.Context, sc account.Scope, m Memory, p Patch, v *Vectors) (Memory, error) {
	next := m
	if p.Content != nil {
		next.Content, next.Digest, next.Size = *p.Content, DigestOf(*p.Content), len(*p.Content)
	}
	if p.Path != nil {
		next.Path = *p.Path
	}
	switch {
	case next.Digest == m.Digest && next.Path == m.Path:
		return m, nil
	case p.Expect != nil && *p.Expect != m.Digest:
		return Memory{}, ErrPrecondition
	}
	if next.Path != m.Path {
		if err := s.free(ctx, sc, m.Store, next.Path, m.ID); err != nil {
			return Memory{}, err
		}
	}
	if next.Digest == m.Digest {
		v = nil
	}
	next.Version, next.UpdatedAt = id.New[id.MemoryVersionKind](s.d.IDs), clock.Stored(s.d.Clock.Now())
	if err := s.d.Memories.Put(ctx, sc, next, v); err != nil {
		return Memory{}, err
	}
	return next, s.d.Versions.AddVersion(ctx, sc, versionOf(sc, next, Modified, p.By))
}

// Write makes the memory at n.Path say n.Content, whether there is one or not; made tells which. It returns what Create returns.
func (s *Service) Write(ctx context.Context, sc account.Scope, store id.MemoryStore, n NewMemory) (out Memory, made bool, err error) {
	if err := checkNew(n); err != nil {
		return Memory{}, false, err
	}
	v, err := s.prepare(ctx, sc, store, n.Content)
	if err != nil {
		return Memory{}, false, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		st, err := s.writable(ctx, sc, store)
		if err != nil {
			return err
		}
		m, found, err := s.d.Memories.At(ctx, sc, store, n.Path, false, id.Memory{})
		if err != nil {
			return err
		}
		if made = !found; made {
			out, err = s.insert(ctx, sc, st, n, v)
		} else {
			out, err = s.change(ctx, sc, m, Patch{Content: &n.Content, By: n.By}, v)
		}
		return err
	})
	return out, made, err
}

// Delete removes a memory; its versions stay. It returns id.NotFound, and ErrPrecondition when expect is not nil and not the digest of
// the content.
func (s *Service) Delete(ctx context.Context, sc account.Scope, store id.MemoryStore, memory id.Memory, expect *Digest, by Actor) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Memories.Lock(ctx, sc, store); err != nil {
			return err
		}
		m, err := s.d.Memories.Memory(ctx, sc, store, memory)
		if err != nil {
			return err
		}
		if expect != nil && *expect != m.Digest {
			return ErrPrecondition
		}
		if err := s.d.Memories.Remove(ctx, sc, m); err != nil {
			return err
		}
		m.Version, m.UpdatedAt = id.New[id.MemoryVersionKind](s.d.IDs), clock.Stored(s.d.Clock.Now())
		return s.d.Versions.AddVersion(ctx, sc, versionOf(sc, m, Deleted, by))
	})
}

// Memory returns a memory with its content, or id.NotFound.
func (s *Service) Memory(ctx context.Context, sc account.Scope, store id.MemoryStore, memory id.Memory) (Memory, error) {
	if _, err := s.d.Stores.Store(ctx, sc, store); err != nil {
		return Memory{}, err
	}
	return s.d.Memories.Memory(ctx, sc, store, memory)
}

// At returns the memory at a path with its content; false when there is none.
func (s *Service) At(ctx context.Context, sc account.Scope, store id.MemoryStore, path string) (Memory, bool, error) {
	if _, err := s.d.Stores.Store(ctx, sc, store); err != nil {
		return Memory{}, false, err
	}
	return s.d.Memories.At(ctx, sc, store, path, false, id.Memory{})
}

// List lists memories by path. It returns ErrInvalid for a prefix that no path can begin with.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Item], error) {
	k := &checker{}
	if p := req.Prefix; p != "" && p != "/" {
		if p[len(p)-1] == '/' {
			p = p[:len(p)-1]
		}
		k.memoryPath("path_prefix", p)
	}
	if req.Depth < 0 || req.Depth > MaxSegments {
		k.Addf("depth", "must be 0 to %d", MaxSegments)
	}
	if err := k.Err(ErrInvalid); err != nil {
		return page.Page[Item]{}, err
	}
	if _, err := s.d.Stores.Store(ctx, sc, req.Store); err != nil {
		return page.Page[Item]{}, err
	}
	if req.Full {
		req.Limit = min(req.Size(), MaxFullPage)
	}
	return s.d.Memories.List(ctx, sc, req)
}

// Recent lists memories with their contents, the one that was changed last first.
func (s *Service) Recent(ctx context.Context, sc account.Scope, store id.MemoryStore, req page.Request) (page.Page[Memory], error) {
	if _, err := s.d.Stores.Store(ctx, sc, store); err != nil {
		return page.Page[Memory]{}, err
	}
	return s.d.Memories.Recent(ctx, sc, store, req)
}

// Version returns a version with its content, or id.NotFound.
func (s *Service) Version(ctx context.Context, sc account.Scope, store id.MemoryStore, version id.MemoryVersion) (Version, error) {
	if _, err := s.d.Stores.Store(ctx, sc, store); err != nil {
		return Version{}, err
	}
	return s.d.Versions.Version(ctx, sc, store, version)
}

// ListVersions lists versions, newest first.
func (s *Service) ListVersions(ctx context.Context, sc account.Scope, req ListVersions) (page.Page[Version], error) {
	if _, err := s.d.Stores.Store(ctx, sc, req.Store); err != nil {
		return page.Page[Version]{}, err
	}
	if req.Full {
		req.Limit = min(req.Size(), MaxFullPage)
	}
	return s.d.Versions.ListVersions(ctx, sc, req)
}

// Redact removes for good what a version says, and keeps who did it and when. Redacting it again changes nothing. It returns
// id.NotFound, and ErrCurrent for what a memory says now.
func (s *Service) Redact(ctx context.Context, sc account.Scope, store id.MemoryStore, version id.MemoryVersion) (Version, error) {
	now := clock.Stored(s.d.Clock.Now())
	var out Version
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Memories.Lock(ctx, sc, store); err != nil {
			return err
		}
		v, err := s.d.Versions.Version(ctx, sc, store, version)
		if err != nil {
			return err
		}
		out = v
		if v.RedactedAt != nil {
			return nil
		}
		if m, err := s.d.Memories.Memory(ctx, sc, store, v.Memory); err == nil && m.Version == v.ID {
			return ErrCurrent
		} else if err != nil && !isNotFound(err) {
			return err
		}
		out = Version{
			ID: v.ID, Memory: v.Memory, Store: v.Store, Operation: v.Operation, By: v.By, CreatedAt: v.CreatedAt, RedactedAt: &now,
			RedactedBy: ActorOf(sc),
		}
		return s.d.Versions.Redact(ctx, sc, out)
	})
	return out, err
}
