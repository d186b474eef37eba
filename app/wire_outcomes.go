package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// rubricFiles reads the rubrics of outcomes from files.
type rubricFiles struct{ files *file.Service }

var _ session.Rubrics = rubricFiles{}

// Text implements session.Rubrics.
func (r rubricFiles) Text(ctx context.Context, sc account.Scope, f id.File) (text string, err error) {
	_, content, err := r.files.Open(ctx, sc, f)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	const most = 4 * session.MaxRubric // bytes of so many characters
	b, err := io.ReadAll(io.LimitReader(content, most+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("app: rubric: %w", err)
	case len(b) > most:
		return "", fault.Invalidf("rubric.file_id", "must have at most %d characters", session.MaxRubric)
	case !utf8.Valid(b):
		return "", fault.Invalidf("rubric.file_id", "must be a file of text")
	}
	return string(b), nil
}
