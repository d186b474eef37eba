package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

type runView struct {
	ID        string  `json:"id"`
	SessionID string  `json:"session_id"`
	Status    string  `json:"status"`
	Summary   *string `json:"summary"`
	Error     *string `json:"error"`
	Credits   int     `json:"credits"`
}

func (r runView) ended() bool { return r.Status == "completed" || r.Status == "failed" }

// runPoll is how often a run is looked at of which nothing is heard.
const runPoll = 300 * time.Millisecond

func runCommand() *cobra.Command {
	var background string
	var detach bool
	cmd := &cobra.Command{
		Use:   "run AGENT TASK",
		Short: "Give an agent a task and wait for its outcome",
		Long: `Give an agent, named by its id or its name, a task. What it does is shown as it happens, on standard error; its summary is printed at the
end. The exit code is 0 when the run is completed, 1 when it failed, and 4 when it waits for a person's approval. A run goes on when this
command is interrupted, as long as a server is there to run it.`,
		Example: `  bureau run buyer "Renew the domain." --context "The budget owner is Ada."`,
		Args:    takes(2, "AGENT", "TASK"),
		RunE: working(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			path, err := c.agentPath(ctx, args[0], "/runs")
			if err != nil {
				return err
			}
			body := map[string]any{"task": args[1], "wait": 0}
			if background != "" {
				body["context"] = background
			}
			var run runView
			if err := c.call(ctx, "POST", path, body, &run); err != nil {
				return err
			}
			if detach {
				fmt.Fprintln(cmd.OutOrStdout(), run.ID)
				return nil
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s\n", run.ID)
			talk := &conversation{c: c, out: cmd.ErrOrStderr(), session: run.SessionID}
			if _, err := talk.show(ctx, "GET", talk.path("/events/stream?replay=1&include=chunks"), nil); err != nil && ctx.Err() == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "Its session cannot be followed: %v\n", err) // a key for agents may have no right to sessions
			}
			if run, err = awaitRun(ctx, c, path+"/"+url.PathEscape(run.ID)); err != nil {
				return err
			}
			return tellRun(cmd, args[0], run)
		}),
	}
	cmd.Flags().StringVar(&background, "context", "", "what else the agent is told, as `TEXT`")
	cmd.Flags().BoolVar(&detach, "detach", false, "print the run's id and do not wait; needs a server that runs it")
	return cmd
}

// awaitRun returns a run when it has ended or waits for a person.
func awaitRun(ctx context.Context, c *client, path string) (runView, error) {
	tick := time.NewTicker(runPoll)
	defer tick.Stop()
	for {
		var run runView
		if err := c.call(ctx, "GET", path, nil, &run); err != nil || run.Status != "running" {
			return run, err
		}
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-tick.C:
		}
	}
}

// tellRun prints the outcome of a run; one that is not completed is an error.
func tellRun(cmd *cobra.Command, agent string, run runView) error {
	switch {
	case !run.ended():
		return exitError{fmt.Errorf("the run waits for an approval; `bureau chat %s --session %s` asks for it", agent, run.SessionID), exitWaiting}
	case run.Status == "failed":
		why := "the run failed"
		if run.Error != nil {
			why += ": " + *run.Error
		}
		return errors.New(why)
	}
	if run.Summary != nil {
		fmt.Fprintln(cmd.OutOrStdout(), *run.Summary)
	}
	if run.Credits > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d credits\n", run.Credits)
	}
	return nil
}
