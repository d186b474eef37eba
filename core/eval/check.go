package eval

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/core/internal/check"
)

// checker gathers every fault of a run.
type checker struct{ check.Faults }

// admitted returns tasks with their defaults filled, or ErrInvalid.
func admitted(name string, tasks []Task) ([]Task, error) {
	k := &checker{}
	k.Text("name", name, MaxName)
	if len(tasks) == 0 || len(tasks) > MaxTasks {
		k.Addf("tasks", "has %d entries; 1 to %d are allowed", len(tasks), MaxTasks)
		return nil, k.Err(ErrInvalid)
	}
	seen := map[string]bool{}
	out := make([]Task, len(tasks))
	for i, t := range tasks {
		at := fmt.Sprintf("tasks[%d]", i)
		k.Given(at+".id", t.ID, MaxTaskID)
		if seen[t.ID] {
			k.Addf(at+".id", "is used twice")
		}
		seen[t.ID] = true
		if len(t.Messages) == 0 || len(t.Messages) > MaxMessages {
			k.Addf(at+".messages", "has %d entries; 1 to %d are allowed", len(t.Messages), MaxMessages)
		}
		for j, m := range t.Messages {
			k.Given(fmt.Sprintf("%s.messages[%d]", at, j), m, MaxMessage)
		}
		t.Files = k.files(at, t.Files)
		if len(t.Script) > MaxScript || strings.ContainsRune(t.Script, 0) || !utf8.ValidString(t.Script) {
			k.Addf(at+".setup_script", "must be a shell script of at most %d bytes", MaxScript)
		}
		if t.Timeout == 0 {
			t.Timeout = DefaultTimeout
		}
		if t.Timeout < MinTimeout || t.Timeout > MaxTimeout {
			k.Addf(at+".timeout_ms", "must be %d to %d", MinTimeout.Milliseconds(), MaxTimeout.Milliseconds())
		}
		if t.Trials == 0 {
			t.Trials = 1
		}
		if t.Trials < 1 || t.Trials > MaxTrials {
			k.Addf(at+".trials", "must be 1 to %d", MaxTrials)
		}
		if t.Scorer != nil {
			n := 0
			t.Scorer.check(k, at+".scorer", 1, &n)
		}
		out[i] = t
	}
	return out, k.Err(ErrInvalid)
}

func (k *checker) files(at string, files []SetupFile) []SetupFile {
	if len(files) > MaxFiles {
		k.Addf(at+".setup_files", "has %d entries; at most %d are allowed", len(files), MaxFiles)
		return nil
	}
	total := 0
	var out []SetupFile
	for i, f := range files {
		where := fmt.Sprintf("%s.setup_files[%d].path", at, i)
		k.Given(where, f.Path, 1024)
		if strings.Contains("/"+f.Path+"/", "/../") || strings.HasSuffix(f.Path, "/") {
			k.Addf(where, "must be the path of a file, without ..")
		}
		if !path.IsAbs(f.Path) {
			f.Path = "/workspace/" + f.Path
		}
		f.Path = path.Clean(f.Path)
		total += len(f.Content)
		out = append(out, f)
	}
	if total > MaxFileBytes {
		k.Addf(at+".setup_files", "have %d bytes together; at most %d are allowed", total, MaxFileBytes)
	}
	return out
}

// needsSandbox reports whether a task's trials need one before anything is said, or afterwards.
func (t Task) needsSandbox() bool {
	return len(t.Files) > 0 || t.Script != "" || t.Scorer != nil && t.Scorer.needsSandbox()
}
