package memory

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// checker gathers every fault of a request.
type checker struct{ check.Faults }

func (k *checker) name(name string) {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		k.Addf("name", "must be valid UTF-8")
	case strings.TrimSpace(name) == "":
		k.Addf("name", "must not be empty")
	case n > MaxName:
		k.Addf("name", "has %d characters; at most %d are allowed", n, MaxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		k.Addf("name", "must not contain control characters")
	}
}

func (k *checker) content(path, s string) {
	switch {
	case !utf8.ValidString(s):
		k.Addf(path, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		k.Addf(path, "must not contain the NUL character")
	case len(s) > MaxContent:
		k.Addf(path, "has %d bytes; at most %d are allowed", len(s), MaxContent)
	}
}

// memoryPath checks the path of a memory.
func (k *checker) memoryPath(at, p string) {
	if msg := pathFault(p); msg != "" {
		k.Addf(at, "%s", msg)
	}
}

// pathFault says what is wrong with the path of a memory; "" is nothing.
func pathFault(p string) string {
	switch {
	case p == "":
		return "must not be empty"
	case len(p) > MaxPath:
		return fmt.Sprintf("has %d bytes; at most %d are allowed", len(p), MaxPath)
	case !utf8.ValidString(p):
		return "must be valid UTF-8"
	case p[0] != '/':
		return "must begin with /"
	case strings.ContainsFunc(p, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }):
		return "must not contain control or format characters, or line separators"
	case !norm.NFC.IsNormalString(p):
		return "must be in Unicode Normalization Form C"
	}
	segments := strings.Split(p[1:], "/")
	if len(segments) > MaxSegments {
		return fmt.Sprintf("has %d segments; at most %d are allowed", len(segments), MaxSegments)
	}
	for _, s := range segments {
		switch s {
		case "":
			return "must not have an empty segment"
		case ".", "..":
			return "must not have the segment " + s
		}
	}
	return ""
}
