// Command bureau serves the control plane and talks to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	err := root().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bureau: "+err.Error())
		if coded, ok := errors.AsType[exitError](err); ok {
			os.Exit(coded.code)
		}
		os.Exit(1)
	}
}

// exitError ends the program with a code of its own.
type exitError struct {
	error

	code int
}

// The exit codes that are not 1.
const (
	exitBroken      = 2   // what was verified is not what it should be
	exitUnsigned    = 3   // what vouches for it is not signed with the key that was given
	exitWaiting     = 4   // what was begun waits for a person
	exitStopped     = 5   // what was asked about does not run
	exitInterrupted = 130 // as shells have it
)

var errInterrupted = exitError{errors.New("interrupted"), exitInterrupted}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bureau",
		Short: "A self-hosted control plane for AI agents",
		Long: `Bureau registers agents, runs them, pays for them, governs every act of theirs, and shows what they did.

  bureau serve                 start the server (SQLite in ./data, offline model: nothing else is needed)
  bureau demo                  watch an agent use a skill, pay a vendor and be stopped by a policy
  bureau agent create NAME     make an agent
  bureau agent start AGENT     host it: it runs until it is stopped
  bureau chat AGENT            talk to it
  bureau knowledge add FILE    give it what it answers from
  bureau run AGENT TASK        give it a task
  bureau session log SESSION   read what happened
  bureau eval run FILE         see how well it does
  bureau events tail           watch what agents report
  bureau usage                 see what models cost

Commands other than serve work on the data directory: through the server that holds it, or by themselves when none does.
With --url and BUREAU_API_KEY they talk to a server anywhere.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          showHelp,
	}
	addFlags(cmd)
	cmd.PersistentFlags().String("url", "", "server to talk to, at `URL`, with BUREAU_API_KEY (BUREAU_URL; default: the data directory's)")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return misused(cmd, err) })
	cmd.AddCommand(serveCommand(), keyCommand(), tenantCommand(), agentCommand(), swarmCommand(), walletCommand(), usageCommand(), budgetCommand(), eventsCommand(), policyCommand(), approvalCommand(), reconcileCommand(), chatCommand(), runCommand(), sessionCommand(),
		knowledgeCommand(), fileCommand(), vaultCommand(), evalCommand(), auditCommand(), skillCommand(), pluginCommand(), webhookCommand(), cardCommand(), remoteCommand(), demoCommand(), versionCommand(), settingsTopic())
	complete(cmd)
	return cmd
}

// group makes a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: knownCommand, RunE: showHelp}
	cmd.AddCommand(children...)
	return cmd
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// knownCommand refuses what a group does not hold; cobra would show its help, and end well.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default comes too late for this
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("Did you mean %q? ", near[0])
	}
	return fmt.Errorf("%q is not a command of `%s`. %sSee `%s --help`", args[0], cmd.CommandPath(), hint, cmd.CommandPath())
}

// misused adds to an error how the command is used.
func misused(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w\n\nUsage:\n  %s\n\n`%s --help` says more", err, cmd.UseLine(), cmd.CommandPath())
}

// takes checks arguments by their names in the usage; those beyond the required ones may be left out.
func takes(required int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < required:
			return misused(cmd, fmt.Errorf("%s is missing", names[len(args)]))
		case len(args) > len(names):
			return misused(cmd, fmt.Errorf("%q is one argument too many", args[len(names)]))
		}
		return nil
	}
}
