package skill

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/ports/fault"
)

// Limits of an uploaded skill.
const (
	MaxBundleFiles = 500
	MaxBundleFile  = 25 << 20  // bytes of one file
	MaxBundleBytes = 100 << 20 // bytes of all files together
	MaxSkillDoc    = 1 << 20   // bytes of SKILL.md, which models read whole
	MaxBundlePath  = 1024      // bytes of a path
	maxSegment     = 255
	maxFrontMatter = 64 << 10
	maxDirectory   = 4 << 20 // bytes of an archive's list of files

	MaxGuideName        = 64   // characters of the name in SKILL.md
	MaxGuideDescription = 1024 // characters
	MaxDisplayName      = 255  // characters
)

// SkillDoc is the file that every skill of instructions begins with.
const SkillDoc = "SKILL.md"

// Upload is one file as it came in. Open is called several times, one after the other.
type Upload struct {
	Path string // with the folder that the files share: "my-skill/SKILL.md"
	Open func() (io.ReadCloser, error)
}

// Bytes returns the Upload of what is in memory.
func Bytes(path string, content []byte) Upload {
	return Upload{Path: path, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

// bundle is an upload that was found to be a skill.
type bundle struct {
	directory string // that the files came in; "" is none
	name      string
	summary   string // the description in SKILL.md
	files     []File // by path
	open      map[string]func() (io.ReadCloser, error)
}

// File is a file of a skill.
type File struct {
	Path   string // in the skill's folder: "scripts/run.py"
	Size   int64
	Digest [sha256.Size]byte
}

// ReadZip returns the files of an archive. What archivers add for their own use, such as __MACOSX, is passed over. It returns
// ErrBundle, naming the entry, for one that is no ordinary file.
func ReadZip(r io.ReaderAt, size int64) ([]Upload, error) {
	bounded := &opening{ReaderAt: r, left: maxDirectory}
	archive, err := zip.NewReader(bounded, size)
	bounded.opened = true
	if errors.Is(err, errOver) {
		return nil, tooManyFiles()
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // paths are checked with all others
		return nil, bundleFault("file", "is not a ZIP archive")
	}
	var out []Upload
	for _, f := range archive.File {
		switch mode := f.Mode(); {
		case strings.HasSuffix(f.Name, "/"), mode.IsDir():
			continue
		case mode&fs.ModeSymlink != 0:
			return nil, bundleFault(f.Name, "is a symbolic link")
		case !mode.IsRegular():
			return nil, bundleFault(f.Name, "is not an ordinary file")
		case f.Flags&1 != 0:
			return nil, bundleFault(f.Name, "is encrypted")
		case f.UncompressedSize64 > MaxBundleFile:
			return nil, bundleFault(f.Name, "is larger than %d bytes", MaxBundleFile)
		}
		if strings.HasPrefix(f.Name, "__MACOSX/") || f.Name == ".DS_Store" || strings.HasSuffix(f.Name, "/.DS_Store") {
			continue
		}
		if len(out) == MaxBundleFiles {
			return nil, tooManyFiles()
		}
		out = append(out, Upload{Path: f.Name, Open: f.Open})
	}
	return out, nil
}

// opening bounds what is read of an archive before it is opened: its directory, which may list millions of files that are not there.
type opening struct {
	io.ReaderAt

	left   int
	opened bool
}

// ReadAt implements io.ReaderAt.
func (o *opening) ReadAt(p []byte, at int64) (int, error) {
	if o.opened {
		return o.ReaderAt.ReadAt(p, at)
	}
	if o.left -= len(p); o.left < 0 {
		return 0, errOver
	}
	return o.ReaderAt.ReadAt(p, at)
}

// WriteZip writes files as an archive, in their order, below the folder.
func WriteZip(w io.Writer, folder string, files []File, open func(File) (io.ReadCloser, error)) error {
	archive := zip.NewWriter(w)
	for _, f := range files {
		name := f.Path
		if folder != "" {
			name = folder + "/" + f.Path
		}
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return fmt.Errorf("skill: zip: %w", err)
		}
		if err := copyFile(entry, func() (io.ReadCloser, error) { return open(f) }); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("skill: zip: %w", err)
	}
	return nil
}

func copyFile(w io.Writer, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// bundleFault is ErrBundle at a path of the upload, which is cut to be readable.
func bundleFault(path, format string, args ...any) error {
	shown := strings.ToValidUTF8(strings.ReplaceAll(path, "\x00", "\uFFFD"), "\uFFFD")
	if r := []rune(shown); len(r) > 200 {
		shown = string(r[:200])
	}
	msg := fmt.Sprintf(format, args...)
	return ErrBundle.Withf("%s: %s", shown, msg).WithFields(fault.Field{Path: shown, Message: msg})
}

func tooManyFiles() error { return bundleFault("files", "are more than %d", MaxBundleFiles) }

// readBundle checks an upload, reading every file once: that it has one SKILL.md at the top of the one folder that it may come in, no
// path that leads elsewhere or names a file twice, and no more bytes than allowed, whatever an archive says of itself.
func readBundle(ctx context.Context, uploads []Upload) (bundle, error) {
	switch {
	case len(uploads) == 0:
		return bundle{}, bundleFault("files", "are required")
	case len(uploads) > MaxBundleFiles:
		return bundle{}, tooManyFiles()
	}
	b := bundle{open: map[string]func() (io.ReadCloser, error){}}
	var err error
	if b.directory, err = checkPaths(uploads); err != nil {
		return bundle{}, err
	}
	left := int64(MaxBundleBytes)
	var doc []byte
	for _, u := range uploads {
		if err := ctx.Err(); err != nil {
			return bundle{}, err
		}
		path := strings.TrimPrefix(u.Path, b.directory+"/")
		keep := &bytes.Buffer{}
		m := &measure{left: min(left, MaxBundleFile), hash: sha256.New()}
		if path == SkillDoc {
			m.keep, m.left = keep, min(left, MaxSkillDoc)
		}
		if err := copyFile(m, u.Open); err != nil {
			return bundle{}, uploadErr(u.Path, path, m, left, err)
		}
		left -= m.size
		if path == SkillDoc {
			doc = keep.Bytes()
		}
		f := File{Path: path, Size: m.size}
		m.hash.Sum(f.Digest[:0])
		b.files = append(b.files, f)
		b.open[path] = u.Open
	}
	slices.SortFunc(b.files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	b.name, b.summary, err = readFrontMatter(doc)
	return b, err
}

func uploadErr(whole, path string, m *measure, left int64, err error) error {
	switch {
	case !errors.Is(err, errOver):
	case path == SkillDoc && left > MaxSkillDoc:
		return bundleFault(whole, "is larger than %d bytes", MaxSkillDoc)
	case left <= MaxBundleFile:
		return bundleFault("files", "have more than %d bytes together", MaxBundleBytes)
	default:
		return bundleFault(whole, "is larger than %d bytes", MaxBundleFile)
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, zip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) ||
		isCorrupt(err) {
		return bundleFault(whole, "cannot be read: the archive is damaged")
	}
	return err
}

// isCorrupt reports whether a decompressor gave up.
func isCorrupt(err error) bool { return strings.HasPrefix(err.Error(), "flate:") }

var errOver = errors.New("skill: over a limit")

// measure counts and hashes what is written to it, and stops at a limit.
type measure struct {
	left, size int64
	hash       hash.Hash
	keep       *bytes.Buffer // nil keeps nothing
}

func (m *measure) Write(p []byte) (int, error) {
	if int64(len(p)) > m.left {
		return 0, errOver
	}
	m.left -= int64(len(p))
	m.size += int64(len(p))
	m.hash.Write(p)
	if m.keep != nil {
		m.keep.Write(p)
	}
	return len(p), nil
}

// checkPaths checks the names of the files and returns the folder that they share, "" for none.
func checkPaths(uploads []Upload) (string, error) {
	seen := map[string]string{} // by folded path, of files and of folders
	folders := map[string]bool{}
	for _, u := range uploads {
		if msg := pathFault(u.Path); msg != "" {
			return "", bundleFault(u.Path, "%s", msg)
		}
		key := foldPath(u.Path)
		if other, taken := seen[key]; taken {
			if other == u.Path {
				return "", bundleFault(u.Path, "appears twice")
			}
			return "", bundleFault(u.Path, "differs from %s in case only", other)
		}
		seen[key] = u.Path
		for i := range key {
			if key[i] == '/' {
				folders[key[:i]] = true
			}
		}
	}
	for _, u := range uploads {
		if folders[foldPath(u.Path)] {
			return "", bundleFault(u.Path, "is a file and a folder")
		}
	}
	if _, ok := seen[foldPath(SkillDoc)]; ok && seen[foldPath(SkillDoc)] == SkillDoc {
		return "", nil
	}
	root, _, nested := strings.Cut(uploads[0].Path, "/")
	if nested && seen[foldPath(root+"/"+SkillDoc)] == root+"/"+SkillDoc {
		for _, u := range uploads {
			if !strings.HasPrefix(u.Path, root+"/") {
				return "", bundleFault(u.Path, "stands outside of the folder %s that %s is in", root, SkillDoc)
			}
		}
		return root, nil
	}
	return "", bundleFault(SkillDoc, "is missing: it must stand at the top of the one folder that all files share")
}

func foldPath(p string) string { return cases.Fold().String(norm.NFC.String(p)) }

// pathFault says what is wrong with a path; "" is nothing.
func pathFault(p string) string {
	switch {
	case p == "":
		return "a file needs a name"
	case len(p) > MaxBundlePath:
		return fmt.Sprintf("has more than %d bytes", MaxBundlePath)
	case !utf8.ValidString(p):
		return "must be UTF-8"
	case strings.HasPrefix(p, "/"):
		return "must not be absolute"
	case strings.ContainsRune(p, '\\'):
		return "must not contain backslashes"
	case len(p) > 1 && p[1] == ':':
		return "must not name a drive"
	case strings.ContainsFunc(p, unicode.IsControl):
		return "must not contain control characters"
	}
	for seg := range strings.SplitSeq(p, "/") {
		switch {
		case seg == "":
			return "must not have an empty part"
		case seg == "." || seg == "..":
			return "must not contain " + seg
		case len(seg) > maxSegment:
			return fmt.Sprintf("has a part of more than %d bytes", maxSegment)
		}
	}
	return ""
}

// readFrontMatter reads name and description at the head of SKILL.md: YAML between two lines of ---.
func readFrontMatter(doc []byte) (name, description string, err error) {
	refuse := func(format string, args ...any) (string, string, error) {
		return "", "", bundleFault(SkillDoc, format, args...)
	}
	if !utf8.Valid(doc) || bytes.IndexByte(doc, 0) >= 0 {
		return refuse("must be UTF-8 text")
	}
	head, ok := frontMatter(string(doc))
	if !ok {
		return refuse("must begin with YAML front matter between two lines of ---")
	}
	if len(head) > maxFrontMatter {
		return refuse("has more than %d bytes of front matter", maxFrontMatter)
	}
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(head), &root); err != nil {
		return refuse("has front matter that is not YAML")
	}
	if len(root.Content) != 1 || root.Content[0].Kind != yaml.MappingNode {
		return refuse("needs name and description in its front matter")
	}
	members := root.Content[0].Content
	values := map[string]string{}
	for i := 0; i+1 < len(members); i += 2 {
		key, value := members[i], members[i+1]
		if key.Value != "name" && key.Value != "description" {
			continue
		}
		if _, twice := values[key.Value]; twice {
			return refuse("has two members %s in its front matter", key.Value)
		}
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return refuse("needs a text as %s in its front matter", key.Value)
		}
		values[key.Value] = strings.TrimSpace(value.Value)
	}
	name, description = values["name"], values["description"]
	switch n := utf8.RuneCountInString(description); {
	case name == "":
		return refuse("needs a name in its front matter")
	case !validGuideName(name):
		return refuse("has a name that is not 1 to %d of the characters a-z, 0-9 and -", MaxGuideName)
	case description == "":
		return refuse("needs a description in its front matter")
	case n > MaxGuideDescription:
		return refuse("has a description of %d characters; at most %d are allowed", n, MaxGuideDescription)
	case strings.ContainsRune(description, 0):
		return refuse("has a NUL in its description")
	}
	return name, description, nil
}

// frontMatter returns what stands between the two lines of --- at the head of a document.
func frontMatter(doc string) (string, bool) {
	doc = strings.TrimPrefix(doc, "\uFEFF")
	first, rest, ok := strings.Cut(doc, "\n")
	if !ok || strings.TrimRight(first, " \t\r") != "---" {
		return "", false
	}
	for at := 0; at < len(rest); {
		line, _, _ := strings.Cut(rest[at:], "\n")
		if strings.TrimRight(line, " \t\r") == "---" {
			return rest[:at], true
		}
		at += len(line) + 1
	}
	return "", false
}

func validGuideName(s string) bool {
	if s == "" || len(s) > MaxGuideName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}
