package skill

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// builtinPrefix is what the handles of guides that come with the server begin with.
const builtinPrefix = "builtin_"

// builtinSince is when the guides that come with the server were written.
func builtinSince() time.Time { return time.Date(2026, time.January, 15, 0, 0, 0, 0, time.UTC) }

//go:embed builtin
var builtinFiles embed.FS

// shippedGuide is a guide that comes with the server.
type shippedGuide struct {
	Guide

	content map[string][]byte // by path
}

func (g shippedGuide) open(path string) io.ReadCloser {
	return io.NopCloser(bytes.NewReader(g.content[path]))
}

// readShipped reads the embedded guides in the order of their folders' names.
func readShipped() ([]shippedGuide, error) {
	folders, err := fs.ReadDir(builtinFiles, "builtin")
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	var out []shippedGuide
	for _, folder := range folders {
		g := shippedGuide{content: map[string][]byte{}}
		root := path.Join("builtin", folder.Name())
		var uploads []Upload
		err := fs.WalkDir(builtinFiles, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := builtinFiles.ReadFile(name)
			if err != nil {
				return err
			}
			rest := strings.TrimPrefix(name, root+"/")
			g.content[rest] = content
			uploads = append(uploads, Bytes(rest, content))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("skill: %w", err)
		}
		b, err := readBundle(context.Background(), uploads)
		if err != nil {
			return nil, fmt.Errorf("skill: builtin %s: %w", folder.Name(), err)
		}
		if b.name != folder.Name() {
			return nil, errors.New("skill: builtin " + folder.Name() + " has another name in " + SkillDoc)
		}
		since := builtinSince()
		g.Guide = Guide{
			Handle: builtinPrefix + b.name, Source: SourceBuiltin, DisplayName: strings.ToUpper(b.name[:1]) + b.name[1:], CreatedAt: since, UpdatedAt: since,
			Latest: &GuideVersion{
				Number: 1, Name: b.name, Description: b.summary, Directory: b.name, Files: b.files, CreatedAt: since,
			},
		}
		out = append(out, g)
	}
	return out, nil
}

// Builtin returns the guides that come with the server, by handle, whose handle, name or description has search in it, in any case.
func (l *Library) Builtin(search string) []Guide {
	var out []Guide
	for _, g := range l.shipped {
		text := strings.ToLower(g.Handle + "\n" + g.DisplayName + "\n" + g.Latest.Description)
		if strings.Contains(text, strings.ToLower(search)) {
			out = append(out, g.Guide)
		}
	}
	return out
}

func (l *Library) builtin(handle string) (shippedGuide, bool) {
	for _, g := range l.shipped {
		if g.Handle == handle {
			return g, true
		}
	}
	return shippedGuide{}, false
}

// builtinSkill is the id of a guide that comes with the server. It is made of the handle, so that every server and every start has the
// same one. RFC 9562, version 8.
func builtinSkill(handle string) id.Skill {
	sum := sha256.Sum256([]byte("bureau builtin skill " + handle))
	u := id.UUID(sum[:len(id.UUID{})])
	u[6], u[8] = 0x80|u[6]&0x0f, 0x80|u[8]&0x3f
	return id.Of[id.SkillKind](u)
}
