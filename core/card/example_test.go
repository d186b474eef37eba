package card_test

import (
	"fmt"

	"github.com/bureau-agents/bureau/core/card"
)

const planner = `{
  "protocolVersion": "0.3.0",
  "name": "Route planner",
  "description": "Plans delivery routes for small fleets.",
  "url": "https://agents.example.com/planner",
  "preferredTransport": "JSONRPC",
  "version": "1.4.2",
  "provider": {"organization": "Example Logistics", "url": "https://logistics.example.com"},
  "documentationUrl": "https://agents.example.com/planner/docs",
  "capabilities": {"streaming": true, "pushNotifications": false},
  "defaultInputModes": ["text"],
  "defaultOutputModes": ["text/plain"],
  "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
  "security": [{"key": []}],
  "skills": [{
    "id": "plan", "name": "Plan a route", "description": "Finds a short route through a list of addresses.",
    "tags": ["routing", "logistics"], "examples": ["Plan a tour through these five addresses."]
  }]
}`

func ExampleValidate() {
	result := card.Validate([]byte(planner), card.Options{})
	fmt.Println(result.Version, result.Valid, result.Score)
	for _, w := range result.Warnings {
		fmt.Printf("%d:%d %s: %s (%s)\n", w.Line, w.Column, w.Path, w.Message, w.Code)
	}
	for _, s := range result.Suggestions {
		fmt.Printf("%d points: %s: %s\n", s.Worth, s.Field, s.Text)
	}
	// Output:
	// 0.3.0 true 94
	// 11:25 defaultInputModes[0]: "text" is no media type; write "text/plain" (media_type)
	// 4 points: description: Describe in at least 40 characters what the agent does and for whom: it is what others choose it by
	// 2 points: defaultInputModes[0]: Write modes as media types, such as "text/plain" and "application/json"
}

func ExampleValidate_invalid() {
	result := card.Validate([]byte(`{"protocolVersion": "0.3.0", "name": "Planner", "skills": {}}`), card.Options{})
	fmt.Println(result.Valid, result.Score)
	for _, e := range result.Errors[:2] {
		fmt.Println(e.Pointer, e.Code)
	}
	fmt.Println(result.Marks[0].Criterion, result.Marks[0].Points, "of", result.Marks[0].Weight, "-", result.Marks[0].Reason)
	// Output:
	// false 14
	// /description required
	// /url required
	// valid 14 of 40 - The card has 7 errors
}

func ExampleWeights() {
	sum := 0
	for _, c := range card.Weights() {
		fmt.Println(c.Weight, c.Name)
		sum += c.Weight
	}
	fmt.Println(sum)
	// Output:
	// 40 valid
	// 8 description
	// 5 provider
	// 4 documentation
	// 8 addresses
	// 4 interfaces
	// 7 security
	// 3 capabilities
	// 4 modes
	// 5 skill_descriptions
	// 4 skill_tags
	// 4 skill_examples
	// 4 tidy
	// 100
}

func ExampleExplain() {
	code, _ := card.Explain("security_unknown_scheme")
	fmt.Println(code.Severity, code.Title)
	fmt.Println(code.Text)
	// Output:
	// warning A requirement of an undeclared scheme
	// A requirement names a scheme that securitySchemes does not have, so that no client can meet it.
}

func ExampleMigrate() {
	migration, err := card.Migrate([]byte(planner), card.V10)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range migration.Steps {
		fmt.Printf("%s %s: %s\n", s.Operation, s.Pointer, s.Text)
	}
	for _, d := range migration.Manual {
		fmt.Println("by hand:", d.Path, d.Blocking)
	}
	fmt.Println(card.Validate(migration.Card, card.Options{}).Version)
	// Output:
	// add /supportedInterfaces: 1.0 tells in one list, the preferred one first, where the agent is reached, by which binding and in which version
	// replace /securitySchemes/key: 1.0 says what a scheme is by the member that it is in, instead of by type
	// add /securityRequirements: security is called securityRequirements in 1.0, where scopes stand in a list of their own
	// remove /security: It is told by securityRequirements now
	// remove /url: It is told by supportedInterfaces now
	// remove /preferredTransport: It is told by supportedInterfaces now
	// remove /protocolVersion: It is told by supportedInterfaces now
	// by hand: supportedInterfaces false
	// 1.0
}

func ExampleMigrateHybrid() {
	migration, err := card.MigrateHybrid([]byte(planner))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, version := range []card.Version{card.V030, card.V10} {
		fmt.Println(version, card.Validate(migration.Card, card.Options{Version: version}).Valid)
	}
	// Output:
	// 0.3.0 true
	// 1.0 true
}
