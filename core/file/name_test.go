package file

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

func TestCleanName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.txt": "a.txt", "/etc/passwd": "passwd", `C:\a\b c.txt`: "b c.txt", "a/": "", "..": "", "../..": "", ".": "", "...": "", " \t": "", "": "",
		"a\r\nb": "ab", "a\x00b": "ab", "\u202egpj.exe": "gpj.exe", "\xff.txt": "\uFFFD.txt", " .bashrc ": ".bashrc", "ü\u2028.txt": "ü.txt",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// FuzzCleanName checks that no name leads anywhere else or hides what it is, and that cleaning is done once.
func FuzzCleanName(f *testing.F) {
	f.Add("../a\\b\u202e.txt")
	f.Add("\xff\x00")
	f.Fuzz(func(t *testing.T, in string) {
		got := cleanName(in)
		if strings.ContainsAny(got, "/\\") || got == "." || got == ".." || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q is stored as %q", in, got)
		}
		if again := cleanName(got); again != got {
			t.Errorf("%q becomes %q and then %q", in, got, again)
		}
	})
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, media, head, want string }{
		{"a.txt", "", "", "text/plain; charset=utf-8"}, {"A.PDF", "", "hello", "application/pdf"}, {"a", "", "%PDF-1.7", "application/pdf"},
		{"a.png", "text/html", "", "text/html"}, {"a.bin", "", "\x00\x01", "application/octet-stream"}, {"a", "", "hello\n", "text/plain; charset=utf-8"},
		{"a.csv", "application/octet-stream", "", "text/csv; charset=utf-8"}, {"a", "Text/Plain; Charset=UTF-8", "", "Text/Plain; Charset=UTF-8"},
		{"", "", "\x89PNG\r\n\x1a\n", "image/png"}, {"a", "", strings.Repeat("é", 255) + "é", "text/plain; charset=utf-8"},
		{"a", "", "a" + strings.Repeat("é", 255) + "\xc3", "text/plain; charset=utf-8"}, {"a", "", "caf\xe9", "application/octet-stream"},
	} {
		got, err := New{Name: c.name, MediaType: c.media}.checked(sniff([]byte(c.head)))
		if err != nil || got.MediaType != c.want {
			t.Errorf("%q %q %q: %q, %v; want %q", c.name, c.media, c.head, got.MediaType, err, c.want)
		}
	}
	for path, n := range map[string]New{
		"media_type": {Name: "a", MediaType: "text"}, "filename": {Name: strings.Repeat("é", 256)}, "expires_in_seconds": {TTL: -1}, "session_id": {Output: true},
	} {
		_, err := n.checked("")
		if f, ok := fault.As(err); !ok || !errors.Is(err, ErrInvalid) || f.Fields[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, bad := range []string{"text/html\r\nX: y", "text/html;", "text/ html", "a/b; c=\"", "/", strings.Repeat("a", 255) + "/b"} {
		if _, err := (New{Name: "a", MediaType: bad}).checked(""); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestIntake(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 100)
	for _, c := range []struct {
		most int64
		want error
	}{{999, ErrTooLarge}, {1000, nil}, {1001, nil}, {0, ErrTooLarge}} {
		in := &intake{r: iotest.HalfReader(strings.NewReader(long)), left: c.most}
		got, err := io.ReadAll(in)
		if !errors.Is(err, c.want) || !errors.Is(in.err, c.want) || int64(len(got)) > c.most {
			t.Errorf("%d: %d bytes, %v", c.most, len(got), err)
		}
		if c.want == nil && (string(got) != long || string(in.head) != long[:sniffSize]) {
			t.Errorf("%d: %d bytes, head of %d", c.most, len(got), len(in.head))
		}
	}
	in := &intake{r: strings.NewReader(""), left: 0}
	if _, err := io.ReadAll(in); err != nil {
		t.Errorf("nothing: %v", err)
	}
}
