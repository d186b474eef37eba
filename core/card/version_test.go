package card

import (
	"slices"
	"testing"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]Version{
		"0.2.0": V020, "0.2.1": V021, "0.2.2": V022, "0.2.3": V023, "0.2.4": V024, "0.2.5": V025, "0.2.6": V026, "0.2": V026, "0.2.7": V026,
		"0.2.9": V026, "0.2.10": V026, "0.3": V030, "0.3.0": V030, "0.3.7": V030, "0.3.0-rc.1": V030, "v0.3.0": V030, "V0.2.5": V025,
		"1": V10, "1.0": V10, "1.0.0": V10, "1.0.1": V10, "1.1": V10, "v1.0": V10, "1.0.0-rc": V10,
	} {
		if got, ok := ParseVersion(said); !ok || got != want {
			t.Errorf("%q is read as %q, %v", said, got, ok)
		}
	}
	for _, said := range []string{
		"", "0", "0.1", "0.1.0", "0.4", "2", "2.0", "9.9.9", "1.", "1.0.", "0.3.x", "0.3.0.0.1", "00.3", "0.03", "1.0 ", " 1.0", "vv1.0",
		"-1", "1,0",
		"latest", "v", ".3", "0..3", "1.00000", "1.0.0+x/",
	} {
		if got, ok := ParseVersion(said); ok {
			t.Errorf("%q is read as %q", said, got)
		}
	}
}

