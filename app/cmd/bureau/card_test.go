package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/card"
)

var update = flag.Bool("update", false, "write anew what the tests of the command line compare with")

// corpus are the cards that the validator is tested with.
const corpus = "../../../core/card/testdata/cards"

// cardTerminal runs commands where the cards of these tests lie, without a server's directory.
func cardTerminal(t *testing.T) *terminal {
	t.Helper()
	t.Setenv("GITHUB_WORKSPACE", "")
	t.Setenv("NO_COLOR", "")
	t.Chdir("testdata/cards")
	return &terminal{t: t, dir: t.TempDir()}
}

// code is the exit code that main would end with.
func code(err error) int {
	if coded, ok := errors.AsType[exitError](err); ok {
		return coded.code
	}
	if err != nil {
		return 1
	}
	return 0
}

func TestCardOutput(t *testing.T) {
	c := cardTerminal(t)
	for name, args := range map[string][]string{
		"human":    {"validate", "."},
		"explain":  {"validate", "plain.json", "faulty.json", "--explain", "--suggestions"},
		"coloured": {"validate", "faulty.json", "plain.json", "--explain", "--suggestions", "--color", "always"},
		"quiet":    {"validate", ".", "--quiet", "--min-score", "70", "--max-findings", "2"},
		"json":     {"validate", "faulty.json", "good.json", "--format", "json"},
		"sarif":    {"validate", "faulty.json", "plain.json", "--format", "sarif", "--min-score", "80"},
		"github":   {"validate", "faulty.json", "plain.json", "--format", "github", "--min-score", "80", "--suggestions"},
		"migrate":  {"migrate", "good.json"},
		"hybrid":   {"migrate", "good.json", "--hybrid"},
		"patch":    {"migrate", "faulty.json", "--patch"},
		"weights":  {"weights"},
		"explains": {"explain", "required", "[media_type]", "legacy_path"},
	} {
		t.Run(name, func(t *testing.T) {
			out, stderr, err := c.both(append([]string{"card"}, args...)...)
			if name == "sarif" {
				out = withoutRules(t, out)
			}
			got := fmt.Sprintf("$ bureau card %s\n%s", strings.Join(args, " "), out)
			if stderr != "" {
				got += "-- standard error --\n" + stderr
			}
			if err != nil {
				got += "bureau: " + err.Error() + "\n"
			}
			got += fmt.Sprintf("-- exit code %d --\n", code(err))
			file := name + ".golden"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got (-update writes what is wanted anew):\n%s", diff)
			}
		})
	}
}

// both runs a command and returns what it wrote on either stream.
func (c *terminal) both(args ...string) (stdout, stderr string, err error) {
	c.t.Helper()
	var out, complaints bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&complaints)
	cmd.SetIn(strings.NewReader(c.in))
	cmd.SetArgs(args)
	c.in = ""
	err = cmd.ExecuteContext(c.t.Context())
	return out.String(), complaints.String(), err
}

