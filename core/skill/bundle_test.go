package skill

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/fault"
)

const doc = "---\nname: a\ndescription: d\n---\n"

type entry struct {
	name    string
	content []byte
	mode    fs.FileMode
}

func zipped(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o644)
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack reads an archive as an upload is read.
func unpack(t testing.TB, archive []byte) (bundle, error) {
	t.Helper()
	uploads, err := ReadZip(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return bundle{}, err
	}
	return readBundle(t.Context(), uploads)
}

func TestZip(t *testing.T) {
	t.Parallel()
	skillDoc := entry{"a/SKILL.md", []byte(doc), 0}
	b, err := unpack(t, zipped(t, entry{"a/", nil, fs.ModeDir}, skillDoc, entry{"a/x.txt", []byte("x"), 0}, entry{".DS_Store", []byte("x"), 0}))
	if err != nil || b.directory != "a" || len(b.files) != 2 || b.files[1].Path != "x.txt" || b.files[1].Size != 1 {
		t.Errorf("got %+v, %v", b, err)
	}
	zeros := make([]byte, MaxBundleFile)
	many := []entry{skillDoc}
	for i := range MaxBundleFiles {
		many = append(many, entry{"a/" + strings.Repeat("x", i+1)[i/200*200:] + string(rune('a'+i/200)), nil, 0})
	}
	for name, c := range map[string]struct {
		entries []entry
		path    string
	}{
		"symbolic link":     {[]entry{skillDoc, {"a/link", []byte("/etc/passwd"), fs.ModeSymlink}}, "a/link"},
		"device":            {[]entry{skillDoc, {"a/dev", nil, fs.ModeDevice}}, "a/dev"},
		"absolute":          {[]entry{skillDoc, {"/etc/passwd", nil, 0}}, "/etc/passwd"},
		"dots":              {[]entry{skillDoc, {"a/../../x", nil, 0}}, "a/../../x"},
		"large file":        {[]entry{skillDoc, {"a/big", make([]byte, MaxBundleFile+1), 0}}, "a/big"},
		"large altogether":  {[]entry{skillDoc, {"a/1", zeros, 0}, {"a/2", zeros, 0}, {"a/3", zeros, 0}, {"a/4", zeros, 0}, {"a/5", zeros, 0}}, "files"},
		"too many":          {many, "files"},
		"large SKILL.md":    {[]entry{{"a/SKILL.md", append([]byte(doc), make([]byte, MaxSkillDoc)...), 0}}, "a/SKILL.md"},
		"names of one case": {[]entry{skillDoc, {"a/é", nil, 0}, {"a/É", nil, 0}}, "a/É"},
		"control character": {[]entry{skillDoc, {"a/x\ny", nil, 0}}, "a/x\ny"},
		"empty":             {nil, "files"},
	} {
		_, err := unpack(t, zipped(t, c.entries...))
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, ErrBundle) || len(f.Fields) != 1 || f.Fields[0].Path != c.path {
			t.Errorf("%s: %v; want ErrBundle at %s", name, err, c.path)
		}
	}
	whole := zipped(t, skillDoc, entry{"a/x.txt", bytes.Repeat([]byte("some text"), 1000), 0})
	i := bytes.Index(whole, []byte("a/x.txt")) + len("a/x.txt") + 4
	whole[i] ^= 0xff
	if _, err := unpack(t, whole); !errors.Is(err, ErrBundle) {
		t.Errorf("a damaged archive: %v", err)
	}
	// An archive that says too little of what it holds.
	lying := zipped(t, skillDoc, entry{"a/big", make([]byte, 2<<20), 0})
	lying = bytes.ReplaceAll(lying, []byte{0, 0, 0x20, 0}, []byte{1, 0, 0, 0})
	if _, err := unpack(t, lying); !errors.Is(err, ErrBundle) {
		t.Errorf("a lying archive: %v", err)
	}
}

