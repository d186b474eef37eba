package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The logs pass the schema of OASIS, and a library of others reads out of them what was found.
func TestCardSARIF(t *testing.T) {
	cards, err := filepath.Abs(corpus)
	if err != nil {
		t.Fatal(err)
	}
	schema := sarifSchemaOf(t)
	c := cardTerminal(t)
	judge := func(args ...string) (*sarif.Run, cardsWire) {
		t.Helper()
		out, _, _ := c.both(append([]string{"card", "validate", "--suggestions", "--format", "sarif"}, args...)...)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Fatal(err)
		}
		report, err := sarif.FromString(out)
		if err != nil || len(report.Runs) != 1 {
			t.Fatal(len(report.Runs), err)
		}
		out, _, _ = c.both(append([]string{"card", "validate", "--format", "json"}, args...)...)
		var same cardsWire
		if err := json.Unmarshal([]byte(out), &same); err != nil {
			t.Fatal(err)
		}
		return report.Runs[0], same
	}

	run, same := judge(cards, ".", "nope.json", "-")
	want := same.Summary.Errors + same.Summary.Warnings
	for _, one := range same.Cards {
		want += len(one.Suggestions)
	}
	if len(run.Results) != want || len(run.Artifacts) != same.Summary.Cards || want < 200 {
		t.Errorf("%d results and %d artifacts; %d and %d were found", len(run.Results), len(run.Artifacts), want, same.Summary.Cards)
	}
	if got := run.Invocations[0]; *got.ExecutionSuccessful || len(got.ToolExecutionNotifications) != 1 {
		t.Errorf("a card that cannot be read is not told: %+v", got)
	}
	prints := map[string]bool{}
	for _, r := range run.Results {
		if rule := run.Tool.Driver.Rules[r.RuleIndex]; *rule.ID != *r.RuleID || *rule.Help.Text == "" || *rule.DefaultConfiguration == (sarif.ReportingConfiguration{}) {
			t.Errorf("%s has the rule %s", *r.RuleID, *rule.ID)
		}
		key := r.PartialFingerprints["bureauCard/v1"]
		if prints[key] {
			t.Errorf("two results have the fingerprint %s", key)
		}
		prints[key] = true
		if region := r.Locations[0].PhysicalLocation.Region; region == nil && r.Level != "note" {
			t.Errorf("%s has no place: %s", *r.RuleID, *r.Message.Text)
		} else if region != nil && (*region.StartLine < 1 || *region.EndColumn <= *region.StartColumn) {
			t.Errorf("%s: %+v", *r.RuleID, region)
		}
	}

	// A finding whose line has moved is the same one to whoever follows findings from one run to the next.
	text, err := os.ReadFile("faulty.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	shown := func(text []byte) string {
		if err := os.WriteFile("agent card.json", text, 0o600); err != nil {
			t.Fatal(err)
		}
		run, _ := judge("agent card.json")
		if uri := *run.Artifacts[0].Location.URI; uri != "agent%20card.json" {
			t.Errorf("the card is called %s", uri)
		}
		var all []string
		for _, r := range run.Results {
			all = append(all, *r.RuleID+" "+r.PartialFingerprints["bureauCard/v1"])
		}
		return strings.Join(all, "\n")
	}
	if before, after := shown(text), shown(bytes.Replace(text, []byte("{"), []byte("{\n\n  "), 1)); before != after {
		t.Errorf("moved findings are others:\n%s\n\n%s", before, after)
	}
}

// sarifSchemaOf compiles the schema of SARIF 2.1.0, which the library that reads SARIF has in its source.
func sarifSchemaOf(t *testing.T) *jsonschema.Schema {
	t.Helper()
	pkg, err := build.Import("github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, "schema.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && spec.Names[0].Name == "schema" {
			text, err = strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	if err != nil || text == "" {
		t.Fatalf("no schema in %s: %v", pkg.Dir, err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if id := doc.(map[string]any)["id"]; id != sarifSchema {
		t.Errorf("the schema is %v; the logs say %s", id, sarifSchema)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(sarifSchema, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile(sarifSchema)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
