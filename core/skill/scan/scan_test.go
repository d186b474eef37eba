package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a file of testdata: lines "key: value", and then the files of a skill, each after a line "-- path --".
type sample struct {
	in      Input
	verdict Verdict
	risk    Risk
	codes   []Code
}

func readSample(t testing.TB, name string) sample {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	var file *File
	for line := range strings.SplitAfterSeq(string(b), "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "-- ") && strings.HasSuffix(trimmed, " --") {
			s.in.Files = append(s.in.Files, File{Path: strings.TrimSuffix(strings.TrimPrefix(trimmed, "-- "), " --")})
			file = &s.in.Files[len(s.in.Files)-1]
			file.Kind = map[string]Kind{"description_md": KindInstructions, "prompt_template": KindInstructions, "code_snippet": KindCode}[file.Path]
			continue
		}
		if file != nil {
			file.Content = append(file.Content, line...)
			continue
		}
		key, value, ok := strings.Cut(trimmed, ": ")
		if !ok {
			t.Fatalf("%s: %q is no header", name, line)
		}
		list := func() []string { return strings.Split(value, ", ") }
		switch key {
		case "verdict":
			s.verdict = Verdict(value)
		case "risk":
			s.risk = Risk(value)
		case "codes":
			for _, c := range strings.Fields(value) {
				s.codes = append(s.codes, Code(c))
			}
		case "name":
			s.in.Name = value
		case "key":
			s.in.Key = value
		case "credentials":
			s.in.Credentials = list()
		case "domains":
			s.in.Domains = list()
		case "known":
			s.in.Known = list()
		default:
			t.Fatalf("%s: no header %q is known", name, key)
		}
	}
	return s
}

// samples are the files of a folder of testdata.
func samples(t testing.TB, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatal("no samples in ", folder, err)
	}
	return names
}

func worse(a, b Verdict) bool {
	order := []Verdict{Pass, Review, Warn, Malicious}
	return slices.Index(order, a) > slices.Index(order, b)
}

func TestSamples(t *testing.T) {
	for _, folder := range []string{"malicious", "suspicious", "benign"} {
		for _, name := range samples(t, folder) {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
				s := readSample(t, name)
				r := Skill(s.in)
				want := s.verdict
				if folder == "malicious" {
					want = Malicious
				}
				if folder == "benign" && worse(r.Verdict, want) || folder != "benign" && r.Verdict != want {
					t.Errorf("the verdict is %s with %d points, want %s", r.Verdict, r.Score, want)
				}
				if folder == "benign" && worse(want, Review) {
					t.Error("a benign sample must not expect more than review")
				}
				for _, code := range s.codes {
					if !r.Has(code) {
						t.Errorf("%s is not found", code)
					}
				}
				if s.risk != "" && r.Risk != s.risk {
					t.Errorf("the risk is %s, want %s: %+v", r.Risk, s.risk, r.Reach)
				}
				if t.Failed() {
					for _, f := range r.Findings {
						t.Logf("%s %s %s:%d %s [%s]", f.Severity, f.Code, f.Path, f.Line, f.Message, f.Excerpt)
					}
				}
			})
		}
	}
}
