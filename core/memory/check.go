package memory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/ports/fault"
)

// checker gathers every fault of a request.
type checker struct{ fields []fault.Field }

func (k *checker) addf(path, format string, args ...any) {
	k.fields = append(k.fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (k *checker) err() error {
	if len(k.fields) == 0 {
		return nil
	}
	return ErrInvalid.Withf("%s: %s", k.fields[0].Path, k.fields[0].Message).WithFields(k.fields...)
}

func (k *checker) name(name string) {
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name):
		k.addf("name", "must be valid UTF-8")
	case strings.TrimSpace(name) == "":
		k.addf("name", "must not be empty")
	case n > MaxName:
		k.addf("name", "has %d characters; at most %d are allowed", n, MaxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		k.addf("name", "must not contain control characters")
	}
}

func (k *checker) text(path, s string, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		k.addf(path, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		k.addf(path, "must not contain the NUL character")
	case n > most:
		k.addf(path, "has %d characters; at most %d are allowed", n, most)
	}
}

func (k *checker) metadata(m map[string]string) {
	if len(m) > MaxMetadata {
		k.addf("metadata", "has %d pairs; at most %d are allowed", len(m), MaxMetadata)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		at := "metadata." + strings.ToValidUTF8(key[:min(len(key), MaxMetadataKey)], "?")
		if key == "" {
			k.addf(at, "needs a key")
		}
		k.text(at, key, MaxMetadataKey)
		k.text(at, m[key], MaxMetadataValue)
	}
}

func (k *checker) content(path, s string) {
	switch {
	case !utf8.ValidString(s):
		k.addf(path, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		k.addf(path, "must not contain the NUL character")
	case len(s) > MaxContent:
		k.addf(path, "has %d bytes; at most %d are allowed", len(s), MaxContent)
	}
}

// memoryPath checks the path of a memory.
func (k *checker) memoryPath(at, p string) {
	if msg := pathFault(p); msg != "" {
		k.addf(at, "%s", msg)
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
