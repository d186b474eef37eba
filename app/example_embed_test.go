package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
)

// A program that embeds Bureau: it makes an agent and asks it to pay. Without a policy an agent may talk and may not pay.
func Example_embed() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bureau-example-")
	check(err)
	defer os.RemoveAll(dir)

	a, err := app.New(ctx, app.Config{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	check(err)
	check(a.Start(ctx))
	defer func() { check(a.Stop(ctx)) }()

	me := a.Scope()
	buyer, err := a.Agents.Create(ctx, me, agent.Config{Name: "buyer", Model: agent.Model{ID: "offline"}})
	check(err)
	talk, err := a.Sessions.Create(ctx, me, session.CreateRequest{Agent: buyer.ID})
	check(err)
	stream, err := a.Sessions.Stream(ctx, me, talk.ID, session.StreamOptions{})
	check(err)
	defer stream.Close()
	_, err = a.Sessions.Send(ctx, me, talk.ID, []session.Input{{
		Type: session.UserMessage, Content: session.Text("Pay 20 USDC to vendor.example for the renewal"),
	}})
	check(err)
	for frame, err := range stream.Frames(ctx) {
		check(err)
		if e := frame.Event; e != nil {
			fmt.Println(e.Type)
			if e.Type == session.SessionIdle {
				break
			}
		}
	}
	// Output:
	// user.message
	// session.status_running
	// span.model_request_start
	// agent.tool_use
	// span.model_request_end
	// agent.tool_result
	// span.model_request_start
	// agent.message
	// span.model_request_end
	// session.usage
	// session.status_idle
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
