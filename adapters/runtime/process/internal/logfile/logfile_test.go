package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func open(t testing.TB, dir string) *Writer {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWriter(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		_ = root.Close()
	})
	return w
}

// kept returns the lines of all files without their times.
func kept(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			lines = append(lines, strings.TrimSuffix(line[min(len(line), len(Stamp)+1):], "\n"))
		}
	}
	return lines
}

// However output is cut into pieces, the lines are the same.
func TestStream(t *testing.T) {
	const text = "one\n\ntwo\r\nbad \xff\xfe byte\n späced \nno end"
	want := []string{"e one", "e ", "e two", "e bad \uFFFD byte", "e  späced ", "e no end"}
	for _, size := range []int{1, 2, 3, 7, 1000} {
		dir := t.TempDir()
		s := open(t, dir).Stream(true)
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if wrote, err := s.Write([]byte(rest[:n])); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			rest = rest[n:]
		}
		_ = s.Close()
		if d := cmp.Diff(want, kept(t, dir)); d != "" {
			t.Errorf("in pieces of %d: %s", size, d)
		}
	}
}

func TestLong(t *testing.T) {
	x := strings.Repeat("x", MaxLine)
	for given, want := range map[string]string{
		x: x, x + "\r": x, x + "y": x[3:] + cut, x[1:] + "ä": x[3:] + cut, x[2:] + "ä": x[2:] + "ä",
		x[4:] + "ää": x[4:] + "ää", x[3:] + "ää": x[3:] + cut,
		x[:MaxLine-4] + "äyyyy":           x[:MaxLine-4] + cut, // what it is cut at does not end within a rune
		strings.Repeat("\xff", MaxLine+7): strings.Repeat("\uFFFD", 1),
	} {
		dir := t.TempDir()
		s := open(t, dir).Stream(false)
		_, _ = s.Write([]byte(given + "\n"))
		got := strings.TrimPrefix(kept(t, dir)[0], "o ")
		if len(got) > MaxLine || !utf8.ValidString(got) || given[0] == 'x' && got != want {
			t.Errorf("%d bytes, ending in %q, become %d, ending in %q", len(given), given[len(given)-6:], len(got), got[len(got)-6:])
		}
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir)
	s := w.Stream(false)
	line := strings.Repeat("x", 1000) + "\n"
	for i := range 15000 {
		_, _ = fmt.Fprintf(s, "%06d%s", i, line)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != Files {
		t.Fatalf("there are %v (%v)", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Size() > Size {
			t.Errorf("%s: %v %v", f.Name(), info.Size(), err)
		}
	}
	lines := kept(t, dir)
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "o 014999") {
		t.Errorf("the last line is %.20q", last)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	s.Write([]byte("lost\n")) // after the end there is nowhere to write, and nobody to tell
}

// A writer goes on where another was killed in the middle of a line.
func TestContinue(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).Print("one\ntwo")
	f, err := os.OpenFile(filepath.Join(dir, Name(1)), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("2026-11-22T12:00:00.000000000Z o hal"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	open(t, dir).Print("three")
	if d := cmp.Diff([]string{`o one\ntwo`, "o hal", "o three"}, kept(t, dir)); d != "" {
		t.Error(d)
	}
}
