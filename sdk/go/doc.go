// Package valar is the client of Bureau's Valar-compatible API: agents, events, messages between agents, feedback, usage and cost, and the
// skill marketplace.
//
//	client, err := valar.New(valar.Config{BaseURL: "http://127.0.0.1:8080/compat/valar", APIKey: key})
//	agent, err := client.RegisterAgent(ctx, valar.NewAgent{Name: "my-bot"})
//	event, err := client.LogEvent(ctx, valar.NewEvent{AgentID: agent.ID, EventType: "task_started"})
//
// Ids are texts, and are taken in every spelling that Bureau knows. Times are in UTC. Costs are dollars, and nil where they are unknown.
//
// Lists come as pages, newest first; the methods that begin with All walk over all of them. Whatever fails is an [*Error], which errors.As
// finds, unless the context was done.
//
// Failed connections, 429 and 5xx are tried again, with growing pauses or after what Retry-After names. Every POST carries an idempotency
// key, so that one whose answer was lost is done once all the same.
//
// A [Batcher] logs events without making anybody wait.
package valar
