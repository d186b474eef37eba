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
	err := root().ExecuteContext(ctx)
	stop()
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

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bureau",
		Short: "A self-hosted control plane for AI agents",
		Long: `Bureau registers agents, runs them, pays for them, governs every act of theirs, and shows what they did.

  bureau serve                 start the server (SQLite in ./data, offline model: nothing else is needed)
  bureau demo                  watch an agent use a skill, pay a vendor and be stopped by a policy
  bureau agent create NAME     make an agent
  bureau chat AGENT            talk to it

Commands other than serve work on the data directory: through the server that holds it, or by themselves when none does.
With --url (BUREAU_URL) and BUREAU_API_KEY they talk to a server anywhere.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	addFlags(cmd)
	cmd.PersistentFlags().String("url", "", "server to talk to, with BUREAU_API_KEY (BUREAU_URL; default: the data directory's)")
	cmd.AddCommand(serveCommand(), keyCommand(), tenantCommand(), agentCommand(), chatCommand(), auditCommand(),
		pluginCommand(), demoCommand(), versionCommand(), settingsTopic())
	return cmd
}