// withoutRules leaves out the rules of a SARIF log, which say the same of every card.
func withoutRules(t *testing.T, log string) string {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(log), &doc); err != nil {
		t.Fatal(err)
	}
	driver := doc["runs"].([]any)[0].(map[string]any)["tool"].(map[string]any)["driver"].(map[string]any)
	if rules, _ := driver["rules"].([]any); len(rules) < 40 {
		t.Errorf("%d rules", len(rules))
	}
	delete(driver, "rules")
	delete(driver, "version") // that of the build
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func TestCardExitCodes(t *testing.T) {
	c := cardTerminal(t)
	good, err := os.ReadFile("good.json")
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		want string // of standard output, standard error and the error
	}{
		{"validate good.json", 0, "good.json: valid as A2A 0.3.0 (as it declares), score 100\n"},
		{"check good.json", 0, "score 100"},
		{"validate -", 0, "<stdin>: valid"},
		{"validate good.json plain.json --min-score 60", 0, "2 cards: 2 valid, 0 not; 0 errors, 0 warnings"},
		{"validate good.json plain.json --min-score 61", 1, "bureau: 1 of 2 cards do not pass"},
		{"validate faulty.json", 1, "bureau: the card does not pass"},
		{"validate faulty.json --fail-on never", 0, "not valid"},
		{"validate faulty.json --fail-on never --min-score 50", 1, "less than the 50 that --min-score asks for"},
		{"validate good.json --version 1.0", 1, "not valid as A2A 1.0 (as asked)"},
		{"validate good.json --version 1.0 --fail-on never", 0, "not valid as A2A 1.0 (as asked)"},
		{"validate good.json --version v0.3", 0, "valid as A2A 0.3.0 (as asked)"},
		{"validate plain.json good.json --version 0.2.9 --quiet", 1, "plain.json: not valid as A2A 0.2.6"},
		{"validate plain.json good.json --quiet", 0, ""},
		{"validate good.json --require-signature --keys " + keys, 1, "it has no signature by one of the trusted keys"},
		{"validate good.json --keys " + keys, 0, "valid"},
		{"validate nope.json", 2, "bureau: nope.json: no such file or directory"},
		{"validate nope.json faulty.json", 2, "faulty.json: not valid"},
		{"validate nope.json --format json", 2, `"error": "no such file or directory"`},
		{"validate nope.json --format sarif", 2, `"executionSuccessful": false`},
		{"validate nope.json --format github", 2, "::error file=nope.json,title=unreadable::"},
		{"validate no*.json", 2, "no*.json: no file matches"},
		{"validate [.json", 2, "[.json is no pattern"},
		{"validate", 2, "FILE is missing"},
		{"validate good.json --fail-on nothing", 2, "must be one of errors, warnings, never"},
		{"validate good.json --format xml", 2, "must be one of human, json, sarif, github"},
		{"validate good.json --min-score 101", 2, "--min-score must be from 0 to 100"},
		{"validate good.json --version 2.0", 2, `"2.0" is not one of 1.0, 0.3.0, 0.2.6`},
		{"validate good.json --nope", 2, "unknown flag: --nope"},
		{"validate good.json --require-signature", 2, "needs the keys that are trusted"},
		{"validate good.json --keys nope.json", 2, "--keys: open nope.json"},
		{"validate good.json --keys good.json", 2, "--keys: good.json: "},
		{"validate ftp://example.com/card.json", 2, "no such file"},
		{"validate https://user:secret@example.com", 2, "without a user's name"},
		{"explain", 0, "media_type"},
		{"explain nope", 2, `no finding has the code "nope"; ` + "`bureau card explain` lists them"},
		{"explain require", 2, "there are required"},
		{"weights", 0, "description"},
		{"weights x", 2, "one argument too many"},
		{"migrate", 2, "FILE is missing"},
		{"migrate good.json --to 0.2.6", 2, "must be one of 1.0, 0.3.0"},
		{"migrate good.json --to 0.3.0", 0, "A2A 0.3.0 to 0.3.0, 0 changes"},
		{"migrate plain.json --to 0.3.0", 2, "and not back"},
		{"migrate good.json --to 0.3.0 --hybrid", 2, "leave --to out"},
		{"migrate faulty.json --quiet", 1, "the migrated card is not valid yet"},
		{"migrate cut.json", 2, "cut.json cannot be read as a card; `bureau card validate` says why"},
		{"migrate nope.json", 2, "no such file"},
		{"migrate - --write", 2, "--write needs a file"},
		{"migrate good.json --write --patch", 2, "only one can be had"},
		{"nope", 1, `"nope" is not a command of ` + "`bureau card`"},
	} {
		c.in = string(good)
		out, stderr, err := c.both(strings.Fields("card " + tc.args)...)
		all := out + stderr
		if err != nil {
			all += "bureau: " + err.Error()
		}
		if code(err) != tc.code || !strings.Contains(all, tc.want) {
			t.Errorf("bureau card %s: exit code %d and\n%s\nwant %d and %q", tc.args, code(err), all, tc.code, tc.want)
		}
		if tc.want == "" && all != "" {
			t.Errorf("bureau card %s says\n%s", tc.args, all)
		}
	}
}

