package card

import (
	"encoding/json"
	"testing"
)

// full makes a good card of a version, with everything that the version has.
func full(v Version) map[string]any {
	card := map[string]any{
		"name": "Harbour pilot", "version": "2.0.1",
		"description":       "Advises masters of ships on tides, berths and the traffic of the harbour.",
		"provider":          map[string]any{"organization": "Harbour office", "url": "https://harbour.example.org"},
		"capabilities":      map[string]any{"streaming": true, "pushNotifications": false},
		"defaultInputModes": []any{"text/plain", "application/json"}, "defaultOutputModes": []any{"text/plain; charset=utf-8"},
		"documentationUrl": "https://harbour.example.org/pilot",
		"skills": []any{
			map[string]any{
				"id": "tides", "name": "Tides", "description": "Tells when there is how much water at a berth.", "tags": []any{"tides", "depth"},
				"examples": []any{"When can a draught of nine metres pass the bar?"}, "outputModes": []any{"image/*"},
			},
			map[string]any{
				"id": "berths", "name": "Berths", "description": "Finds a free berth for a length and a cargo.", "tags": []any{"berths", "cargo"},
				"examples": []any{"A berth for 180 metres, with a crane."},
			},
		},
	}
	if v == V10 {
		card["supportedInterfaces"] = []any{
			map[string]any{"url": "https://harbour.example.org/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
			map[string]any{"url": "pilot.harbour.example.org:443", "protocolBinding": "GRPC", "protocolVersion": "1.0", "tenant": "north"},
			map[string]any{"url": "https://harbour.example.org/rest", "protocolBinding": "HTTP+JSON", "protocolVersion": "0.3"},
		}
		card["securitySchemes"] = map[string]any{
			"key": map[string]any{"apiKeySecurityScheme": map[string]any{"location": "header", "name": "X-Key"}},
			"login": map[string]any{"oauth2SecurityScheme": map[string]any{"flows": map[string]any{"authorizationCode": map[string]any{
				"authorizationUrl": "https://login.example.org/authorize", "tokenUrl": "https://login.example.org/token",
				"scopes": map[string]any{"read": "Read tides"}, "pkceRequired": true,
			}}}},
			"bearer": map[string]any{"httpAuthSecurityScheme": map[string]any{"scheme": "Bearer", "bearerFormat": "JWT"}},
		}
		card["securityRequirements"] = []any{
			map[string]any{"schemes": map[string]any{"key": map[string]any{"list": []any{}}}},
			map[string]any{"schemes": map[string]any{"login": map[string]any{"list": []any{"read"}}, "bearer": map[string]any{}}},
		}
		at(card, "skills", 0)["securityRequirements"] = []any{map[string]any{"schemes": map[string]any{"key": map[string]any{"list": []any{}}}}}
		at(card, "capabilities")["extendedAgentCard"] = true
		at(card, "capabilities")["extensions"] = []any{map[string]any{"uri": "urn:example:berths", "required": false}}
		card["iconUrl"] = "https://harbour.example.org/icon.svg"
		return card
	}
	card["url"] = "https://harbour.example.org/a2a"
	card["securitySchemes"] = map[string]any{
		"key": map[string]any{"type": "apiKey", "in": "header", "name": "X-Key"},
		"login": map[string]any{"type": "oauth2", "flows": map[string]any{
			"authorizationCode": map[string]any{
				"authorizationUrl": "https://login.example.org/authorize", "tokenUrl": "https://login.example.org/token",
				"scopes": map[string]any{"read": "Read tides"},
			},
			"clientCredentials": map[string]any{"tokenUrl": "https://login.example.org/token", "scopes": map[string]any{"read": "Read",
				"write": "Book"}},
		}},
		"bearer": map[string]any{"type": "http", "scheme": "bearer"},
		"oidc":   map[string]any{"type": "openIdConnect", "openIdConnectUrl": "https://login.example.org/.well-known/openid-configuration"},
	}
	card["security"] = []any{
		map[string]any{"key": []any{}}, map[string]any{"login": []any{"read"}, "bearer": []any{}}, map[string]any{"oidc": []any{"openid"}},
	}
	at(card, "capabilities")["stateTransitionHistory"] = false
	if v >= V021 {
		card["supportsAuthenticatedExtendedCard"] = true
	}
	if v >= V022 {
		card["iconUrl"] = "data:image/png;base64,iVBORw0KGgo="
		at(card, "capabilities")["extensions"] = []any{map[string]any{"uri": "https://harbour.example.org/ext/berths"}}
	}
	if v >= V024 {
		card["preferredTransport"] = "JSONRPC"
		card["additionalInterfaces"] = []any{
			map[string]any{"url": "https://harbour.example.org/a2a", "transport": "JSONRPC"},
			map[string]any{"url": "https://harbour.example.org/grpc", "transport": "GRPC"},
		}
	}
	if v >= V025 {
		card["protocolVersion"] = string(v)
	}
	if v == V030 {
		at(card, "skills", 0)["security"] = []any{map[string]any{"key": []any{}}}
		at(card, "securitySchemes")["mtls"] = map[string]any{"type": "mutualTLS"}
	}
	return card
}

// at returns the object at a path.
func at(card map[string]any, path ...any) map[string]any {
	var here any = card
	for _, step := range path {
		switch step := step.(type) {
		case string:
			here = here.(map[string]any)[step]
		case int:
			here = here.([]any)[step]
		}
	}
	return here.(map[string]any)
}

// marshal writes a card; its fields are in the order of the alphabet.
func marshal(t testing.TB, card map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// judged validates a card as one of a version.
func judged(t testing.TB, card map[string]any, v Version) Result {
	t.Helper()
	return Validate(marshal(t, card), Options{Version: v})
}

// decoded reads a card.
func decoded(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var card map[string]any
	if err := json.Unmarshal(text, &card); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return card
}
