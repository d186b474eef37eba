package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bureau-agents/bureau/adapters/card/wellknown"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/egress"
)

// cardInput is where a card is read from.
type cardInput struct {
	name string // as people read it: a path, an address, "<stdin>"
	uri  string // as SARIF has it
	file string // the path on this machine; "" for what is none
	web  bool   // an address
}

// cardText is a card as it was read.
type cardText struct {
	text   []byte
	url    string // where it was found, of one from the web
	legacy bool   // it was found where cards were before A2A 0.3.0
}

// cardReader reads cards from wherever they are.
type cardReader struct {
	stdin   io.Reader
	private []string // host:port of private addresses that may be reached
	source  *wellknown.Source
}

// read returns at most one byte more than a card may have, which is enough to be told that it is too large.
func (r *cardReader) read(ctx context.Context, in cardInput) (cardText, error) {
	switch {
	case in.web:
		return r.fetch(ctx, in.name)
	case in.file == "":
		text, err := io.ReadAll(io.LimitReader(r.stdin, card.MaxSize+1))
		return cardText{text: text}, err
	}
	f, err := os.Open(in.file)
	if err != nil {
		return cardText{}, errors.Unwrap(err) // the name is said anyway
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, card.MaxSize+1))
	if broken := (&fs.PathError{}); errors.As(err, &broken) {
		err = broken.Err
	}
	return cardText{text: text}, err
}

// check makes the source of cards from the web, or tells what is wrong with the private addresses.
func (r *cardReader) check() error {
	guarded, err := egress.New(egress.Config{Allow: r.private, MaxBody: card.MaxSize + 1})
	if err != nil {
		return fmt.Errorf("--allow-private: %w", err)
	}
	r.source = wellknown.New(wellknown.Config{Transport: guarded.HTTPClient().Transport, UserAgent: "bureau-card"})
	return nil
}

// fetch goes through the guarded client: who validates what others name may be in a network that those should not reach.
func (r *cardReader) fetch(ctx context.Context, address string) (cardText, error) {
	if r.source == nil {
		if err := r.check(); err != nil {
			return cardText{}, err
		}
	}
	got, err := r.source.Fetch(ctx, address, "")
	if errors.Is(err, egress.ErrBlocked) {
		err = fmt.Errorf("%w; --allow-private HOST:PORT lets it", err)
	}
	return cardText{text: got.Text, url: got.URL, legacy: got.Legacy}, err
}

// cardInputs finds what the arguments mean, each card once, in their order. What one of them does not find is an error beside the others.
func cardInputs(args []string) ([]cardInput, []error) {
	var out []cardInput
	var faults []error
	seen := map[string]bool{}
	add := func(in cardInput) {
		if key := in.file + "\x00" + in.name; !seen[key] {
			seen[key] = true
			out = append(out, in)
		}
	}
	for _, arg := range args {
		if arg == "-" {
			add(cardInput{name: "<stdin>", uri: "stdin"})
			continue
		}
		if isWeb(arg) {
			add(cardInput{name: arg, uri: arg, web: true})
			continue
		}
		files, err := cardFiles(arg)
		if err != nil {
			faults = append(faults, err)
		}
		for _, f := range files {
			add(fileInput(f))
		}
	}
	return out, faults
}

func isWeb(arg string) bool {
	lower := strings.ToLower(arg)
	return strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://")
}

// fileInput names a file as it would be named in the repository, where it lies in one.
func fileInput(file string) cardInput {
	file = filepath.Clean(file)
	return cardInput{name: file, uri: fileURI(file), file: file}
}

// repoPath spells a file's path relative to the repository that GitHub has checked out, otherwise to the working directory, with slashes; false,
// and the whole path, for a file elsewhere.
func repoPath(file string) (string, bool) {
	full, err := filepath.Abs(file)
	if err != nil {
		return filepath.ToSlash(file), false
	}
	base := os.Getenv("GITHUB_WORKSPACE")
	if base == "" {
		base, _ = os.Getwd()
	}
	if rel, err := filepath.Rel(base, full); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel), true
	}
	return filepath.ToSlash(full), false
}

