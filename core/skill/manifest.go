package skill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Manifest says what a binary is and what it may reach. The operator's key signs it, so that neither can change unnoticed.
type Manifest struct {
	Name        string // the plugin's name in the registry
	Program     string // what the binary calls itself; the host refuses one that says otherwise when it runs
	Kind        Kind
	Version     string // the author's; "" is unknown
	Protocol    int    // version of the plugin protocol that the binary speaks
	Digest      string // lower-case hexadecimal SHA-256 of the binary
	Size        int64  // bytes
	Source      string // shipped plugins: which source or release it was made of; "" otherwise
	Description string
	Schema      json.RawMessage // JSON Schema: a skill's input, a rule's configuration; nil for a rule without one
	Idempotent  bool            // skills: see tool.Spec
	Needs       tool.Needs      // skills: what it may reach
	Inputs      []string        // rules: what it is told; see rule.Description
}

// manifestDoc is the signed document. Its field names are a stable format.
type manifestDoc struct {
	Format      int             `json:"format"`
	Name        string          `json:"name"`
	Program     string          `json:"program"`
	Kind        Kind            `json:"kind"`
	Version     string          `json:"version,omitempty"`
	Protocol    int             `json:"protocol"`
	SHA256      string          `json:"sha256"`
	Size        int64           `json:"size"`
	Source      string          `json:"source,omitempty"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`
	Idempotent  bool            `json:"idempotent,omitempty"`
	Domains     []string        `json:"domains,omitempty"`
	Secrets     []string        `json:"secrets,omitempty"`
	Inputs      []string        `json:"inputs,omitempty"`
}

const manifestFormat = 1

// Encode returns the document that is signed and stored.
func (m Manifest) Encode() ([]byte, error) {
	return json.Marshal(manifestDoc{
		Format: manifestFormat, Name: m.Name, Program: m.Program, Kind: m.Kind, Version: m.Version, Protocol: m.Protocol,
		SHA256: m.Digest, Size: m.Size, Source: m.Source, Description: m.Description, Schema: m.Schema,
		Idempotent: m.Idempotent, Domains: m.Needs.Domains, Secrets: m.Needs.Secrets, Inputs: m.Inputs,
	})
}

// ParseManifest reads what Encode wrote.
func ParseManifest(b []byte) (Manifest, error) {
	var d manifestDoc
	if err := json.Unmarshal(b, &d); err != nil {
		return Manifest{}, ErrModified.Withf("the manifest cannot be read").Wrap(err)
	}
	if d.Format != manifestFormat {
		return Manifest{}, ErrModified.Withf("the manifest has the format %d; this server reads %d", d.Format, manifestFormat)
	}
	return Manifest{
		Name: d.Name, Program: d.Program, Kind: d.Kind, Version: d.Version, Protocol: d.Protocol, Digest: d.SHA256, Size: d.Size,
		Source: d.Source, Description: d.Description, Schema: d.Schema, Idempotent: d.Idempotent,
		Needs: tool.Needs{Domains: d.Domains, Secrets: d.Secrets}, Inputs: d.Inputs,
	}, nil
}

// Tool returns what a skill's model is told.
func (m Manifest) Tool() tool.Spec {
	return tool.Spec{
		Name: m.Name, Description: m.Description, InputSchema: m.Schema, Idempotent: m.Idempotent, Needs: m.Needs,
	}
}

// Rule returns what a rule's policies are told.
func (m Manifest) Rule() rule.Description {
	return rule.Description{Name: m.Name, Summary: m.Description, ConfigSchema: m.Schema, Inputs: m.Inputs}
}

// Description is what a binary says about itself when it is asked.
type Description struct {
	Kind     Kind
	Program  string
	Version  string
	Protocol int
	Tool     tool.Spec        // skills
	Rule     rule.Description // rules
}

// limits of what a plugin may say about itself; models and operators read it.
const (
	maxDescription = 4096
	maxSchema      = 64 << 10
	maxNeeds       = 64
)

// manifest turns a binary's own words into a manifest, or says what is impossible about them.
func (d Description) manifest(name, digest string, size int64) (Manifest, error) {
	if name == "" {
		name = d.Program
	}
	m := Manifest{
		Name: name, Program: d.Program, Kind: d.Kind, Version: d.Version, Protocol: d.Protocol, Digest: digest, Size: size,
	}
	switch d.Kind {
	case KindSkill:
		m.Description, m.Schema = d.Tool.Description, d.Tool.InputSchema
		m.Idempotent, m.Needs = d.Tool.Idempotent, d.Tool.Needs
	case KindRule:
		m.Description, m.Schema, m.Inputs = d.Rule.Summary, d.Rule.ConfigSchema, d.Rule.Inputs
	default:
		return m, ErrRejected.Withf("it is neither a skill nor a rule but %q", d.Kind)
	}
	switch {
	case !validName(name):
		return m, ErrRejected.Withf("the name %q must have 1 to 64 of the characters a-z, 0-9, _ and -", name)
	case strings.TrimSpace(m.Description) == "":
		return m, ErrRejected.Withf("it does not describe itself")
	case len(m.Description) > maxDescription:
		return m, ErrRejected.Withf("its description has more than %d bytes", maxDescription)
	case len(m.Needs.Domains) > maxNeeds || len(m.Needs.Secrets) > maxNeeds:
		return m, ErrRejected.Withf("it declares more than %d needs of one sort", maxNeeds)
	}
	return m, checkSchema(m)
}

// checkSchema refuses schemas that no caller could satisfy or check.
func checkSchema(m Manifest) error {
	if len(m.Schema) == 0 {
		if m.Kind == KindSkill {
			return ErrRejected.Withf("it has no input schema")
		}
		return nil
	}
	if len(m.Schema) > maxSchema {
		return ErrRejected.Withf("its schema has more than %d bytes", maxSchema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Schema))
	if err != nil {
		return ErrRejected.Withf("its schema is not JSON: %v", err)
	}
	if obj, ok := doc.(map[string]any); !ok || m.Kind == KindSkill && obj["type"] != "object" {
		return ErrRejected.Withf("its schema must describe an object")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("plugin.json", doc); err != nil {
		return ErrRejected.Withf("its schema: %v", err)
	}
	if _, err := c.Compile("plugin.json"); err != nil {
		return ErrRejected.Withf("its schema: %v", err)
	}
	return nil
}

// noLoader keeps schemas from referring to files and addresses outside of themselves.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("the reference to %s leads out of the schema", url)
}
