package extract

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/extract"
	"github.com/bureau-agents/bureau/ports/extract/extracttest"
)

func open(t *testing.T, cfg Config) *Extractor {
	t.Helper()
	x, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestExtractor(t *testing.T) { extracttest.Run(t, open(t, Config{})) }

// TestPDF reads what two programs wrote: a browser, which places each letter by itself, and a library with the standard fonts.
func TestPDF(t *testing.T) {
	x := open(t, Config{})
	for name, says := range map[string][]string{
		"handbook.pdf": {
			"Handbook of the Fairwater workshop\n\n", "lathe, whatever the\nhour.", "Brass fittings go to shelf four.", "Gasket 0.80",
			"the keeper’s flat. Größe und Maß",
		},
		"harbour.pdf": {"Rules of the harbour office\n\n", "two\nhours before they arrive.\n\nBerths", "South 12 m", "Fees are due on leaving."},
	} {
		got, err := x.Extract(t.Context(), extract.Document{Name: name, Data: file(t, name)})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, p := range got {
			all = append(all, p.Text)
		}
		for _, s := range says {
			if text := strings.Join(all, gap); !strings.Contains(text, s) {
				t.Errorf("%s lacks %q: %s", name, s, text)
			}
		}
	}
	got, err := x.Extract(t.Context(), extract.Document{Data: file(t, "harbour.pdf"), Target: 100})
	if last := len(got) - 1; err != nil || got[0].Page != 1 || got[last].Page != 2 {
		t.Errorf("pages of %+v, %v", got, err)
	}
	if _, err := x.Extract(t.Context(), extract.Document{Data: file(t, "locked.pdf")}); !errors.Is(err, extract.ErrUnreadable) {
		t.Errorf("a locked document: %v", err)
	}
}

// TestLimits gives readers more to do than they may.
func TestLimits(t *testing.T) {
	long := []byte(strings.Repeat("word ", 1000))
	if _, err := open(t, Config{MaxData: 100}).Extract(t.Context(), extract.Document{Name: "a.txt", Data: long}); !errors.Is(err, extract.ErrTooLarge) {
		t.Errorf("too many bytes: %v", err)
	}
	if _, err := open(t, Config{MaxText: 100}).Extract(t.Context(), extract.Document{Name: "a.txt", Data: long}); !errors.Is(err, extract.ErrTooLarge) {
		t.Errorf("too much text: %v", err)
	}
	slow := open(t, Config{Timeout: 2 * time.Second})
	// A thousand rows of ten thousand cells keep the converter busy for minutes.
	page := []byte("<table>" + strings.Repeat("<tr>"+strings.Repeat("<td>a", 10_000), 1000))
	if _, err := slow.Extract(t.Context(), extract.Document{Name: "a.html", Data: page}); !errors.Is(err, extract.ErrTooLarge) {
		t.Errorf("too much work: %v", err)
	}
	if got, err := slow.Extract(t.Context(), extract.Document{Name: "a.txt", Data: []byte("fine")}); err != nil || len(got) != 1 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	poor := open(t, Config{Memory: 8 << 20})
	if _, err := poor.Extract(t.Context(), extract.Document{Name: "a.html", Data: page}); !errors.Is(err, extract.ErrTooLarge) {
		t.Errorf("too little memory: %v", err)
	}
}

// FuzzCut cuts whatever comes, in the process of the test.
func FuzzCut(f *testing.F) {
	f.Add(true, []byte("# a\n\n> b\n\n- c\n  - d\n\n|e|f|\n|-|-|\n|g|h|\n\n```go\ni\n```\n\n<p>j"))
	f.Add(false, []byte("a\r\n\r\nb\fc"))
	f.Fuzz(func(t *testing.T, structured bool, data []byte) {
		format := extract.Text
		if structured {
			format = extract.Markdown
		}
		checkPassages(t, replyTo(order{Format: format, Target: 50, Most: 80, MaxText: 1 << 20}, bytes.Clone(data)).Passages)
	})
}

// FuzzFile reads whatever comes as PDF or HTML, in a process of its own: their libraries can be made to go on forever.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"handbook.pdf", "harbour.pdf", "locked.pdf"} {
		f.Add(file(f, name))
	}
	f.Add([]byte("<!doctype html><h1>a</h1><ul><li>b<table><tr><td>c"))
	x, err := New(Config{Timeout: 2 * time.Second, Memory: 128 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := x.Extract(t.Context(), extract.Document{Data: data, Target: 50, Most: 80})
		for _, known := range []error{nil, extract.ErrFormat, extract.ErrUnreadable, extract.ErrTooLarge} {
			if errors.Is(err, known) {
				checkPassages(t, got)
				return
			}
		}
		t.Error(err)
	})
}

func checkPassages(t *testing.T, passages []extract.Passage) {
	t.Helper()
	for _, p := range passages {
		if n := utf8.RuneCountInString(p.Text); strings.TrimSpace(p.Text) == "" || n > 80 {
			t.Errorf("a passage of %d characters: %q", n, p.Text)
		}
	}
}