// fileURI is repoPath as a URI.
func fileURI(file string) string {
	name, inside := repoPath(file)
	switch {
	case inside:
		return uriPath(name)
	case !strings.HasPrefix(name, "/"):
		name = "/" + name // a drive's letter
	}
	return "file://" + uriPath(name)
}

// uriPath escapes what a path with slashes may not have in a URI (RFC 3986), the colon included, which would end a scheme.
func uriPath(file string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=@"
	var b strings.Builder
	for _, c := range []byte(file) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// cardFiles returns the files that an argument means: itself, the cards below a directory, or what a pattern matches.
func cardFiles(arg string) ([]string, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		files, err := cardsBelow(arg)
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("%s: no agent cards below it; name a file to have it checked whatever it looks like", arg)
		}
		return files, err
	case err == nil || !strings.ContainsAny(arg, "*?["):
		return []string{arg}, nil // one that is not there is told when it is read
	}
	files, err := globCards(arg)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: no file matches", arg)
	}
	return files, err
}

// cardsBelow returns the cards of a directory and of those below it.
func cardsBelow(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && file != dir && passedOver(name):
			return filepath.SkipDir
		case d.IsDir() || !strings.EqualFold(path.Ext(name), ".json"):
			return nil
		}
		if is, err := looksLikeCard(file); err != nil || !is {
			return err
		}
		out = append(out, file)
		return nil
	})
	return out, err
}

// cardKeys are keys of cards that are rare elsewhere; a file with two of them is a card, even one that is not JSON any more.
var cardKeys = [][]byte{
	[]byte(`"capabilities"`), []byte(`"skills"`), []byte(`"defaultInputModes"`), []byte(`"defaultOutputModes"`),
	[]byte(`"protocolVersion"`), []byte(`"supportedInterfaces"`),
}

func looksLikeCard(file string) (bool, error) {
	if base := strings.ToLower(filepath.Base(file)); base == "agent.json" || base == "agent-card.json" {
		return true, nil
	}
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return false, nil // a link to nowhere, a pipe
	}
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, card.MaxSize))
	found := 0
	for _, key := range cardKeys {
		if bytes.Contains(text, key) {
			found++
		}
	}
	return found >= 2 && !bytes.Contains(text, []byte("json-schema.org/")), err // the schema of cards has their keys, too
}

// globCards returns the files that a pattern matches: "*", "?" and "[...]" within a name, "**" over any number of directories. Where a shell
// has not done it, as on Windows and in most files of CI systems, it is done here.
func globCards(pattern string) ([]string, error) {
	slashed := filepath.ToSlash(filepath.Clean(pattern))
	match, err := globPattern(slashed)
	if err != nil {
		return nil, fmt.Errorf("%s is no pattern", pattern)
	}
	root, _ := path.Split(slashed[:strings.IndexAny(slashed, "*?[")])
	if root == "" {
		root = "."
	}
	var out []string
	err = filepath.WalkDir(filepath.FromSlash(root), func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && passedOver(d.Name()) && filepath.Clean(root) != file && !strings.Contains(slashed, d.Name()):
			return filepath.SkipDir
		case !d.IsDir() && match.MatchString(filepath.ToSlash(file)):
			out = append(out, file)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return out, err
}

// globPattern turns a pattern into a regular expression.
func globPattern(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`\A`)
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch c := pattern[i]; {
		case strings.HasPrefix(rest, "**/"):
			b.WriteString(`(?:.*/)?`)
			i += 2
		case strings.HasPrefix(rest, "**"):
			b.WriteString(`.*`)
			i++
		case c == '*':
			b.WriteString(`[^/]*`)
		case c == '?':
			b.WriteString(`[^/]`)
		case c == '[':
			end := strings.IndexByte(rest[1:], ']')
			if end < 1 {
				return nil, path.ErrBadPattern
			}
			class := strings.ReplaceAll(rest[1:end+1], `\`, `\\`)
			if strings.HasPrefix(class, "!") {
				class = "^" + class[1:]
			}
			b.WriteString("[" + class + "]")
			i += end + 1
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	return regexp.Compile(b.String() + `\z`)
}

// passedOver reports whether a directory is none that people keep cards in: what is hidden, save where cards are served from, and what others
// have written.
func passedOver(name string) bool {
	return name == "node_modules" || name == "vendor" || strings.HasPrefix(name, ".") && name != ".well-known"
}
