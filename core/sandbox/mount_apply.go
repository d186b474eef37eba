package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// gather asks the mounters what the sandbox is to show; complete is false when one of them could not say.
func (s *Service) gather(ctx context.Context, u *scene) (complete bool, err error) {
	complete = true
	for i, m := range s.d.Mounters {
		mounts, err := m.Mounts(ctx, u.sc, u.sess, u.agent)
		thing := fmt.Sprintf("mounter %d", i)
		if err != nil {
			if ctx.Err() != nil {
				return false, err
			}
			complete = false
			s.complain(ctx, u, thing, "files could not be mounted: "+publicText(err), err)
			continue
		}
		s.tell(ctx, u, thing, "", session.Entry{})
		u.mounts = append(u.mounts, mounts...)
	}
	// A mount within another one comes after it.
	slices.SortStableFunc(u.mounts, func(a, b Mount) int { return strings.Compare(a.Path, b.Path) })
	return complete, nil
}

// mount shows what was gathered and, when that is complete, removes what is no longer named.
func (s *Service) mount(ctx context.Context, u *scene, complete bool) error {
	b := u.box
	changed := false
	if complete {
		for p := range b.st.Mounts {
			if slices.ContainsFunc(u.mounts, func(m Mount) bool { return m.Path == p }) {
				continue
			}
			if err := b.clear(ctx, p); err != nil && !errors.Is(err, runtime.ErrPath) {
				return err
			}
			changed = true
		}
	}
	for _, m := range u.mounts {
		old, there := b.st.Mounts[m.Path]
		if there && old.Version == m.Version {
			continue
		}
		now, err := s.show(ctx, u, m, old)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, runtime.ErrGone) {
				return err
			}
			s.complain(ctx, u, m.Path, m.Path+" could not be mounted: "+publicText(err), err)
			continue
		}
		s.tell(ctx, u, m.Path, "", session.Entry{})
		if b.st.Mounts == nil {
			b.st.Mounts = map[string]mounted{}
		}
		b.st.Mounts[m.Path] = now
		changed = true
	}
	if !changed {
		return nil
	}
	return b.save(ctx)
}

// clear removes a mount, with what was mounted within it: that is shown again.
func (b *box) clear(ctx context.Context, at string) error {
	if err := b.sb.RemoveAll(ctx, at); err != nil {
		return err
	}
	maps.DeleteFunc(b.st.Mounts, func(p string, _ mounted) bool { return p == at || strings.HasPrefix(p, at+"/") })
	return nil
}

// checkPlace returns runtime.ErrPath for a path at which nothing can be mounted.
func checkPlace(p string) error {
	dirs := runtime.Dirs()
	if slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(p, dir+"/") }) {
		return nil
	}
	return runtime.ErrPath.Withf("sandboxes of this server have only %s", strings.Join(dirs, ", "))
}

// show writes the contents of a mount over what an earlier version left.
func (s *Service) show(ctx context.Context, u *scene, m Mount, old mounted) (mounted, error) {
	if err := checkPlace(m.Path); err != nil {
		return mounted{}, err
	}
	files, err := m.Load(ctx)
	if err != nil {
		return mounted{}, err
	}
	if m.Sync == nil && old.Version != "" {
		if err := u.box.clear(ctx, m.Path); err != nil {
			return mounted{}, err
		}
	}
	now := mounted{Version: m.Version, Files: map[string]string{}}
	for _, f := range files {
		digest, err := put(ctx, u.box.sb, path.Join(m.Path, f.Path), f, m.ReadOnly)
		if err != nil {
			return mounted{}, err
		}
		now.Files[f.Path] = digest
	}
	for p := range old.Files {
		if _, kept := now.Files[p]; !kept && p != "" {
			if err := u.box.sb.RemoveAll(ctx, path.Join(m.Path, p)); err != nil {
				return mounted{}, err
			}
		}
	}
	if len(files) == 0 { // a directory is made by what lies in it
		keep := path.Join(m.Path, ".keep")
		if err := u.box.sb.Write(ctx, keep, strings.NewReader(""), 0o644); err != nil {
			return mounted{}, err
		}
		if err := u.box.sb.RemoveAll(ctx, keep); err != nil {
			return mounted{}, err
		}
	}
	return now, nil
}

func put(ctx context.Context, sb runtime.Sandbox, at string, f File, readOnly bool) (digest string, err error) {
	body, err := f.Open(ctx)
	if err != nil {
		return "", err
	}
	defer body.Close()
	mode := f.Mode.Perm()
	if mode == 0 {
		mode = 0o644
	}
	if readOnly {
		mode &^= 0o222
	}
	h := sha256.New()
	if err := sb.Write(ctx, at, io.TeeReader(body, h), mode); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// complain tells the user, the model and the log of the server that something of the sandbox is missing. It is tried again.
func (s *Service) complain(ctx context.Context, u *scene, thing, message string, err error) {
	u.notes = append(u.notes, message)
	if _, public := fault.As(err); !public {
		s.d.Logger.WarnContext(ctx, "sandbox incomplete", "session_id", u.sess.ID, "what", thing, "error", err)
	}
	s.tell(ctx, u, thing, message, session.Entry{Type: session.SessionError, Body: session.ErrorBody{Error: session.ErrorDetail{
		Type: session.ErrTypeUnknown, Message: message, RetryStatus: session.RetryStatus{Type: session.Retrying},
	}}})
}

// publicText says of an error what a model and a user may know.
func publicText(err error) string {
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		return f.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	return "an internal error"
}

// takeBack gives what programs changed below the mounts that want it to those who mounted them.
func (s *Service) takeBack(ctx context.Context, u *scene) {
	if !u.wrote {
		return
	}
	changed := false
	for _, m := range u.mounts {
		st, there := u.box.st.Mounts[m.Path]
		if m.Sync == nil || m.ReadOnly || !there {
			continue
		}
		changes, files, err := s.changes(ctx, u, m, st)
		if err == nil && len(changes) > 0 {
			if err = m.Sync(ctx, changes); err == nil {
				st.Files = files
				u.box.st.Mounts[m.Path] = st
				changed = true
			}
		}
		if err != nil {
			s.complain(ctx, u, "sync "+m.Path, "changes below "+m.Path+" were not saved: "+publicText(err), err)
			continue
		}
		s.tell(ctx, u, "sync "+m.Path, "", session.Entry{})
	}
	if changed {
		if err := u.box.save(ctx); err != nil {
			s.d.Logger.WarnContext(ctx, "state of a sandbox not saved", "session_id", u.sess.ID, "error", err)
		}
	}
}

// changes compares a mount with what was last mounted or taken back.
func (s *Service) changes(ctx context.Context, u *scene, m Mount, st mounted) ([]Change, map[string]string, error) {
	var changes []Change
	files := map[string]string{}
	err := walk(ctx, u.sandbox, m.Path, walkLimits{entries: 10_000}, func(p string, info fs.FileInfo) error {
		rel := strings.TrimPrefix(strings.TrimPrefix(p, m.Path), "/")
		if info.Size() > MaxSyncBytes {
			return fault.New(fault.TooLarge, "sandbox_file_too_large", fmt.Sprintf("%s has more than %d bytes", p, MaxSyncBytes))
		}
		data, err := readAll(ctx, u.sandbox, p, MaxSyncBytes)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		files[rel] = hex.EncodeToString(sum[:])
		if st.Files[rel] != files[rel] {
			changes = append(changes, Change{Path: rel, Data: bytes.Clone(data)})
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for rel := range st.Files {
		if _, there := files[rel]; !there {
			changes = append(changes, Change{Path: rel, Removed: true})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return changes, files, nil
}
