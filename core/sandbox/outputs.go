package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
)

// keepOutputs stores what is new or changed below session.OutputsDir as files of the session.
func (s *Service) keepOutputs(ctx context.Context, u *scene) {
	if s.d.Outputs == nil || !u.wrote {
		return
	}
	const thing = "outputs"
	if err := s.saveOutputs(ctx, u); err != nil {
		s.complain(ctx, u, thing, "files of "+session.OutputsDir+" were not saved: "+publicText(err), err)
		return
	}
	s.tell(ctx, u, thing, "", session.Entry{})
}

func (s *Service) saveOutputs(ctx context.Context, u *scene) error {
	b := u.box
	if b.outputs == nil {
		var err error
		if b.outputs, err = s.d.Repository.Outputs(ctx, u.sc, u.sess.ID); err != nil {
			return err
		}
		if b.outputs == nil {
			b.outputs = map[string]Output{}
		}
	}
	found := map[string]fs.FileInfo{}
	err := walk(ctx, u.sandbox, session.OutputsDir, walkLimits{entries: maxWalk}, func(p string, info fs.FileInfo) error {
		rel := strings.TrimPrefix(p, session.OutputsDir+"/")
		if known, ok := b.outputs[rel]; ok && known.Size == info.Size() && known.Modified.Equal(clock.Stored(info.ModTime())) {
			return nil
		}
		found[rel] = info
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil && !errors.Is(err, errWalkLimit) {
		return err
	}
	for _, rel := range slices.Sorted(maps.Keys(found)) {
		if _, ok := b.outputs[rel]; !ok && len(b.outputs) >= s.cfg.MaxOutputs {
			s.complain(ctx, u, "outputs most", fmt.Sprintf("only the first %d files of %s are saved", s.cfg.MaxOutputs, session.OutputsDir), nil)
			continue
		}
		if err := s.saveOutput(ctx, u, rel, found[rel]); err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
	}
	return nil
}

func (s *Service) saveOutput(ctx context.Context, u *scene, rel string, info fs.FileInfo) error {
	f, err := u.sandbox.Open(ctx, session.OutputsDir+"/"+rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	file, err := s.d.Outputs.Save(ctx, u.sc, NewOutput{Session: u.sess.ID, Path: clean(rel)}, f)
	if err != nil {
		return err
	}
	o := Output{Path: clean(rel), File: file, Size: info.Size(), Modified: clock.Stored(info.ModTime())}
	if err := s.d.Repository.SaveOutput(ctx, u.sc, u.sess.ID, o); err != nil {
		return err
	}
	u.box.outputs[rel] = o
	return nil
}
