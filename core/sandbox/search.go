package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

const (
	maxWalk    = 200_000 // entries that a search looks at
	maxPaths   = 1000    // that glob names
	maxMatches = 1000    // that grep shows
	maxGrep    = 16 << 20
	maxSearch  = time.Minute // that a search takes of the server, whose time it is, not the sandbox's
	maxShown   = 500         // bytes of a line that grep shows
)

var globSpec = tool.Spec{
	Name: "glob",
	Description: "Find files of your sandbox by a pattern such as **/*.go: * and ? stand for characters of a name, ** for any " +
		"directories, {a,b} for alternatives. Newest files come first.",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"pattern": {"type": "string", "description": "Pattern of the paths, such as src/**/*.ts"},
			"path": {"type": "string", "description": "Directory to search in; /workspace when left out"}
		},
		"required": ["pattern"]
	}`),
	Idempotent: true,
}

var grepSpec = tool.Spec{
	Name:        "grep",
	Description: "Search the text files of your sandbox for lines that match a regular expression (RE2 syntax).",
	InputSchema: json.RawMessage(`{
		"type": "object",
		"properties": {
			"pattern": {"type": "string", "description": "Regular expression; (?i) at its beginning ignores case"},
			"path": {"type": "string", "description": "File or directory to search in; /workspace when left out"}
		},
		"required": ["pattern"]
	}`),
	Idempotent: true,
}

// dull are directories that searches pass over, unless they are asked to begin in one.
func dull(dir string) bool {
	return path.Base(dir) == ".git" || path.Base(dir) == "node_modules" || dir == stateDir || dir == packagesDir
}

type searchInput struct {
	Pattern string `json:"pattern"`
	Path    string `json:"path"`
}

func searchIn(raw json.RawMessage) (in searchInput, at string, refused *tool.Result) {
	refuse := func(r tool.Result) (searchInput, string, *tool.Result) { return searchInput{}, "", &r }
	if err := json.Unmarshal(raw, &in); err != nil {
		return refuse(refusef("the input must be an object with the text \"pattern\""))
	}
	if in.Pattern == "" {
		return refuse(refusef("pattern must not be empty"))
	}
	at = session.WorkspaceDir
	if in.Path != "" {
		var err error
		if at, err = absolute(in.Path); err != nil {
			return refuse(refusef("%s", err))
		}
	}
	return in, at, nil
}

func (s *Service) glob(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	in, at, refused := searchIn(raw)
	if refused != nil {
		return *refused, nil
	}
	pattern := in.Pattern
	if strings.HasPrefix(pattern, "/") { // absolute: begin where it has no wildcards any more
		at, pattern = splitPattern(pattern)
	}
	match, err := compileGlob(pattern)
	if err != nil {
		return refusef("%s", err), nil
	}
	type hit struct {
		path string
		info fs.FileInfo
	}
	var hits []hit
	bounded, cancel := context.WithTimeout(ctx, maxSearch)
	defer cancel()
	err = walk(bounded, u.sandbox, at, walkLimits{entries: maxWalk, skip: dull}, func(p string, info fs.FileInfo) error {
		if match(strings.TrimPrefix(strings.TrimPrefix(p, at), "/")) {
			hits = append(hits, hit{p, info})
		}
		return nil
	})
	if late(ctx, bounded) {
		err = errWalkLimit
	}
	if err != nil && !errors.Is(err, errWalkLimit) {
		if res, ok := fileFailure(at, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	var out strings.Builder
	for i, h := range hits {
		if i == maxPaths {
			fmt.Fprintf(&out, "[cut: %d of %d files are shown]\n", maxPaths, len(hits))
			break
		}
		out.WriteString(clean(h.path) + "\n")
	}
	if len(hits) == 0 {
		out.WriteString("no file below " + at + " matches " + pattern + "\n")
	}
	if err != nil {
		out.WriteString(tooMuch)
	}
	return tool.Result{Text: out.String()}, nil
}

// tooMuch is what a model is told of a search that was ended.
var tooMuch = fmt.Sprintf("[not everything was searched: at most %d files are looked at, for at most %s; search in a smaller directory]\n",
	maxWalk, maxSearch)

// late reports whether a search has used up its time, rather than its caller.
func late(ctx, bounded context.Context) bool { return ctx.Err() == nil && bounded.Err() != nil }

// splitPattern splits an absolute pattern into the directory before its first wildcard and the rest.
func splitPattern(pattern string) (dir, rest string) {
	parts := strings.Split(strings.TrimPrefix(path.Clean(pattern), "/"), "/")
	n := 0
	for n < len(parts)-1 && !strings.ContainsAny(parts[n], "*?[{\\") {
		n++
	}
	return "/" + strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/")
}

// compileGlob returns what decides whether a relative path matches a pattern.
func compileGlob(pattern string) (func(string) bool, error) {
	alternatives, err := braces(pattern)
	if err != nil {
		return nil, err
	}
	var all [][]string
	for _, a := range alternatives {
		parts := strings.Split(strings.TrimPrefix(path.Clean(a), "./"), "/")
		for _, p := range parts {
			if _, err := path.Match(p, ""); err != nil {
				return nil, fmt.Errorf("pattern is not a glob: %s", a)
			}
		}
		all = append(all, parts)
	}
	return func(p string) bool {
		names := strings.Split(p, "/")
		return slices.ContainsFunc(all, func(parts []string) bool { return matchParts(parts, names) })
	}, nil
}

// maxAlternatives bounds what the braces of a pattern stand for together.
const maxAlternatives = 256

// braces expands {a,b}, also within each other.
func braces(pattern string) ([]string, error) {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return []string{pattern}, nil
	}
	depth, from := 0, open+1
	var options []string
	for i := open; i < len(pattern); i++ {
		switch pattern[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				options = append(options, pattern[from:i])
				from = i + 1
			}
		case '}':
			if depth--; depth > 0 {
				continue
			}
			options = append(options, pattern[from:i])
			var out []string
			for _, o := range options {
				more, err := braces(pattern[:open] + o + pattern[i+1:])
				if err != nil {
					return nil, err
				}
				if out = append(out, more...); len(out) > maxAlternatives {
					return nil, fmt.Errorf("pattern has more than %d alternatives", maxAlternatives)
				}
			}
			return out, nil
		}
	}
	return nil, errors.New("pattern has a { without its }")
}

// matchParts matches names against the parts of a pattern, of which ** stands for any number of names. It looks at each pair once.
func matchParts(parts, names []string) bool {
	reach := make([]bool, len(names)+1) // names[:i] can be matched by the parts so far
	reach[0] = true
	for _, p := range parts {
		next := make([]bool, len(names)+1)
		for i := range reach {
			switch {
			case p == "**":
				next[i] = reach[i] || i > 0 && next[i-1]
			case i > 0 && reach[i-1]:
				next[i], _ = path.Match(p, names[i-1]) // checked by compileGlob
			}
		}
		reach = next
	}
	return reach[len(names)]
}

func (s *Service) grep(ctx context.Context, u *scene, raw json.RawMessage) (tool.Result, error) {
	in, at, refused := searchIn(raw)
	if refused != nil {
		return *refused, nil
	}
	re, err := regexp.Compile(in.Pattern)
	if err != nil {
		return refusef("pattern is not a regular expression of RE2's syntax: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: ")), nil
	}
	g := grepping{re: re, most: s.cfg.MaxOutput}
	bounded, cancel := context.WithTimeout(ctx, maxSearch)
	defer cancel()
	err = walk(bounded, u.sandbox, at, walkLimits{entries: maxWalk, skip: dull}, func(p string, info fs.FileInfo) error {
		return g.file(bounded, u.sandbox, p, info)
	})
	if late(ctx, bounded) {
		err = errWalkLimit
	}
	if err != nil && !errors.Is(err, errWalkLimit) && !errors.Is(err, errEnough) {
		if res, ok := fileFailure(at, err); ok {
			return res, nil
		}
		return tool.Result{}, err
	}
	switch {
	case errors.Is(err, errEnough):
		fmt.Fprintf(&g.out, "[cut after %d matches; make the pattern or the path narrower]\n", g.found)
	case errors.Is(err, errWalkLimit):
		g.out.WriteString(tooMuch)
	case g.found == 0:
		g.out.WriteString("no line of a text file below " + at + " matches " + in.Pattern + "\n")
	}
	if g.large > 0 {
		fmt.Fprintf(&g.out, "[%d files of more than %d bytes were not searched]\n", g.large, maxGrep)
	}
	return tool.Result{Text: g.out.String()}, nil
}

type grepping struct {
	re    *regexp.Regexp
	most  int
	out   strings.Builder
	found int
	large int
}

// errEnough ends a search that has found what can be shown.
var errEnough = errors.New("sandbox: enough matches")

func (g *grepping) file(ctx context.Context, sb runtime.Sandbox, p string, info fs.FileInfo) error {
	if info.Size() > maxGrep {
		g.large++
		return nil
	}
	f, err := sb.Open(ctx, p)
	if err != nil {
		if errors.Is(err, runtime.ErrGone) {
			return err
		}
		return nil // it vanished, or is closed to us
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(f, 64<<10)
	if head, _ := r.Peek(8 << 10); binary(head) { // a failure to read shows below
		return nil
	}
	for n := 1; ; n++ {
		line, err := readLine(r)
		if err != nil || line == nil {
			return nil // the end, or a file that cannot be read
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !g.re.Match(line) {
			continue
		}
		if g.found == maxMatches || g.out.Len() > g.most {
			return errEnough
		}
		g.found++
		text := clean(string(line))
		if len(text) > maxShown {
			text = strings.ToValidUTF8(text[:maxShown], "") + " [line cut]"
		}
		fmt.Fprintf(&g.out, "%s:%d:%s\n", clean(p), n, text)
	}
}