// Which files directories and patterns mean.
func TestCardInputs(t *testing.T) {
	c := cardTerminal(t)
	good, err := os.ReadFile("good.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"agent-card.json": string(good), "site/.well-known/agent-card.json": string(good), "site/.well-known/agent.json": "{}", "site/deep/er/card.JSON": string(good),
		"site/broken.json": `{"skills": [], "capabilities": {`, "site/package.json": `{"name":"x","version":"1"}`, "site/notes.txt": string(good),
		"site/schema.json": `{"$schema":"http://json-schema.org/draft-07/schema#","skills":0,"capabilities":0}`,
		".git/card.json":   string(good), "node_modules/x/card.json": string(good), "site/[odd].json": string(good),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", "site/link.json"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		want []string
	}{
		{".", []string{"agent-card.json", "site/.well-known/agent-card.json", "site/.well-known/agent.json", "site/[odd].json", "site/broken.json", "site/deep/er/card.JSON"}},
		{"site/.well-known", []string{"site/.well-known/agent-card.json", "site/.well-known/agent.json"}},
		{".git", []string{".git/card.json"}},
		{"agent-card.json ./agent-card.json . site/../agent-card.json", nil},
		{"**/agent-card.json", []string{"agent-card.json", "site/.well-known/agent-card.json"}},
		{"site/**/*.json", []string{
			"site/.well-known/agent-card.json", "site/.well-known/agent.json", "site/[odd].json", "site/broken.json", "site/package.json", "site/schema.json",
		}},
		{"site/d?ep/*/[!x]*.JSON", []string{"site/deep/er/card.JSON"}},
		{"node_modules/**/*.json", []string{"node_modules/x/card.json"}},
		{"site/[odd].json", []string{"site/[odd].json"}},
		{"site/package.json", []string{"site/package.json"}},
		{"./*.json", []string{"agent-card.json"}},
		{"nowhere/**/*.json", nil},
	} {
		out, _, _ := c.both(append(strings.Fields("card validate --format json"), strings.Fields(tc.args)...)...)
		var doc cardsWire
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, one := range doc.Cards {
			got = append(got, filepath.ToSlash(one.Input))
		}
		slices.Sort(got)
		if tc.args[0] == 'a' {
			if n := len(slices.Compact(slices.Clone(got))); n != len(got) || n != 6 {
				t.Errorf("%s: %d of %d cards are judged twice", tc.args, len(got)-n, len(got))
			}
		} else if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", tc.args, diff)
		}
	}
}