// An archive may list far more files than it has bytes for.
func TestZipDirectory(t *testing.T) {
	archive := zipped(t, entry{name: "SKILL.md", content: []byte(doc)})
	end := bytes.LastIndex(archive, []byte("PK\x05\x06"))
	start := bytes.Index(archive, []byte("PK\x01\x02"))
	one := archive[start:end]
	const many = 1 << 18
	huge := slices.Concat(archive[:start], bytes.Repeat(one, many), archive[end:])
	tail := huge[len(huge)-(len(archive)-end):]
	binary.LittleEndian.PutUint16(tail[8:], 0)
	binary.LittleEndian.PutUint16(tail[10:], 0) // modulo 65536
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(one)*many))
	allocations := testing.AllocsPerRun(1, func() {
		if _, err := ReadZip(bytes.NewReader(huge), int64(len(huge))); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
	if allocations > 2*many { // four for each that is read
		t.Errorf("%v allocations for a list of %d files", allocations, many)
	}
}

func TestFrontMatter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		doc: "a|d",
		"\uFEFF---\r\nname: a\r\ndescription: \"d: e\"\r\n---\r\nx":                  "a|d: e",
		"---\nname: a\ndescription: |\n  two\n  lines\nlicense: MIT\n---":            "a|two\nlines",
		"---\nname: 42\ndescription: d\n---\n":                                       "42|d",
		"name: a\ndescription: d\n":                                                  "",
		"---\nname: a\ndescription: d\n":                                             "",
		"---\nname: a\nname: b\ndescription: d\n---\n":                               "",
		"---\nname: " + strings.Repeat("a", 65) + "\ndescription: d\n---\n":          "",
		"---\nname: a_b\ndescription: d\n---\n":                                      "",
		"---\nname:\ndescription: d\n---\n":                                          "",
		"---\n- name\n---\n":                                                         "",
		"---\nname: [\n---\n":                                                        "",
		"---\nname: a\ndescription: \"\\0\"\n---\n":                                  "",
		"---\nname: a\ndescription: d\nx: &a [*a]\n---\n":                            "a|d",
		"---\nx: &x [1,1,1,1]\ny: &y [*x,*x,*x,*x]\nname: a\ndescription: *y\n---\n": "",
	} {
		name, description, err := readFrontMatter([]byte(text))
		got := name + "|" + description
		if err != nil {
			got = ""
		}
		if got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzFrontMatter(f *testing.F) {
	f.Add([]byte(doc))
	f.Add([]byte("---\nname: &a [*a]\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		name, description, err := readFrontMatter(text)
		if err == nil && (!validGuideName(name) || description == "") {
			t.Errorf("%q: the name %q and the description %q", text, name, description)
		}
	})
}

func FuzzZip(f *testing.F) {
	f.Add(zipped(f, entry{"a/SKILL.md", []byte(doc), 0}, entry{"a/b/c", []byte("x"), 0}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		b, err := unpack(t, archive)
		if err != nil {
			return
		}
		for _, file := range b.files {
			if !fs.ValidPath(file.Path) {
				t.Errorf("the path %q came through", file.Path)
			}
		}
	})
}

// TestBuiltinScripts runs what comes with the server: what a script makes, the other reads.
func TestBuiltinScripts(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(script string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), python, append([]string{"-B", filepath.Join("builtin", filepath.FromSlash(script))}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		return string(out)
	}
	in := func(name string) string { return filepath.Join(dir, name) }

	run("pdf/scripts/make_pdf.py", write("a.txt", "# Title\nÜber (all) \\ costs"), in("a.pdf"))
	if got := run("pdf/scripts/read_pdf.py", in("a.pdf")); got != "Title\nÜber (all) \\ costs\n" {
		t.Errorf("pdf: %q", got)
	}
	run("xlsx/scripts/make_xlsx.py", in("a.xlsx"), write("sales.csv", "item,price\n007,1.5\n\"x, <y>\",=B2*2\n"), write("b.csv", "x\n"))
	if got := run("xlsx/scripts/read_xlsx.py", in("a.xlsx")); got != "sales\nb\n" {
		t.Errorf("xlsx: %q", got)
	}
	if got := run("xlsx/scripts/read_xlsx.py", in("a.xlsx"), "sales"); got != "item,price\n007,1.5\n\"x, <y>\",=B2*2\n" {
		t.Errorf("xlsx: %q", got)
	}
	run("docx/scripts/make_docx.py", write("c.txt", "# Head\n- item\nSome **bold** & <plain>\n"), in("c.docx"))
	if got := run("docx/scripts/read_docx.py", in("c.docx")); got != "# Head\n- item\nSome bold & <plain>\n" {
		t.Errorf("docx: %q", got)
	}
	run("pptx/scripts/make_pptx.py", write("d.txt", "# One\n- a & b\nc\n# Two\n"), in("d.pptx"))
	if got := run("pptx/scripts/read_pptx.py", in("d.pptx")); got != "--- slide 1\nOne\na & b\nc\n--- slide 2\nTwo\n" {
		t.Errorf("pptx: %q", got)
	}
}
