// Package sdk is all that the author of a plugin needs: a skill for agents, or a rule for policies, as a program of its own.
//
//	func main() {
//		sdk.Serve(sdk.Skill(sdk.SkillInfo{
//			Name:        "greet",
//			Description: "Greets a person by name.",
//		}, greet))
//	}
//
//	type Greeting struct {
//		Name string `json:"name" jsonschema_description:"whom to greet"`
//	}
//
//	func greet(_ context.Context, in Greeting) (string, error) {
//		return "Hello, " + in.Name + "!", nil
//	}
//
// The JSON schema that a model sees comes from the input type's fields and tags. Package sdktest runs a plugin inside a test,
// over the same wire protocol as the server.
//
// A plugin runs as a process of the server's user, with an almost empty environment, no arguments and a memory limit. It is
// started at its first use and stopped when nobody has used it for a while, so it must keep nothing that matters in memory. What
// it prints on the standard error goes to the server's log. "bureau plugin new NAME" writes a module to begin with.
package sdk