// Cards from the web: where they are looked for, what is refused, and what is said of the old path.
func TestCardURL(t *testing.T) {
	c := cardTerminal(t)
	good, err := os.ReadFile("good.json")
	if err != nil {
		t.Fatal(err)
	}
	early := bytes.Replace(bytes.Replace(good, []byte("0.3.0"), []byte("0.2.6"), 1), []byte("a2a\""), []byte("early\""), 1)
	serve := func(pages map[string][]byte) (base, private string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if page, ok := pages[r.URL.Path]; ok {
				_, _ = w.Write(page)
				return
			}
			http.NotFound(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL, strings.TrimPrefix(s.URL, "http://")
	}
	today, private := serve(map[string][]byte{"/.well-known/agent-card.json": good, "/cards/one.json": []byte(`{"name": 1}`)})
	c.wantsCode(2, "--allow-private HOST:PORT", "card", "validate", today)
	c.wantsCode(0, "found at "+today+"/.well-known/agent-card.json\n", "card", "validate", today, "--allow-private", private)
	c.wantsCode(1, "one.json:1:10: error:", "card", "validate", today+"/cards/one.json", "--allow-private", private)
	c.wantsCode(2, "there is no agent card at", "card", "validate", today+"/elsewhere.json", "--allow-private", private)
	c.wantsCode(2, "--allow-private: ", "card", "validate", today, "--allow-private", "http://private/")

	old, private := serve(map[string][]byte{"/.well-known/agent.json": good})
	c.wantsCode(0, "[legacy_path]", "card", "validate", old, "--allow-private", private)
	c.wantsCode(1, "bureau: the card does not pass", "card", "validate", old, "--allow-private", private, "--fail-on", "warnings")
	out, _, _ := c.both("card", "validate", old, "--allow-private", private, "--format", "json")
	if !strings.Contains(out, `"found_at": "`+old+`/.well-known/agent.json"`) || !strings.Contains(out, `"code": "legacy_path"`) {
		t.Errorf("where it was found is not said:\n%s", out)
	}
	out, _, _ = c.both("card", "validate", old, "--allow-private", private, "--format", "github")
	if !strings.Contains(out, "::warning title=legacy_path::"+old) {
		t.Errorf("what is not in the repository is annotated there:\n%s", out)
	}
	older, private := serve(map[string][]byte{"/.well-known/agent.json": early})
	if out, _, err := c.both("card", "validate", older, "--allow-private", private); err != nil || strings.Contains(out, "legacy_path") {
		t.Errorf("a card of 0.2.6 is where it belongs: %v\n%s", err, out)
	}
	out, _, err = c.both("card", "migrate", older, "--allow-private", private, "--quiet")
	if err != nil || !strings.Contains(out, "supportedInterfaces") {
		t.Errorf("%v\n%s", err, out)
	}
}

// wantsCode runs a command and looks for an exit code and for a part of what it prints.
func (c *terminal) wantsCode(want int, part string, args ...string) {
	c.t.Helper()
	out, stderr, err := c.both(args...)
	all := out + stderr
	if err != nil {
		all += "bureau: " + err.Error()
	}
	if code(err) != want || !strings.Contains(all, part) {
		c.t.Errorf("bureau %s: exit code %d, want %d and %q in\n%s", strings.Join(args, " "), code(err), want, part, all)
	}
}

func TestCardMigrateWrites(t *testing.T) {
	c := cardTerminal(t)
	good, err := os.ReadFile("good.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "card.json"), filepath.Join(dir, "link.json")
	if err := errors.Join(os.WriteFile(file, good, 0o640), os.Symlink("card.json", link)); err != nil {
		t.Fatal(err)
	}
	if out, stderr, err := c.both("card", "migrate", link, "--write"); err != nil || out != "" || !strings.Contains(stderr, "to 1.0, ") {
		t.Fatalf("%v\n%s%s", err, out, stderr)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if r := card.Validate(written, card.Options{Version: card.V10}); !r.Valid {
		t.Errorf("what was written is not valid: %v", r.Errors)
	}
	info, err := os.Lstat(file)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("the file's mode has become %v, %v", info.Mode(), err)
	}
	if info, err = os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced by a file, %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	if _, stderr, err := c.both("card", "migrate", file, "--write"); err != nil || !strings.Contains(stderr, "0 changes") {
		t.Errorf("a second time something is changed: %v\n%s", err, stderr)
	}
	var doc migrationWire
	out, _, err := c.both("card", "migrate", "good.json", "--json")
	if err := errors.Join(err, json.Unmarshal([]byte(out), &doc)); err != nil || doc.From != card.V030 || doc.To != card.V10 || len(doc.Steps) == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// Nothing that a card, or a file's name, says reaches a terminal as something else than text.
func TestCardHumanIsPlain(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus, "*.json"))
	if err != nil || len(files) < 50 {
		t.Fatal(len(files), err)
	}
	texts := [][]byte{
		[]byte("{\"name\": \"\x1b]0;gone\a\xff\u202e\", \"\x9b31m\": \"\r\v\", \"url\": \"https://a\u200bb\"}"), []byte("\xff\xfe{"), []byte("\x1b[2J"), nil,
		[]byte(`{"na\u001b[31mme": 1, "\u202ename": 2, "securitySchemes": {"\u001b[2J": {"type": "\u009b5m"}}, "security": [{"\u0007": []}]}`),
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		var out bytes.Buffer
		h := &cardHuman{w: &out, humanOptions: humanOptions{explain: true, suggestions: true}}
		if err := h.card(cardVerdict{input: cardInput{name: "a\x1b[0m.json"}, text: text, result: card.Validate(text, card.Options{})}); err != nil {
			t.Fatal(err)
		}
		if r := unplain(out.String()); r >= 0 {
			t.Errorf("%q is written of\n%s\nas\n%s", r, text, out.String())
		}
	}
}

// unplain returns a character that a terminal would not show as such; -1 when there is none.
func unplain(s string) rune {
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return r
		}
	}
	return -1
}