// TestVersionChoice tries the order of what decides: the option, the declaration, the interfaces, the default.
func TestVersionChoice(t *testing.T) {
	t.Parallel()
	const interfaces = `"supportedInterfaces": [{"url": "https://example.com", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]`
	for _, c := range []struct {
		name, card string
		option     Version
		version    Version
		basis      Basis
		errors     []string // codes at protocolVersion or at the card itself
		warnings   []string
	}{
		{name: "nothing", card: `{}`, version: V030, basis: BasisDefault, errors: []string{codeRequired}},
		{name: "declared", card: `{"protocolVersion": "0.2.5"}`, version: V025, basis: BasisDeclared},
		{name: "declared and hybrid", card: `{"protocolVersion": "0.3.0", ` + interfaces + `}`, version: V030, basis: BasisDeclared},
		{name: "declared 1.0", card: `{"protocolVersion": "1.0"}`, version: V10, basis: BasisDeclared},
		{name: "interfaces", card: `{` + interfaces + `}`, version: V10, basis: BasisDeclared},
		{name: "interfaces of another version", card: `{"supportedInterfaces": [{"protocolVersion": "0.3"}]}`, version: V10,
			basis: BasisInterfaces},
		{name: "interfaces of no kind", card: `{"supportedInterfaces": null}`, version: V10, basis: BasisInterfaces},
		{name: "hybrid, undeclared", card: `{"url": "https://example.com", ` + interfaces + `}`, version: V10, basis: BasisDeclared},
		{name: "option", card: `{"protocolVersion": "0.2.5"}`, option: "0.3", version: V030, basis: BasisOption,
			warnings: []string{codeVersionDiffers}},
		{name: "option as declared", card: `{"protocolVersion": "0.3"}`, option: V030, version: V030, basis: BasisOption},
		{name: "option of no such tag", card: `{"protocolVersion": "0.2.6"}`, option: "0.2.9", version: V026, basis: BasisOption,
			warnings: []string{codeVersionHeld}},
		{name: "option of no such tag, undeclared", card: `{}`, option: "0.2.9", version: V026, basis: BasisOption,
			errors: []string{codeRequired}, warnings: []string{codeVersionHeld}},
		{name: "shorter option", card: `{"protocolVersion": "0.2.6"}`, option: "0.2", version: V026, basis: BasisOption},
		{name: "option over interfaces", card: `{` + interfaces + `}`, option: "v0.2.1", version: V021, basis: BasisOption},
		{
			name: "option over an unknown declaration", card: `{"protocolVersion": "9.9.9"}`, option: V030, version: V030, basis: BasisOption,
			warnings: []string{codeVersionDiffers},
		},
		{
			name: "unknown option", card: `{"protocolVersion": "0.2.5"}`, option: "9.9.9", version: V025, basis: BasisDeclared,
			errors: []string{codeVersionUnknown},
		},
		{
			name: "unknown", card: `{"protocolVersion": "9.9.9"}`, version: V030, basis: BasisDefault,
			errors: []string{codeVersionUnknown},
		},
		{
			name: "unknown with interfaces", card: `{"protocolVersion": "2.0", ` + interfaces + `}`, version: V10, basis: BasisDeclared,
			errors: []string{codeVersionUnknown},
		},
		{
			name: "no such tag", card: `{"protocolVersion": "0.2.9"}`, version: V026, basis: BasisDeclared, warnings: []string{codeVersionHeld},
		},
		{name: "no such patch", card: `{"protocolVersion": "0.3.4"}`, version: V030, basis: BasisDeclared, warnings: []string{codeVersionHeld}},
		{name: "no such minor", card: `{"protocolVersion": "1.7"}`, version: V10, basis: BasisDeclared, warnings: []string{codeVersionHeld}},
		{name: "shorter 0.2", card: `{"protocolVersion": "0.2"}`, version: V026, basis: BasisDeclared, warnings: []string{codeVersionHeld}},
		{name: "shorter 0.3", card: `{"protocolVersion": "0.3"}`, version: V030, basis: BasisDeclared},
		{name: "empty", card: `{"protocolVersion": ""}`, version: V030, basis: BasisDefault, errors: []string{codeEmpty}},
		{name: "null", card: `{"protocolVersion": null}`, version: V030, basis: BasisDefault, errors: []string{codeType}},
		{name: "a number", card: `{"protocolVersion": 0.3}`, version: V030, basis: BasisDefault, errors: []string{codeType}},
		{
			name: "null with interfaces", card: `{"protocolVersion": null, ` + interfaces + `}`, version: V10, basis: BasisDeclared,
			errors: []string{codeType},
		},
		{name: "empty, with an option", card: `{"protocolVersion": ""}`, option: V10, version: V10, basis: BasisOption,
			errors: []string{codeEmpty}},
		{name: "0.2.0 has no such field", card: `{"protocolVersion": "0.2.0"}`, version: V020, basis: BasisDeclared},
		{name: "nor asks for it", card: `{}`, option: V024, version: V024, basis: BasisOption},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := Validate([]byte(c.card), Options{Version: c.option})
			if r.Version != c.version || r.Basis != c.basis {
				t.Errorf("held to %s by %s", r.Version, r.Basis)
			}
			about := func(all []Finding, codes ...string) []string {
				var found []string
				for _, f := range all {
					if f.Path == "protocolVersion" && (len(codes) == 0 || slices.Contains(codes, f.Code)) || f.Code == codeVersionUnknown {
						found = append(found, f.Code)
					}
				}
				return found
			}
			if got := about(r.Errors); !slices.Equal(got, c.errors) {
				t.Errorf("errors of the version: %v", got)
			}
			if got := about(r.Warnings, codeVersionHeld, codeVersionDiffers, codeUnknownField, codeLaterField); !slices.Equal(got, c.warnings) {
				t.Errorf("warnings of the version: %v", got)
			}
		})
	}
}

// TestVersionMessage holds the one message that is documented word by word.
func TestVersionMessage(t *testing.T) {
	t.Parallel()
	r := Validate([]byte(`{"name": "x", "description": "x", "url": "https://example.com", "version": "1", "capabilities": {}, "skills": [],
		"defaultInputModes": [], "defaultOutputModes": []}`), Options{})
	if len(r.Errors) != 1 || r.Errors[0].Message != "Protocol version is required" || r.Errors[0].Pointer != "/protocolVersion" {
		t.Errorf("the errors are %+v", r.Errors)
	}
}
