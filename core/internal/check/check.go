// Package check gathers the faults of a request, so that a client mends them in one go. The contexts of core share it.
package check

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

// MaxFields is how many faults an answer names at most; those after it are left out.
const MaxFields = 100

// Faults are those that were found so far. The zero value has none and is ready for use. It is not safe for concurrent use.
type Faults struct {
	Fields []fault.Field // in the order of their finding
}

// Addf adds one for what is at path.
func (f *Faults) Addf(path, format string, args ...any) {
	if len(f.Fields) < MaxFields {
		f.Fields = append(f.Fields, fault.Field{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// Text checks a text that has a limit, in characters, and may be empty. Postgres cannot store NUL.
func (f *Faults) Text(path, s string, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s):
		f.Addf(path, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		f.Addf(path, "must not contain the NUL character")
	case n > most:
		f.Addf(path, "has %d characters; at most %d are allowed", n, most)
	}
}

// Given checks a Text that must not be blank.
func (f *Faults) Given(path, s string, most int) {
	if strings.TrimSpace(s) == "" {
		f.Addf(path, "must not be empty")
		return
	}
	f.Text(path, s, most)
}

// Err returns kind with all of the faults and the message of the first, or nil when there are none.
func (f *Faults) Err(kind *fault.Error) error {
	if len(f.Fields) == 0 {
		return nil
	}
	return kind.Withf("%s: %s", f.Fields[0].Path, f.Fields[0].Message).WithFields(f.Fields...)
}
