package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/session"
)

// A program that gives an agent a file and a sandbox without network, has it run a command there, and reads what it has made.
func Example_sandbox() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bureau-example-")
	check(err)
	defer os.RemoveAll(dir)

	a, err := app.New(ctx, app.Config{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
	check(err)
	check(a.Start(ctx))
	defer func() { check(a.Stop(ctx)) }()

	me := a.Scope()
	closed, err := a.Environments.Create(ctx, me, environment.Patch{
		Name: new("closed"), Config: &environment.ConfigPatch{Networking: &environment.NetworkingPatch{Type: new(environment.Limited)}},
	})
	check(err)
	notes, err := a.Files.Create(ctx, me, file.New{Name: "notes.txt"}, strings.NewReader("the word is heron\n"))
	check(err)
	clerk, err := a.Agents.Create(ctx, me, agent.Config{
		Name: "clerk", Model: agent.Model{ID: "offline"},
		Tools: []agent.Tool{{Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true}}},
	})
	check(err)
	talk, err := a.Sessions.Create(ctx, me, session.CreateRequest{
		Agent: clerk.ID, Environment: closed.ID,
		Resources: []session.NewResource{{Type: session.ResourceFile, File: notes.ID, Mount: "/mnt/session/uploads/notes.txt"}},
	})
	check(err)
	fmt.Println(answer(ctx, a.Sessions, me, talk.ID,
		"Run the command `cd /mnt/session && tr a-z A-Z < uploads/notes.txt | tee outputs/loud.txt`"))

	made, err := a.Files.List(ctx, me, file.ListRequest{Session: talk.ID})
	check(err)
	for _, f := range made.Items {
		_, content, err := a.Files.Open(ctx, me, f.ID)
		check(err)
		text, err := io.ReadAll(content)
		check(err)
		check(content.Close())
		fmt.Printf("%s: %s", f.Name, text)
	}
	// Output:
	// The bash tool answered: THE WORD IS HERON.
	// loud.txt: THE WORD IS HERON
}
