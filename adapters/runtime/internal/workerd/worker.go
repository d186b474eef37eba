package workerd

import (
	"bufio"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Worker answers requests. It is safe for concurrent use.
type Worker struct {
	rules string
	token string
	print func(string)
	began time.Time
}

// New returns a worker for a work directory. Without a token it answers nobody. say writes a line to the instance's log.
func New(dir, token string, say func(string)) *Worker {
	return &Worker{rules: path.Join(dir, "rules"), token: token, print: say, began: time.Now()}
}

// Serve answers the one request of a connection, which stays the caller's to close.
func (w *Worker) Serve(conn io.ReadWriter) error {
	line, err := bufio.NewReaderSize(io.LimitReader(conn, MaxRequest), 4096).ReadBytes('\n')
	var answer Answer
	var r Request
	switch {
	case err != nil && len(line) < MaxRequest:
		return err
	case err != nil:
		answer.Error = "the request is too long"
	case json.Unmarshal(line, &r) != nil:
		answer.Error = "the request is not JSON"
	default:
		answer = w.answer(r)
	}
	return json.NewEncoder(conn).Encode(answer)
}

func (w *Worker) answer(r Request) Answer {
	if w.token == "" || subtle.ConstantTimeCompare([]byte(r.Token), []byte(w.token)) != 1 {
		return Answer{Error: "the token is not right"}
	}
	switch r.Op {
	case OpStatus:
		return Answer{PID: os.Getpid(), Uptime: time.Since(w.began).Seconds()}
	case OpRules:
		return w.list()
	case OpRule:
		return w.rule(r.Name)
	case OpLog:
		if !ValidLevel(r.Level) {
			return Answer{Error: fmt.Sprintf("there is no level %q", r.Level)}
		}
		w.print("[" + r.Level + "] " + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(r.Text)) // one line, whatever it says
		return Answer{}
	}
	return Answer{Error: fmt.Sprintf("there is no operation %q", r.Op)}
}

// list returns the names of all rules.
func (w *Worker) list() Answer {
	entries, err := os.ReadDir(w.rules)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Answer{Error: "the rules cannot be listed"}
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".md"); ok && e.Type().IsRegular() && ValidRule(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return Answer{Rules: names}
}

// rule returns the text of a rule. No link leads out of the directory.
func (w *Worker) rule(name string) Answer {
	if !ValidRule(name) {
		return Answer{Error: fmt.Sprintf("%q cannot be the name of a rule", name)}
	}
	missing := Answer{Error: fmt.Sprintf("there is no rule %q", name), Missing: true}
	root, err := os.OpenRoot(w.rules)
	if err != nil {
		return missing
	}
	defer root.Close() //nolint:errcheck // nothing is written
	info, err := root.Lstat(name + ".md")
	if err != nil || !info.Mode().IsRegular() {
		return missing
	}
	f, err := root.Open(name + ".md")
	if err != nil {
		return missing
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxRule+1))
	if err != nil {
		return Answer{Error: "the rule cannot be read"}
	}
	if len(text) > MaxRule {
		return Answer{Error: fmt.Sprintf("the rule is longer than %d bytes", MaxRule)}
	}
	return Answer{Text: string(text)}
}