// The marks of excerpts stand below what begins at the offset, whatever the text is.
func FuzzCardExcerpt(f *testing.F) {
	f.Add([]byte("{\n  \"name\": 5\n}"), 12)
	f.Add([]byte("{\"name\": \"日本\", \"x\": \"\u202e\"}"), 20)
	f.Add(bytes.Repeat([]byte("{\"a\":"), 5000), 15001)
	f.Add([]byte("\xff\xfe\"\\"), 1)
	f.Fuzz(func(t *testing.T, text []byte, offset int) {
		line, mark := excerpt(text, offset)
		if line == "" {
			return
		}
		if unplain(line) >= 0 || unplain(mark) >= 0 || strings.Contains(line+mark, "\n") {
			t.Errorf("%q %q", line, mark)
		}
		marks := strings.TrimLeft(mark, " ")
		if marks == "" || strings.Trim(marks, "^") != "" || len(mark) > columns(line)+1 {
			t.Errorf("%q is marked by %q", line, mark)
		}
		if len(line) > 12*excerptWidth+2*len("…") { // <U+10FFFF> is the longest that a character becomes
			t.Errorf("%d bytes are shown", len(line))
		}
		at := 0 // what begins at the mark is what begins at the offset
		for at < len(line) && columns(line[:at]) < len(mark)-len(marks) {
			_, size := utf8.DecodeRuneInString(line[at:])
			at += size
		}
		if end := min(len(text), offset+1); end > offset && text[offset] > ' ' && text[offset] < utf8.RuneSelf && text[offset] != 0x7f && line[at] != text[offset] {
			t.Errorf("%q is marked by %q, which is not at %q", line, mark, text[offset])
		}
	})
}

func TestCardCompletion(t *testing.T) {
	c := cardTerminal(t)
	for _, tc := range []struct{ args, want string }{
		{"card validate --format ", "sarif"}, {"card validate --fail-on ", "warnings"}, {"card validate --version ", "0.2.6"},
		{"card validate --color ", "always"}, {"card migrate --to ", "0.3.0"}, {"card explain ", "media_type"}, {"card ", "validate"},
	} {
		words := strings.Split(tc.args, " ")
		out, _, err := c.both(append([]string{"__complete"}, words...)...)
		if err != nil || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %v\n%s", tc.args, err, out)
		}
	}
}

func TestCardShow(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "clerk")
	shown := c.must("card", "show", "clerk")
	if r := card.Validate([]byte(shown), card.Options{}); !r.Valid || r.Name != "clerk" {
		t.Errorf("%q, %v\n%s", r.Name, r.Errors, shown)
	}
	c.wants([]string{`"type": "agent_card"`}, "card", "show", "clerk", "--json")
}
