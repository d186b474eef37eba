package scan

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzSkill(f *testing.F) {
	for _, folder := range []string{"malicious", "suspicious", "benign"} {
		for _, name := range samples(f, folder) {
			for _, file := range readSample(f, name).in.Files {
				f.Add(file.Path, file.Content)
			}
		}
	}
	f.Add("a.sh", []byte("\xff\xfe\x00curl \\\n"))
	f.Fuzz(func(t *testing.T, path string, content []byte) {
		in := Input{Name: path, Key: path, Files: []File{{Path: path, Content: content}, {Path: "SKILL.md", Kind: KindInstructions, Content: content}}}
		r := Skill(in)
		if r.Score < 0 || r.Score > 100 || r.Verdict == "" || r.Risk == "" || len(r.Findings) > MaxReport {
			t.Errorf("an impossible report: %+v", r)
		}
		for _, found := range r.Findings {
			if found.Severity.Level() < 0 || !utf8.ValidString(found.Excerpt) || !utf8.ValidString(found.Message) || utf8.RuneCountInString(found.Excerpt) > 160 || found.Line < 0 {
				t.Errorf("an impossible finding: %+v", found)
			}
		}
		if again := Skill(in); !reflect.DeepEqual(again, r) {
			t.Error("the same skill has two reports")
		}
	})
}

// dense are texts that try to keep a scan busy.
func dense(size int) map[string]string {
	fill := func(part string) string { return strings.Repeat(part, size/len(part)+1)[:size] }
	var words strings.Builder
	for _, r := range ruleBook().rules {
		for _, w := range r.near {
			words.WriteString(w)
			words.WriteByte(' ')
		}
	}
	return map[string]string{
		"prose":    fill("An ordinary line of an ordinary text about invoices, which an agent reads.\n"),
		"words":    fill(words.String()),
		"lines":    fill(words.String() + "\n"),
		"brackets": fill("[[[[![](((("),
		"comments": fill("<!-- <!-- -- > "),
		"base64":   fill("aGVsbG8gd29ybGQsIGhvdyBhcmUgeW91IHRvZGF5Pw== "),
		"urls":     fill("http://a.b/c "),
		"quotes":   fill(`a"b'c\d"+"e`),
		"escapes":  fill(`\x41\x42\x43\x44`),
		"pipes":    fill("curl x | base64 -d | "),
		"newlines": fill("\n"),
		"spaces":   fill(" "),
		"tags":     fill("\U000E0041\U000E0042"),
		"fences":   fill("```\n"),
		"evals":    fill("eval(exec("),
		"prompts":  fill("ignore all the the the "),
		"archives": fill(".zip password .zip "),
		"sockets":  fill("socket dup2( "),
	}
}

func BenchmarkSkill(b *testing.B) {
	for name, text := range dense(1 << 20) {
		for _, path := range []string{"a.md", "a.sh"} {
			b.Run(name+"/"+path, func(b *testing.B) {
				in := one(path, text)
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					Skill(in)
				}
			})
		}
	}
}
