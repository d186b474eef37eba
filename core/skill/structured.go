package skill

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/internal/check"
)

// Limits of a structured skill, in characters unless they say otherwise.
const (
	MaxSubmissions      = 50 // skills in one call
	MaxSkillKey         = 100
	MaxSkillName        = 200
	MaxSkillSummary     = 500
	MaxSkillText        = 50_000 // of the description, the prompt template and the code, each
	MaxSkillCategory    = 100
	MaxSkillTags        = 20
	MaxSkillTag         = 50
	MaxRequirements     = 50
	MaxRequirementName  = 200
	MaxRequirementType  = 50
	MaxSkillConfig      = 32 << 10 // bytes of the schema of the configuration
	MaxSkillLabel       = 64       // of the author's version
	MaxStructuredBytes  = 128 << 10
	maxConfigDepth      = 64
	structuredDocFormat = 1
)

// Structured is a skill as an agent describes what it can do: data rather than files.
type Structured struct {
	Key            string // names the skill among those of its agent: a letter or digit, then letters, digits, '.', '_', '-'
	Name           string
	Summary        string
	Description    string // Markdown
	Category       string
	Tags           []string
	Requirements   []Requirement
	PromptTemplate string
	CodeSnippet    string
	ConfigSchema   json.RawMessage // a JSON Schema, in canonical form; nil is none
}

// Requirement is something that whoever uses a skill must have.
type Requirement struct {
	Name string // "Slack Bot Token"
	Type string // "credential"
}

// structuredDoc is what digests cover. Its field names are a stable format.
type structuredDoc struct {
	Format         int              `json:"format"`
	Key            string           `json:"key"`
	Name           string           `json:"name"`
	Summary        string           `json:"summary"`
	Description    string           `json:"description_md"`
	Category       string           `json:"category"`
	Tags           []string         `json:"tags"`
	Requirements   []requirementDoc `json:"requirements"`
	PromptTemplate string           `json:"prompt_template"`
	CodeSnippet    string           `json:"code_snippet"`
	ConfigSchema   json.RawMessage  `json:"config_schema"`
}

type requirementDoc struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Encode returns the canonical document of the skill (see audit.Canonical), which is stored and which Digest covers.
func (s Structured) Encode() ([]byte, error) {
	d := structuredDoc{
		Format: structuredDocFormat, Key: s.Key, Name: s.Name, Summary: s.Summary, Description: s.Description, Category: s.Category,
		Tags: append([]string{}, s.Tags...), Requirements: make([]requirementDoc, len(s.Requirements)),
		PromptTemplate: s.PromptTemplate, CodeSnippet: s.CodeSnippet, ConfigSchema: s.ConfigSchema,
	}
	for i, r := range s.Requirements {
		d.Requirements[i] = requirementDoc(r)
	}
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("skill: %w", err)
	}
	return audit.Canonical(text)
}

// DecodeStructured reads what Encode wrote.
func DecodeStructured(text []byte) (Structured, error) {
	var d structuredDoc
	if err := json.Unmarshal(text, &d); err != nil {
		return Structured{}, fmt.Errorf("skill: a stored skill: %w", err)
	}
	if d.Format != structuredDocFormat {
		return Structured{}, fmt.Errorf("skill: a stored skill has the format %d", d.Format)
	}
	s := Structured{
		Key: d.Key, Name: d.Name, Summary: d.Summary, Description: d.Description, Category: d.Category, Tags: d.Tags,
		PromptTemplate: d.PromptTemplate, CodeSnippet: d.CodeSnippet,
	}
	for _, r := range d.Requirements {
		s.Requirements = append(s.Requirements, Requirement(r))
	}
	if string(d.ConfigSchema) != "null" {
		s.ConfigSchema = d.ConfigSchema
	}
	return s, nil
}

