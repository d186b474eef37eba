package proto_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	rulev1 "github.com/bureau-agents/bureau/plugins/proto/rule/v1"
	skillv1 "github.com/bureau-agents/bureau/plugins/proto/skill/v1"
)

var (
	block  = regexp.MustCompile(`^(message|enum|service) (\w+) \{(\})?$`)
	field  = regexp.MustCompile(`^(?:repeated )?(map<\w+, \w+>|[\w.]+) (\w+) = (\d+);$`)
	value  = regexp.MustCompile(`^(\w+) = (\d+);$`)
	method = regexp.MustCompile(`^rpc (\w+)\((\w+)\) returns \((\w+)\);$`)
)

// The generated code has the messages, fields, numbers and methods of the .proto files, no more and no fewer. It is not a
// compiler's check, but it needs no compiler; comments and options cannot break a plugin.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	t.Parallel()
	for file, desc := range map[string]protoreflect.FileDescriptor{
		"skill/v1/skill.proto": skillv1.File_skill_v1_skill_proto,
		"rule/v1/rule.proto":   rulev1.File_rule_v1_rule_proto,
	} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		written, generated := fromSource(t, string(src)), fromDescriptor(desc)
		for _, w := range written {
			if !slices.Contains(generated, w) {
				t.Errorf("%s: %q is not in the generated code: run go generate ./plugins/proto", file, w)
			}
		}
		for _, g := range generated {
			if !slices.Contains(written, g) {
				t.Errorf("%s: the generated code still has %q: run go generate ./plugins/proto", file, g)
			}
		}
	}
}

func fromSource(t *testing.T, src string) []string {
	t.Helper()
	var out []string
	in := ""
	for line := range strings.SplitSeq(src, "\n") {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " //")
		switch {
		case line == "", strings.HasPrefix(line, "//"), strings.HasPrefix(line, "syntax"), strings.HasPrefix(line, "package"),
			strings.HasPrefix(line, "import"), strings.HasPrefix(line, "option"):
		case line == "}":
			in = ""
		case block.MatchString(line):
			in = block.FindStringSubmatch(line)[2]
			out = append(out, in)
		case method.MatchString(line):
			m := method.FindStringSubmatch(line)
			out = append(out, fmt.Sprintf("%s.%s(%s) %s", in, m[1], m[2], m[3]))
		case value.MatchString(line):
			m := value.FindStringSubmatch(line)
			out = append(out, fmt.Sprintf("%s.%s = %s", in, m[1], m[2]))
		case field.MatchString(line):
			m := field.FindStringSubmatch(line)
			out = append(out, fmt.Sprintf("%s.%s = %s", in, m[2], m[3]))
		default:
			t.Fatalf("this test does not understand the line %q", line)
		}
	}
	return out
}

func fromDescriptor(d protoreflect.FileDescriptor) []string {
	var out []string
	for i := range d.Messages().Len() {
		m := d.Messages().Get(i)
		out = append(out, string(m.Name()))
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			out = append(out, fmt.Sprintf("%s.%s = %d", m.Name(), f.Name(), f.Number()))
		}
	}
	for i := range d.Enums().Len() {
		e := d.Enums().Get(i)
		out = append(out, string(e.Name()))
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			out = append(out, fmt.Sprintf("%s.%s = %d", e.Name(), v.Name(), v.Number()))
		}
	}
	for i := range d.Services().Len() {
		s := d.Services().Get(i)
		out = append(out, string(s.Name()))
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			out = append(out, fmt.Sprintf("%s.%s(%s) %s", s.Name(), m.Name(), m.Input().Name(), m.Output().Name()))
		}
	}
	return out
}
