package card

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source parses the package's files but the tests.
func source(t *testing.T) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := goparser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// Every code that a finding of this package can have is listed, every listed one can be had, and all are used by their constants alone.
func TestCodesAreThoseInUse(t *testing.T) {
	declared, used := map[string]string{}, map[string]int{}
	for _, file := range source(t) {
		table := ast.Node(nil)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, name := range n.Names {
					if name.Name == "codes" {
						table = n
					}
					if strings.HasPrefix(name.Name, "code") && name.Name != "codes" && i < len(n.Values) {
						if text, ok := n.Values[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
							declared[name.Name], _ = strconv.Unquote(text.Value)
							used[name.Name]--
						}
					}
				}
			case *ast.Ident:
				if strings.HasPrefix(n.Name, "code") && (table == nil || n.Pos() < table.Pos() || n.Pos() > table.End()) {
					used[n.Name]++
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"fail", "failKey", "failMissing", "warn", "warnKey",
					"warnMissing"}, f.Sel.Name) {
					at := 1
					if strings.HasSuffix(f.Sel.Name, "Missing") {
						at = 2
					}
					if _, literal := n.Args[at].(*ast.BasicLit); literal {
						t.Errorf("%s is called with a code that is no constant", f.Sel.Name)
					}
				}
			}
			return true
		})
	}
	listed := map[string]bool{}
	for _, c := range Codes() {
		if listed[c.Code] {
			t.Errorf("%s is listed twice", c.Code)
		}
		listed[c.Code] = true
	}
	values := map[string]bool{}
	for name, code := range declared {
		values[code] = true
		if !listed[code] {
			t.Errorf("%s (%q) is not listed by Codes", name, code)
		}
		if used[name] == 0 {
			t.Errorf("%s (%q) is never used", name, code)
		}
	}
	for code := range listed {
		if !values[code] {
			t.Errorf("%q is listed, and no constant has it", code)
		}
	}
}

func TestCodesAreExplained(t *testing.T) {
	last := Code{Severity: SeverityError}
	for _, c := range Codes() {
		if c.Title == "" || len(c.Text) < 30 || !strings.HasSuffix(c.Text, ".") || c.Severity != SeverityError && c.Severity != SeverityWarning {
			t.Errorf("%+v", c)
		}
		if c.Code <= last.Code && c.Severity == last.Severity || c.Severity == SeverityError && last.Severity == SeverityWarning {
			t.Errorf("%s stands after %s", c.Code, last.Code)
		}
		last = c
		if got, ok := Explain(c.Code); !ok || got != c {
			t.Errorf("Explain(%q) is %+v", c.Code, got)
		}
	}
	if _, ok := Explain("no_such_code"); ok {
		t.Error("an unknown code is explained")
	}
	Codes()[0].Title = "changed"
	if Codes()[0].Title == "changed" {
		t.Error("the table can be changed from outside")
	}
}

// What errors are and what warnings are is said by where findings stand.
func TestSeveritiesAreKept(t *testing.T) {
	severity := map[string]Severity{}
	for _, c := range Codes() {
		severity[c.Code] = c.Severity
	}
	for _, v := range versions {
		for _, card := range samples(t) {
			got := Validate(card.text, Options{Version: v})
			for _, f := range got.Errors {
				if severity[f.Code] != SeverityError && f.Code != codeMore {
					t.Errorf("%+v is an error", f)
				}
			}
			for _, f := range got.Warnings {
				if severity[f.Code] != SeverityWarning {
					t.Errorf("%+v is a warning", f)
				}
			}
		}
	}
}