// DigestOf is the lower-case hexadecimal SHA-256 of what Encode returned. The author's version is no part of it: what a reviewer has
// judged is the content, whatever number it bears.
func DigestOf(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// skillKey is what a key looks like: it is the name of a folder in sandboxes, too.
var skillKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// check adds the faults of s at path, "skills[3]", and brings the schema of its configuration into canonical form.
func (s *Structured) check(f *check.Faults, path string) {
	at := func(field string) string { return path + "." + field }
	if f.Given(at("key"), s.Key, MaxSkillKey); strings.TrimSpace(s.Key) != "" && !skillKey.MatchString(s.Key) {
		f.Addf(at("key"), "must begin with a letter or a digit and consist of letters, digits, '.', '_' and '-'")
	}
	oneLine(f, at("name"), s.Name, MaxSkillName)
	f.Text(at("summary"), s.Summary, MaxSkillSummary)
	f.Text(at("description_md"), s.Description, MaxSkillText)
	oneLine(f, at("category"), s.Category, MaxSkillCategory)
	f.Text(at("prompt_template"), s.PromptTemplate, MaxSkillText)
	f.Text(at("code_snippet"), s.CodeSnippet, MaxSkillText)
	if len(s.Tags) > MaxSkillTags {
		f.Addf(at("tags"), "has %d entries; at most %d are allowed", len(s.Tags), MaxSkillTags)
	} else {
		for i, tag := range s.Tags {
			oneLine(f, fmt.Sprintf("%s[%d]", at("tags"), i), tag, MaxSkillTag)
		}
	}
	if len(s.Requirements) > MaxRequirements {
		f.Addf(at("requirements"), "has %d entries; at most %d are allowed", len(s.Requirements), MaxRequirements)
	} else {
		for i, r := range s.Requirements {
			oneLine(f, fmt.Sprintf("%s[%d].name", at("requirements"), i), r.Name, MaxRequirementName)
			oneLine(f, fmt.Sprintf("%s[%d].type", at("requirements"), i), r.Type, MaxRequirementType)
		}
	}
	s.ConfigSchema = checkConfigSchema(f, at("config_schema"), s.ConfigSchema)
}

// oneLine finds fault with what is missing, too long or more than a line.
func oneLine(f *check.Faults, path, s string, most int) {
	if f.Given(path, s, most); strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		f.Addf(path, "must be one line without control characters")
	}
}

// checkConfigSchema returns the schema in canonical form.
func checkConfigSchema(f *check.Faults, path string, raw json.RawMessage) json.RawMessage {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if len(raw) > MaxSkillConfig {
		f.Addf(path, "has %d bytes; at most %d are allowed", len(raw), MaxSkillConfig)
		return nil
	}
	canonical, err := audit.Canonical(raw)
	if err != nil || !utf8.Valid(raw) || bytes.Contains(canonical, []byte(`\u0000`)) {
		f.Addf(path, "must be JSON without NUL characters in which no object has a member twice")
		return nil
	}
	if nesting(canonical) > maxConfigDepth {
		f.Addf(path, "is nested more than %d deep", maxConfigDepth)
		return nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
	if _, isObject := doc.(map[string]any); err != nil || !isObject {
		f.Addf(path, "must be a JSON Schema object")
		return nil
	}
	const loc = "urn:config_schema"
	c := jsonschema.NewCompiler()
	c.UseLoader(noOtherDocument{})
	c.UseRegexpEngine(readRegexp)
	if err := c.AddResource(loc, doc); err != nil {
		f.Addf(path, "is not a JSON Schema")
		return nil
	}
	if _, err := c.Compile(loc); err != nil {
		if errors.Is(err, errOtherDocument) {
			f.Addf(path, "must not refer to another document")
			return nil
		}
		addSchemaFault(f, path, err)
		return nil
	}
	return canonical
}

// nesting returns how deep the values of canonical JSON are nested.
func nesting(canonical []byte) int {
	deepest, depth, quoted := 0, 0, false
	for i := 0; i < len(canonical); i++ {
		switch c := canonical[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return deepest
}

var errOtherDocument = errors.New("refers to another document")

// noOtherDocument keeps the compiler from reading files and addresses that a schema refers to.
type noOtherDocument struct{}

func (noOtherDocument) Load(string) (any, error) { return nil, errOtherDocument }

// readRegexp reads a regular expression, and compiles it only when something is matched with it: a schema may have a thousand, each of which is
// short and compiles to much.
func readRegexp(expr string) (jsonschema.Regexp, error) {
	if _, err := syntax.Parse(expr, syntax.Perl); err != nil {
		return nil, err
	}
	return lazyRegexp(expr), nil
}

type lazyRegexp string

// String implements jsonschema.Regexp.
func (r lazyRegexp) String() string { return string(r) }

// MatchString implements jsonschema.Regexp. What is matched is the schema's own spelling of its address and the like, a few times.
func (r lazyRegexp) MatchString(s string) bool {
	re, err := regexp.Compile(string(r))
	return err == nil && re.MatchString(s)
}

// addSchemaFault names the innermost place that a schema is wrong at.
func addSchemaFault(f *check.Faults, path string, err error) {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if deep, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			for len(deep.Causes) > 0 {
				deep = deep.Causes[0]
			}
			for _, part := range deep.InstanceLocation {
				path += "." + part
			}
			f.Addf(path, "is not a JSON Schema: %s", strings.Join(deep.ErrorKind.KeywordPath(), "."))
			return
		}
	}
	f.Addf(path, "is not a JSON Schema that can be compiled")
}
