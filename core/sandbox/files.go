package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

const (
	maxEdit  = 10 << 20 // bytes of a file that is edited
	maxLine  = 2000     // bytes of a line that are shown
	maxImage = 1 << 20
)

var readSpec = tool.Spec{
	Name: "read",
	Description: "Read a file of your sandbox. Text is returned with line numbers; images are shown. Large files are cut: " +
		"view_range reads a part of them.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"file_path": {"type": "string", "description": "Path of the file; relative ones begin at /workspace"},
			"view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2,
				"description": "First and last line to read, counted from 1; -1 as the last is the end of the file"}
		},
		"required": ["file_path"]
	}`),
	Idempotent: true,
}

var writeSpec = tool.Spec{
	Name:        "write",
	Description: "Write a file of your sandbox: makes it, with the directories above it, or replaces what it holds.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"file_path": {"type": "string", "description": "Path of the file; relative ones begin at /workspace"},
			"content": {"type": "string", "description": "What the file is to hold"}
		},
		"required": ["file_path", "content"]
	}`),
	Idempotent: true,
}

var editSpec = tool.Spec{
	Name:        "edit",
	Description: "Replace a text in a file of your sandbox. old_string must occur exactly once, unless replace_all is set.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"file_path": {"type": "string", "description": "Path of the file; relative ones begin at /workspace"},
			"old_string": {"type": "string", "description": "The text to replace, exactly as it stands in the file"},
			"new_string": {"type": "string", "description": "The text to put in its place"},
			"replace_all": {"type": "boolean", "description": "Replace every occurrence"}
		},
		"required": ["file_path", "old_string", "new_string"]
	}`),
}

// absolute returns the clean absolute form of a path that a model gave.
func absolute(p string) (string, error) {
	p = strings.TrimSpace(p)
	switch {
	case p == "":
		return "", errors.New("the path must not be empty")
	case strings.ContainsRune(p, 0):
		return "", errors.New("the path must not contain the NUL character")
	case !strings.HasPrefix(p, "/"):
		p = session.WorkspaceDir + "/" + p
	}
	return path.Clean(p), nil
}

// fileFailure says to the model what is wrong with a file; false when it is not for the model.
func fileFailure(p string, err error) (tool.Result, bool) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refusef("%s: no such file or directory", p), true
	case errors.Is(err, fs.ErrPermission):
		return refusef("%s: permission denied", p), true
	case errors.Is(err, runtime.ErrPath):
		return refusef("%s does not lie in the sandbox", p), true
	case errors.Is(err, runtime.ErrDiskFull):
		return refusef("%s was not written: the sandbox is full; remove files that are not needed", p), true
	}
	if f, ok := fault.As(err); ok && (f.Kind == fault.Invalid || f.Kind == fault.TooLarge) {
		return refusef("%s", f.Message), true
	}
	return tool.Result{}, false
}

func (s *Service) read(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	var in struct {
		Path  string `json:"file_path"`
		Range []int  `json:"view_range"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return refusef("the input must be an object with the text \"file_path\""), nil
	}
	p, err := absolute(in.Path)
	if err != nil {
		return refusef("%s", err), nil
	}
	first, last := 1, -1
	if len(in.Range) > 0 {
		if len(in.Range) != 2 || in.Range[0] < 1 || in.Range[1] != -1 && in.Range[1] < in.Range[0] {
			return refusef("view_range must be the first and the last line, counted from 1; -1 as the last is the end of the file"), nil
		}
		first, last = in.Range[0], in.Range[1]
	}
	info, err := u.sandbox.Stat(ctx, p)
	if err == nil && info.IsDir() {
		return refusef("%s is a directory; list it with the tool glob, or with ls in bash", p), nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return refusef("%s is not a regular file", p), nil
	}
	var f fs.File
	if err == nil {
		f, err = u.sandbox.Open(ctx, p)
	}
	if err != nil {
		if res, ok := fileFailure(p, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, 64<<10)
	head, err := r.Peek(8 << 10)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return tool.Result{}, err
	}
	if len(head) == 0 {
		return tool.Result{Text: p + " is empty"}, nil
	}
	if media := imageType(head); media != "" {
		return readImage(p, media, info.Size(), r)
	}
	if binary(head) {
		return refusef("%s is a binary file of %d bytes; look at it with a program in bash, such as file or xxd", p, info.Size()), nil
	}
	return s.readLines(p, r, first, last)
}

func readImage(p, media string, size int64, r io.Reader) (tool.Result, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxImage+1))
	if err != nil {
		return tool.Result{}, err
	}
	if len(data) > maxImage {
		return refusef("%s is an image of %d bytes; only images of up to %d bytes can be shown: make it smaller first", p, size, maxImage), nil
	}
	return tool.Result{
		Text: fmt.Sprintf("%s is an image (%s, %d bytes)", p, media, len(data)), Media: []tool.Media{{MediaType: media, Data: data}},
	}, nil
}

// imageType recognises the images that models can see.
func imageType(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		return "image/gif"
	case len(head) >= 12 && bytes.HasPrefix(head, []byte("RIFF")) && string(head[8:12]) == "WEBP":
		return "image/webp"
	}
	return ""
}

// binary reports whether a file that begins with head is no text.
func binary(head []byte) bool {
	if bytes.IndexByte(head, 0) >= 0 {
		return true
	}
	for i := 0; i < utf8.UTFMax && len(head) > 0 && !utf8.Valid(head); i++ { // a character may be cut at the end
		head = head[:len(head)-1]
	}
	return !utf8.Valid(head)
}

