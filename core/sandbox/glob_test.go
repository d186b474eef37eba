package sandbox

import (
	"strings"
	"testing"
)

// FuzzGlob checks that no pattern of a model's takes long or leads out of the directory that it names.
func FuzzGlob(f *testing.F) {
	for _, seed := range []string{"**/*.go", "{a,b{c,d}}/?", "[a-z", "/mnt/**/x", "../..", "{{{{{{", "**/**/**/**/*a*a*a*a*b", "\\", "/", "*"} {
		f.Add(seed, "a/b/c.go")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		dir, rest := splitPattern("/" + pattern)
		if !strings.HasPrefix(dir, "/") || strings.Contains(dir+"/", "/../") {
			t.Errorf("%q begins in %q", pattern, dir)
		}
		for _, p := range []string{pattern, rest} {
			match, err := compileGlob(p)
			if err == nil {
				match(name)
			}
		}
	})
}

func TestMatchParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"**", "a/b", true},
		{"**/b", "b", true},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "c/a/b", false},
		{"*", "a/b", false},
		{"a/*", "a/b/c", false},
		{"**/a/**/a/**/a/**/b", strings.Repeat("a/", 200) + "c", false},
	} {
		match, err := compileGlob(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := match(c.name); got != c.want {
			t.Errorf("%s matches %s: %t", c.pattern, c.name, got)
		}
	}
}
