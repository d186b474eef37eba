package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
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
		b.refused = map[string]Output{}
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
	var problems []error
	for _, rel := range slices.Sorted(maps.Keys(found)) {
		info := found[rel]
		now := Output{Size: info.Size(), Modified: clock.Stored(info.ModTime())}
		if b.refused[rel] == now {
			continue // it was said
		}
		if _, ok := b.outputs[rel]; !ok && len(b.outputs) >= s.cfg.MaxOutputs {
			problems = append(problems, errTooMany.Withf("only the first %d are saved", s.cfg.MaxOutputs))
			break
		}
		err := s.saveOutput(ctx, u, rel, info)
		if f, ok := fault.As(err); ok {
			err = f.Withf("%s: %s", clean(rel), f.Message)
			if f.Kind == fault.TooLarge { // anything else may pass next time
				b.refused[rel] = now
			}
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// errTooMany is why an output is not saved when there are very many.
var errTooMany = fault.New(fault.TooLarge, "sandbox_outputs", "there are too many files")

func (s *Service) saveOutput(ctx context.Context, u *scene, rel string, info fs.FileInfo) error {
	f, err := u.sandbox.Open(ctx, session.OutputsDir+"/"+rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone meanwhile
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
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