// readLines numbers the lines of a text, as many as are shown at once.
func (s *Service) readLines(p string, r *bufio.Reader, first, last int) (tool.Result, error) {
	var out strings.Builder
	n := 0
	for {
		line, err := readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return tool.Result{}, err
		}
		if line == nil {
			break
		}
		n++
		if n < first {
			continue
		}
		if last > 0 && n > last {
			return tool.Result{Text: out.String()}, nil
		}
		if out.Len()+len(line) > s.cfg.MaxOutput {
			fmt.Fprintf(&out, "[cut before line %d; read on with view_range]\n", n)
			return tool.Result{Text: out.String()}, nil
		}
		fmt.Fprintf(&out, "%6d\t%s\n", n, clean(string(line)))
	}
	if n < first {
		return refusef("%s has %d lines", p, n), nil
	}
	return tool.Result{Text: out.String()}, nil
}

// readLine returns the next line without its end, cut when it is very long; nil at the end of the text.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long, some := false, false
	for {
		part, more, err := r.ReadLine()
		if err != nil {
			if some {
				return line, nil // the end of the file ends the line
			}
			return nil, err
		}
		some = true
		if line == nil {
			line = []byte{}
		}
		if room := maxLine - len(line); len(part) > room {
			part, long = part[:max(room, 0)], true
		}
		line = append(line, part...)
		if !more {
			break
		}
	}
	if long {
		line = append(bytes.ToValidUTF8(line, nil), " [line cut]"...)
	}
	return line, nil
}

// writable refuses paths below mounts that are read-only.
func writable(u *scene, p string) (tool.Result, bool) {
	for _, m := range u.mounts {
		if m.ReadOnly && (p == m.Path || strings.HasPrefix(p, m.Path+"/")) {
			return refusef("%s is read-only", m.Path), false
		}
	}
	return tool.Result{}, true
}

// target checks a path that is to be written and returns what is there.
func target(ctx context.Context, u *scene, given string) (p string, info fs.FileInfo, refused *tool.Result, err error) {
	if p, err = absolute(given); err != nil {
		res := refusef("%s", err)
		return "", nil, &res, nil
	}
	if res, ok := writable(u, p); !ok {
		return p, nil, &res, nil
	}
	info, err = u.sandbox.Stat(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil, nil, nil
	case err != nil:
		if res, ok := fileFailure(p, err); ok {
			return p, nil, &res, nil
		}
		return p, nil, nil, err
	case info.IsDir():
		res := refusef("%s is a directory", p)
		return p, nil, &res, nil
	}
	return p, info, nil, nil
}

func (s *Service) write(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	var in struct {
		Path    string `json:"file_path"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return refusef("the input must be an object with the texts \"file_path\" and \"content\""), nil //nolint:nilerr // the model is told
	}
	p, info, refused, err := target(ctx, u, in.Path)
	if refused != nil || err != nil {
		return given(refused), err
	}
	mode, verb := fs.FileMode(0o644), "wrote"
	if info != nil {
		mode, verb = info.Mode().Perm(), "replaced"
	}
	u.wrote = true
	if err := u.sandbox.Write(ctx, p, strings.NewReader(in.Content), mode); err != nil {
		if res, ok := fileFailure(p, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	return tool.Result{Text: fmt.Sprintf("%s %s (%d bytes)", verb, p, len(in.Content))}, nil
}

// given returns a refusal, or nothing.
func given(refused *tool.Result) tool.Result {
	if refused == nil {
		return tool.Result{}
	}
	return *refused
}

func (s *Service) edit(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	var in struct {
		Path string `json:"file_path"`
		Old  string `json:"old_string"`
		New  string `json:"new_string"`
		All  bool   `json:"replace_all"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		const want = "the input must be an object with the texts \"file_path\", \"old_string\" and \"new_string\""
		return refusef(want), nil //nolint:nilerr // the model is told
	}
	p, info, refused, err := target(ctx, u, in.Path)
	switch {
	case refused != nil || err != nil:
		return given(refused), err
	case info == nil:
		return refusef("%s: no such file or directory", p), nil
	case in.Old == "":
		return refusef("old_string must not be empty; a new file is made with the tool write"), nil
	case in.Old == in.New:
		return refusef("old_string and new_string are the same"), nil
	}
	content, err := readAll(ctx, u.sandbox, p, maxEdit)
	if err != nil {
		if res, ok := fileFailure(p, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	text := string(content)
	n := strings.Count(text, in.Old)
	switch {
	case n == 0:
		return refusef("old_string does not occur in %s; it must match exactly, with spaces and line ends", p), nil
	case n > 1 && !in.All:
		return refusef("old_string occurs %d times in %s; make it longer so that it occurs once, or set replace_all", n, p), nil
	}
	if len(text)+n*(len(in.New)-len(in.Old)) > maxEdit && len(in.New) > len(in.Old) {
		return refusef("%s would have more than %d bytes; change it with a program in bash", p, maxEdit), nil
	}
	at := strings.Index(text, in.Old)
	text = strings.ReplaceAll(text, in.Old, in.New)
	u.wrote = true
	if err := u.sandbox.Write(ctx, p, strings.NewReader(text), info.Mode().Perm()); err != nil {
		if res, ok := fileFailure(p, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	times := "1 occurrence"
	if n > 1 {
		times = fmt.Sprintf("%d occurrences", n)
	}
	return tool.Result{Text: fmt.Sprintf("replaced %s in %s, the first at line %d", times, p, 1+strings.Count(text[:at], "\n"))}, nil
}
