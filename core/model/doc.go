// Package model chooses the language model that a handle means.
//
// A handle is what an agent's configuration names: "offline", "" for the server's default, a model that a configured provider
// serves, or "provider/model". A handle that nothing resolves runs on the default model and says so, rather than failing an
// agent that was set up for another server.
package model
