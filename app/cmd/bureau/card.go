package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of the commands that judge cards.
const (
	exitCardFailed = 1 // a card did not pass
	exitCardUnread = 2 // the command was misused, or a card could not be read
)

func cardCommand() *cobra.Command {
	cmd := group("card", "Check, migrate, sign and explain agent cards of A2A, without a server",
		cardValidate(), cardMigrate(), cardExplain(), cardWeights(), cardShow(), cardSign(), cardVerify(), cardKeygen())
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return cardMisused(cmd, err) })
	return cmd
}

// cardMisused is misused with the exit code by which scripts tell it from a card that fails.
func cardMisused(cmd *cobra.Command, err error) error {
	return exitError{misused(cmd, err), exitCardUnread}
}

// cardTakes is takes with that exit code.
func cardTakes(required int, names ...string) cobra.PositionalArgs {
	check := takes(required, names...)
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return exitError{err, exitCardUnread}
		}
		return nil
	}
}

// wordFlag is the value of a flag that takes one of some words.
type wordFlag struct {
	value   *string
	choices []string
}

func (o wordFlag) String() string { return *o.value }
func (o wordFlag) Type() string   { return "string" }

func (o wordFlag) Set(s string) error {
	for _, c := range o.choices {
		if s == c {
			*o.value = s
			return nil
		}
	}
	return errors.New("must be one of " + strings.Join(o.choices, ", "))
}

// choose adds a flag that takes one of some words, the first of which is the default, and has shells complete them.
func choose(cmd *cobra.Command, value *string, name, usage string, choices ...string) {
	*value = choices[0]
	cmd.Flags().Var(wordFlag{value, choices}, name, usage)
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

// plural is a number with what it counts.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
