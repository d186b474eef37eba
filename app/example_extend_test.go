package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// caller is a model that takes every message for the name of a tool and its input, and repeats what the tool answers.
type caller struct{}

func (caller) Name() string { return "caller" }

func (caller) Generate(_ context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	last := req.Messages[len(req.Messages)-1].Blocks[0]
	answer := llm.Response{Model: "caller-1", StopReason: llm.StopEnd, Usage: llm.Usage{Input: 1, Output: 1}}
	if last.ToolResult != nil {
		answer.Blocks = []llm.Block{{Text: last.ToolResult.Text}}
	} else {
		name, input, _ := strings.Cut(last.Text, " ")
		answer.StopReason = llm.StopToolUse
		answer.Blocks = []llm.Block{{ToolUse: &llm.ToolUse{ID: "1", Name: name, Input: json.RawMessage(input)}}}
	}
	return func(yield func(llm.Event, error) bool) {
		if text := answer.Blocks[0].Text; text != "" && !yield(llm.Event{Text: text}, nil) {
			return
		}
		yield(llm.Event{Response: &answer}, nil)
	}
}

// A program that brings its own model, a tool and a rule. The SDK of plugins makes the latter two of Go types; here they run in this
// process.
func Example_extend() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bureau-example-")
	check(err)
	defer os.RemoveAll(dir)

	greet, err := sdk.Skill(sdk.SkillInfo{Name: "greet", Description: "Greets a person.", Idempotent: true},
		func(_ context.Context, in struct {
			Name string `json:"name"`
		}) (string, error) {
			return "Hello, " + in.Name + "!", nil
		}).Served()
	check(err)
	noCasinos, err := sdk.Rule(sdk.RuleInfo{Name: "no_casinos", Summary: "Denies payments to casinos.", Inputs: []string{sdk.InputPayee}},
		func(_ context.Context, _ struct{}, act sdk.Act) (sdk.Verdict, error) {
			if strings.HasPrefix(act.Payee, "casino.") {
				return sdk.Deny("%s is a casino", act.Payee), nil
			}
			return sdk.Allow(), nil
		}).Served()
	check(err)

	a, err := app.New(ctx, app.Config{DataDir: dir, Logger: slog.New(slog.DiscardHandler)},
		app.WithLLM(caller{}), app.WithTool(greet.Tool), app.WithRule("no_casinos", noCasinos.Rule))
	check(err)
	check(a.Start(ctx))
	defer func() { check(a.Stop(ctx)) }()

	me := a.Scope()
	clerk, err := a.Agents.Create(ctx, me, agent.Config{Name: "clerk", Model: agent.Model{ID: "default"}})
	check(err)
	hundred, err := sdk.ParseAmount("100", "USDC")
	check(err)
	_, err = a.Wallets.Deposit(ctx, me, wallet.DepositRequest{Agent: clerk.ID, Amount: hundred})
	check(err)
	_, err = a.Policies.Create(ctx, me, policy.CreateRequest{
		Scope: policy.Scope{Agent: clerk.ID}, Rules: []policy.RuleRef{{Plugin: "no_casinos"}},
	})
	check(err)
	talk, err := a.Sessions.Create(ctx, me, session.CreateRequest{Agent: clerk.ID})
	check(err)
	for _, text := range []string{
		`greet {"name":"Ada"}`,
		`pay {"amount":"5","currency":"USDC","payee":"casino.example"}`,
	} {
		fmt.Println(answer(ctx, a.Sessions, me, talk.ID, text))
	}

	// The handler goes wherever a program's other handlers are.
	mux := http.NewServeMux()
	mux.Handle("/", a.Handler())
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", http.NoBody))
	fmt.Print(rec.Body)
	// Output:
	// Hello, Ada!
	// denied by no_casinos: casino.example is a casino
	// {"ok":true}
}

// answer sends a message and returns the text that ends the turn.
func answer(ctx context.Context, sessions *session.Service, sc account.Scope, talk id.Session, text string) string {
	stream, err := sessions.Stream(ctx, sc, talk, session.StreamOptions{})
	check(err)
	defer stream.Close()
	_, err = sessions.Send(ctx, sc, talk, []session.Input{{Type: session.UserMessage, Content: session.Text(text)}})
	check(err)
	var last struct{ Content []struct{ Text string } }
	for frame, err := range stream.Frames(ctx) {
		check(err)
		switch e := frame.Event; {
		case e == nil:
		case e.Type == session.AgentMessage:
			check(json.Unmarshal(e.Data, &last))
		case e.Type == session.SessionIdle:
			return last.Content[0].Text
		}
	}
	return ""
}
