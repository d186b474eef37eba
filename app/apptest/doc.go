// Package apptest runs a whole Bureau inside a test: every service on SQLite or Postgres, the API behind a test server, an admin key,
// and a client that fails the test instead of returning errors. Embedders test with it what they give to app.New.
//
//	s := apptest.Start(t, apptest.Config{Options: []app.Option{app.WithLLM(mine)}})
//	var agent struct{ ID string }
//	s.Admin.Call("POST", "/v1/agents", map[string]any{"name": "buyer", "model": "offline"}, &agent)
package apptest
