package app

import (
	"bytes"
	"context"
	"io"
	"mime"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// sessionFiles is what sessions, and the models in them, need of files.
type sessionFiles struct{ files *file.Service }

// CheckFile implements session.Files.
func (s sessionFiles) CheckFile(ctx context.Context, sc account.Scope, f id.File) error {
	_, err := s.files.Get(ctx, sc, f)
	return err
}

// errFileTooLarge is returned for files that are not read whole.
var errFileTooLarge = fault.New(fault.TooLarge, "file_too_large", "the file is too large to be read whole")

// readFile returns a file whole.
func readFile(ctx context.Context, files *file.Service, sc account.Scope, f id.File, most int64) (file.File, []byte, error) {
	meta, content, err := files.Open(ctx, sc, f)
	if err != nil {
		return file.File{}, nil, err
	}
	defer func() { _ = content.Close() }()
	if meta.Size > most {
		return file.File{}, nil, errFileTooLarge.Withf("%s has %d bytes; at most %d are read", meta.Name, meta.Size, most)
	}
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(content, most)); err != nil {
		return file.File{}, nil, err
	}
	return meta, data.Bytes(), nil
}

// ReadFile implements run.Files.
func (s sessionFiles) ReadFile(ctx context.Context, sc account.Scope, f id.File, most int64) (run.File, error) {
	meta, data, err := readFile(ctx, s.files, sc, f, most)
	if err != nil {
		return run.File{}, err
	}
	return run.File{Name: meta.Name, MediaType: modelType(meta.MediaType), Data: data}, nil
}

// modelType returns a media type without its parameters; everything that is text is plain text to a model.
func modelType(t string) string {
	plain, _, err := mime.ParseMediaType(t)
	if err != nil {
		return t
	}
	switch {
	case strings.HasPrefix(plain, "text/"), plain == "application/json", plain == "application/xml", plain == "application/yaml",
		strings.HasSuffix(plain, "+json"), strings.HasSuffix(plain, "+xml"):
		return "text/plain"
	}
	return plain
}
