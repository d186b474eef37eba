package a2a

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/bureau-agents/bureau/core/session"
)

// The names of the bindings and of the protocol versions in cards.
const (
	bindingRPC   = "JSONRPC"
	bindingHTTP  = "HTTP+JSON"
	version10    = "1.0"
	version03    = "0.3"
	version030   = "0.3.0" // as cards of 0.3 spell it, with the patch
	schemeBearer = "bearer"
	schemeHeader = "apiKey"
)

// cardDoc is a card's JSON: the members of 1.0, and those of 0.3.
type cardDoc struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Version     string `json:"version"`

	SupportedInterfaces []interfaceDoc `json:"supportedInterfaces,omitempty"`

	ProtocolVersion      string         `json:"protocolVersion,omitempty"`
	URL                  string         `json:"url,omitempty"`
	PreferredTransport   string         `json:"preferredTransport,omitempty"`
	AdditionalInterfaces []transportDoc `json:"additionalInterfaces,omitempty"`

	Provider         providerDoc     `json:"provider"`
	DocumentationURL string          `json:"documentationUrl"`
	IconURL          string          `json:"iconUrl,omitempty"`
	Capabilities     capabilitiesDoc `json:"capabilities"`

	SecuritySchemes      map[string]schemeDoc  `json:"securitySchemes"`
	SecurityRequirements []requirementDoc      `json:"securityRequirements,omitempty"`
	Security             []map[string][]string `json:"security,omitempty"`

	DefaultInputModes  []string `json:"defaultInputModes"`
	DefaultOutputModes []string `json:"defaultOutputModes"`

	Skills []skillDoc `json:"skills"`

	SupportsAuthenticatedExtendedCard bool `json:"supportsAuthenticatedExtendedCard,omitempty"`
}

type interfaceDoc struct {
	URL             string `json:"url"`
	ProtocolBinding string `json:"protocolBinding"`
	ProtocolVersion string `json:"protocolVersion"`
}

type transportDoc struct {
	URL       string `json:"url"`
	Transport string `json:"transport"`
}

type providerDoc struct {
	Organization string `json:"organization"`
	URL          string `json:"url"`
}

type capabilitiesDoc struct {
	Streaming         bool  `json:"streaming"`
	PushNotifications bool  `json:"pushNotifications"`
	ExtendedAgentCard *bool `json:"extendedAgentCard,omitempty"`
}

// schemeDoc is a security scheme: Type and what follows are of 0.3, the last two of 1.0.
type schemeDoc struct {
	Type         string `json:"type,omitempty"`
	Description  string `json:"description,omitempty"`
	Scheme       string `json:"scheme,omitempty"`
	BearerFormat string `json:"bearerFormat,omitempty"`
	In           string `json:"in,omitempty"`
	Name         string `json:"name,omitempty"`

	HTTPAuth *httpAuthDoc `json:"httpAuthSecurityScheme,omitempty"`
	APIKey   *apiKeyDoc   `json:"apiKeySecurityScheme,omitempty"`
}

type httpAuthDoc struct {
	Description  string `json:"description,omitempty"`
	Scheme       string `json:"scheme"`
	BearerFormat string `json:"bearerFormat,omitempty"`
}

type apiKeyDoc struct {
	Description string `json:"description,omitempty"`
	Location    string `json:"location"`
	Name        string `json:"name"`
}

type requirementDoc struct {
	Schemes map[string]scopesDoc `json:"schemes"`
}

type scopesDoc struct {
	List []string `json:"list,omitempty"`
}

type skillDoc struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
	Examples    []string `json:"examples,omitempty"`
	InputModes  []string `json:"inputModes,omitempty"`
	OutputModes []string `json:"outputModes,omitempty"`
}

// document writes a portrait down. The same portrait is the same text.
func (s *Cards) document(p portrait, shape Shape) ([]byte, error) {
	current, legacy := shape != ShapeLegacy, shape != ShapeCurrent
	base := p.base()
	d := cardDoc{
		Name: p.name(), Description: p.description(), Version: versionText(p.agent.Version),
		Provider:           providerDoc{s.c.ProviderName, cmp.Or(s.c.ProviderURL, p.address)},
		DocumentationURL:   cmp.Or(s.c.DocumentationURL, p.address+"/docs"),
		Capabilities:       capabilitiesDoc{Streaming: true, PushNotifications: true},
		SecuritySchemes:    schemes(current, legacy),
		DefaultInputModes:  append([]string{"text/plain", "application/json", typePDF}, session.ImageTypes()...),
		DefaultOutputModes: []string{"text/plain", "application/json"},
	}
	if current {
		yes := true
		d.Capabilities.ExtendedAgentCard = &yes
		d.SupportedInterfaces = []interfaceDoc{{base, bindingRPC, version10}, {base, bindingHTTP, version10}}
		if legacy {
			d.SupportedInterfaces = append(d.SupportedInterfaces,
				interfaceDoc{base, bindingRPC, version03}, interfaceDoc{base, bindingHTTP, version03})
		}
		d.SecurityRequirements = []requirementDoc{
			{map[string]scopesDoc{schemeBearer: {}}}, {map[string]scopesDoc{schemeHeader: {}}},
		}
	}
	if legacy {
		d.ProtocolVersion, d.URL, d.PreferredTransport = version030, base, bindingRPC
		d.AdditionalInterfaces = []transportDoc{{base, bindingRPC}, {base, bindingHTTP}}
		d.Security = []map[string][]string{{schemeBearer: {}}, {schemeHeader: {}}}
		d.SupportsAuthenticatedExtendedCard = true
	}
	for i, a := range p.skills {
		if i == 0 {
			a = p.general()
		}
		d.Skills = append(d.Skills, skillDoc{ID: a.id, Name: a.name, Description: a.text, Tags: a.tags, Examples: a.examples, OutputModes: a.output})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, fmt.Errorf("a2a: the card of %s: %w", p.agent.ID, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// schemes are the two ways to show an API key.
func schemes(current, legacy bool) map[string]schemeDoc {
	const (
		bearerText = "An API key of the server, as a bearer token." //nolint:gosec // what cards say of a scheme
		headerText = "An API key of the server, in a header."
	)
	var bearer, header schemeDoc
	if current {
		bearer.HTTPAuth = &httpAuthDoc{Description: bearerText, Scheme: "bearer"}
		header.APIKey = &apiKeyDoc{Description: headerText, Location: "header", Name: "x-api-key"}
	}
	if legacy {
		bearer.Type, bearer.Description, bearer.Scheme = "http", bearerText, "bearer"
		header.Type, header.Description, header.In, header.Name = "apiKey", headerText, "header", "x-api-key"
	}
	return map[string]schemeDoc{schemeBearer: bearer, schemeHeader: header}
}
