package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Snapshot is what a store holds at a moment: what a sandbox shows of it.
type Snapshot struct {
	Store    id.MemoryStore
	Version  string // changes with whatever the store holds
	Memories []Memory
	byPath   map[string]Memory
}

// Snapshot returns what a store holds, without contents. An attached store that was never written to holds nothing.
func (s *Service) Snapshot(ctx context.Context, sc account.Scope, at Attached) (Snapshot, error) {
	snap := Snapshot{Store: at.Store.ID, byPath: map[string]Memory{}}
	h := sha256.New()
	if !at.implied {
		for req := (page.Request{Limit: 1000}); ; {
			p, err := s.List(ctx, sc, ListRequest{Request: req, Store: at.Store.ID})
			if err != nil {
				return Snapshot{}, err
			}
			for _, item := range p.Items {
				snap.Memories = append(snap.Memories, item.Memory)
				snap.byPath[item.Memory.Path] = item.Memory
				fmt.Fprintf(h, "%s\x00%s\n", item.Memory.Path, item.Memory.Digest)
			}
			if req.Cursor = p.Next; p.Next == "" {
				break
			}
		}
	}
	snap.Version = at.Store.ID.String() + "/" + hex.EncodeToString(h.Sum(nil))
	return snap, nil
}

// Change is what a sandbox did to a memory.
type Change struct {
	Path    string // "/notes/a.md"
	Content string
	Removed bool
}

// TakeBack stores what a sandbox did to what it was shown in snap. A memory that somebody else has changed since keeps what they
// wrote, and a path that cannot be a memory's is left out; the error names each of those, and everything else is stored.
func (s *Service) TakeBack(ctx context.Context, sc account.Scope, at Attached, snap Snapshot, changes []Change, by Actor) error {
	if at.ReadOnly {
		return ErrReadOnly
	}
	var problems []string
	for _, c := range changes {
		if err := s.takeBack(ctx, sc, at, snap, c, by); err != nil {
			if !isOurs(err) {
				return err
			}
			problems = append(problems, c.Path+": "+publicMessage(err))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return ErrPrecondition.Withf("not everything could be kept in the memory store %s: %s", at.Name, strings.Join(problems, "; "))
}

func (s *Service) takeBack(ctx context.Context, sc account.Scope, at Attached, snap Snapshot, c Change, by Actor) error {
	was, known := snap.byPath[c.Path]
	switch {
	case c.Removed && known:
		err := s.Delete(ctx, sc, at.Store.ID, was.ID, &was.Digest, by)
		if isNotFound(err) {
			return nil
		}
		return err
	case c.Removed:
		return nil
	case known:
		_, err := s.Update(ctx, sc, at.Store.ID, was.ID, Patch{Content: &c.Content, Expect: &was.Digest, By: by})
		if !isNotFound(err) {
			return err
		}
	}
	n := NewMemory{Path: c.Path, Content: c.Content, By: by}
	if err := checkNew(n); err != nil {
		return err
	}
	if err := s.make(ctx, sc, at); err != nil {
		return err
	}
	_, err := s.Create(ctx, sc, at.Store.ID, n)
	if errors.Is(err, ErrPathConflict) {
		if m, found, aerr := s.At(ctx, sc, at.Store.ID, c.Path); aerr == nil && found && m.Digest == DigestOf(c.Content) {
			return nil // it is as the sandbox has it
		}
	}
	return err
}
