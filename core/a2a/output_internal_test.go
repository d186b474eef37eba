package a2a

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/id"
)

// broken are files that cannot be opened.
type broken struct{ err error }

func (b broken) Open(context.Context, account.Scope, id.File) (file.File, *file.Content, error) {
	return file.File{}, nil, b.err
}

// TestFillOutputs has files that cannot be read: the task is told all the same, as long as somebody listens.
func TestFillOutputs(t *testing.T) {
	t.Parallel()
	over, end := context.WithCancel(t.Context())
	end()
	for name, tc := range map[string]struct {
		ctx                context.Context
		err                error
		gone, unread, fail bool
	}{
		"gone":     {t.Context(), id.NotFound[id.FileKind]("file_x"), true, false, false},
		"expired":  {t.Context(), file.ErrExpired, true, false, false},
		"damaged":  {t.Context(), file.ErrCorrupt, false, true, false},
		"no disk":  {t.Context(), errors.New("no answer"), false, true, false},
		"too late": {over, context.Canceled, false, false, true},
	} {
		var log strings.Builder
		s := &Service{d: Deps{Files: broken{tc.err}, Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		all := []Output{{Task: id.New[id.TurnKind](ids), File: id.New[id.FileKind](ids), Size: 1}, {Size: MaxOutputBytes + 1}}
		room, err := s.FillOutputs(tc.ctx, account.Scope{}, all, 10)
		if (err != nil) != tc.fail || room != 10 || all[0].Gone != tc.gone || all[0].Unread != tc.unread || all[0].Data != nil ||
			all[1].Gone || all[1].Unread {
			t.Errorf("%s: %v, %d, %+v", name, err, room, all)
		}
		if logged := strings.Contains(log.String(), "level=ERROR") && strings.Contains(log.String(), all[0].File.String()); logged != tc.unread {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}
