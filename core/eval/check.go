package eval

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
)

// checker gathers every fault of a run.
type checker struct{ fields []fault.Field }

func (k *checker) addf(at, format string, args ...any) {
	if len(k.fields) < 100 {
		k.fields = append(k.fields, fault.Field{Path: at, Message: fmt.Sprintf(format, args...)})
	}
}

// text checks a text of least to most characters. Postgres cannot store NUL.
func (k *checker) text(at, s string, least, most int) {
	n := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s):
		k.addf(at, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		k.addf(at, "must not contain the NUL character")
	case n < least || least > 0 && strings.TrimSpace(s) == "":
		k.addf(at, "must not be empty")
	case n > most:
		k.addf(at, "has %d characters; at most %d are allowed", n, most)
	}
}

func (k *checker) err() error {
	if len(k.fields) == 0 {
		return nil
	}
	return ErrInvalid.Withf("%s: %s", k.fields[0].Path, k.fields[0].Message).WithFields(k.fields...)
}

// admitted returns tasks with their defaults filled, or ErrInvalid.
func admitted(name string, tasks []Task) ([]Task, error) {
	k := &checker{}
	k.text("name", name, 0, MaxName)
	if len(tasks) == 0 || len(tasks) > MaxTasks {
		k.addf("tasks", "has %d entries; 1 to %d are allowed", len(tasks), MaxTasks)
		return nil, k.err()
	}
	seen := map[string]bool{}
	out := make([]Task, len(tasks))
	for i, t := range tasks {
		at := fmt.Sprintf("tasks[%d]", i)
		k.text(at+".id", t.ID, 1, MaxTaskID)
		if seen[t.ID] {
			k.addf(at+".id", "is used twice")
		}
		seen[t.ID] = true
		if len(t.Messages) == 0 || len(t.Messages) > MaxMessages {
			k.addf(at+".messages", "has %d entries; 1 to %d are allowed", len(t.Messages), MaxMessages)
		}
		for j, m := range t.Messages {
			k.text(fmt.Sprintf("%s.messages[%d]", at, j), m, 1, MaxMessage)
		}
		t.Files = k.files(at, t.Files)
		if len(t.Script) > MaxScript || strings.ContainsRune(t.Script, 0) || !utf8.ValidString(t.Script) {
			k.addf(at+".setup_script", "must be a shell script of at most %d bytes", MaxScript)
		}
		if t.Timeout == 0 {
			t.Timeout = DefaultTimeout
		}
		if t.Timeout < MinTimeout || t.Timeout > MaxTimeout {
			k.addf(at+".timeout_ms", "must be %d to %d", MinTimeout.Milliseconds(), MaxTimeout.Milliseconds())
		}
		if t.Trials == 0 {
			t.Trials = 1
		}
		if t.Trials < 1 || t.Trials > MaxTrials {
			k.addf(at+".trials", "must be 1 to %d", MaxTrials)
		}
		if t.Scorer != nil {
			n := 0
			t.Scorer.check(k, at+".scorer", 1, &n)
		}
		out[i] = t
	}
	return out, k.err()
}

func (k *checker) files(at string, files []SetupFile) []SetupFile {
	if len(files) > MaxFiles {
		k.addf(at+".setup_files", "has %d entries; at most %d are allowed", len(files), MaxFiles)
		return nil
	}
	total := 0
	var out []SetupFile
	for i, f := range files {
		where := fmt.Sprintf("%s.setup_files[%d].path", at, i)
		k.text(where, f.Path, 1, 1024)
		if strings.Contains("/"+f.Path+"/", "/../") || strings.HasSuffix(f.Path, "/") {
			k.addf(where, "must be the path of a file, without ..")
		}
		if !path.IsAbs(f.Path) {
			f.Path = "/workspace/" + f.Path
		}
		f.Path = path.Clean(f.Path)
		total += len(f.Content)
		out = append(out, f)
	}
	if total > MaxFileBytes {
		k.addf(at+".setup_files", "have %d bytes together; at most %d are allowed", total, MaxFileBytes)
	}
	return out
}

// needsSandbox reports whether a task's trials need one before anything is said, or afterwards.
func (t Task) needsSandbox() bool {
	return len(t.Files) > 0 || t.Script != "" || t.Scorer != nil && t.Scorer.needsSandbox()
}
