package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/card"
)

func cardMigrate() *cobra.Command {
	var (
		to                               string
		write, patch, raw, hybrid, quiet bool
		reader                           cardReader
	)
	cmd := &cobra.Command{
		Use: "migrate FILE|URL|-", Short: "Bring an agent card to a newer version of A2A", Args: cardTakes(1, "FILE"),
		Long: `Bring a card of A2A 0.2 or 0.3 to 0.3.0 or 1.0. The migrated card goes to standard output, each change with its reason to standard error, and last
what a person has to decide. Nothing that the newer version can say is lost. Signatures are taken out, since they were made over another card.

With --hybrid the card becomes one of both 0.3.0 and 1.0: what 1.0 needs is put beside what clients of 0.3 read.

Exit codes: 0 the migrated card is valid; 1 it is not before a person has decided something; 2 the command was misused, or the card could not be
read or migrated.`,
		Example: `  bureau card migrate agent-card.json > agent-card-1.0.json
  bureau card migrate agent-card.json --hybrid --write
  bureau card migrate agent-card.json --to 0.3.0 --patch`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cardArgument(args[0])
			if write && in.file == "" {
				return cardMisused(cmd, fmt.Errorf("--write needs a file, and %s is none", args[0]))
			}
			if hybrid && cmd.Flags().Changed("to") && to != string(card.V10) {
				return cardMisused(cmd, errors.New("--hybrid makes a card of both 0.3.0 and 1.0: leave --to out"))
			}
			if write && patch || write && raw || patch && raw {
				return cardMisused(cmd, errors.New("of --write, --patch and --json only one can be had"))
			}
			if err := reader.check(); err != nil {
				return cardMisused(cmd, err)
			}
			reader.stdin = cmd.InOrStdin()
			read, err := reader.read(cmd.Context(), in)
			if err != nil {
				return exitError{fmt.Errorf("%s: %w", in.name, err), exitCardUnread}
			}
			migrate := func() (card.Migration, error) { return card.Migrate(read.text, card.Version(to)) }
			if hybrid {
				migrate = func() (card.Migration, error) { return card.MigrateHybrid(read.text) }
			}
			m, err := migrate()
			if errors.Is(err, card.ErrNotObject) {
				err = fmt.Errorf("%s cannot be read as a card; `bureau card validate` says why", in.name)
			}
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			out := cmd.OutOrStdout()
			if !quiet && !raw {
				explainMigration(cmd.ErrOrStderr(), in.name, m, hybrid)
			}
			switch {
			case write:
				if len(m.Steps) > 0 {
					err = rewrite(in.file, m.Card)
				}
			case raw:
				err = printJSON(out, encodeMigration(m))
			case patch:
				var b bytes.Buffer
				if err = json.Indent(&b, m.Patch, "", "  "); err == nil {
					_, err = fmt.Fprintln(out, b.String())
				}
			default:
				_, err = out.Write(m.Card)
			}
			if err != nil {
				return exitError{err, exitCardUnread}
			}
			if n := blocking(m); n > 0 {
				return exitError{fmt.Errorf("the migrated card is not valid yet: %s to be made", plural(n, "decision")+is(n)), exitCardFailed}
			}
			return nil
		},
	}
	f := cmd.Flags()
	choose(cmd, &to, "to", "the version `V` to reach: 1.0 or 0.3.0", string(card.V10), string(card.V030))
	f.BoolVar(&hybrid, "hybrid", false, "keep what clients of 0.3 read beside what 1.0 has")
	f.BoolVarP(&write, "write", "w", false, "write the card back into FILE")
	f.BoolVar(&patch, "patch", false, "print a JSON Patch (RFC 6902) in place of the card")
	f.BoolVar(&raw, "json", false, "print card, patch, reasons and decisions as one JSON document")
	f.BoolVarP(&quiet, "quiet", "q", false, "do not explain the changes")
	f.StringArrayVar(&reader.private, "allow-private", nil, "reach the private address `HOST:PORT`; may be repeated")
	return cmd
}

// cardArgument is what an argument means where there is one card.
func cardArgument(arg string) cardInput {
	switch {
	case arg == "-":
		return cardInput{name: "<stdin>", uri: "stdin"}
	case isWeb(arg):
		return cardInput{name: arg, uri: arg, web: true}
	}
	return fileInput(arg)
}

func is(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

func blocking(m card.Migration) int {
	n := 0
	for _, d := range m.Manual {
		if d.Blocking {
			n++
		}
	}
	return n
}

// explainMigration tells people what is changed and what is left to them.
func explainMigration(w io.Writer, name string, m card.Migration, hybrid bool) {
	to := string(m.To)
	if hybrid {
		to += " beside " + string(card.V030)
	}
	fmt.Fprintf(w, "%s: A2A %s to %s, %s\n", visible(name), m.From, to, plural(len(m.Steps), "change"))
	for _, s := range m.Steps {
		source := ""
		if s.Source != "" {
			source = " (" + s.Source + ")"
		}
		fmt.Fprintf(w, "  %-7s %s: %s%s\n", s.Operation, visible(orCard(s.Path)), visible(s.Text), source)
	}
	if len(m.Manual) > 0 {
		fmt.Fprintln(w, "left for you to decide:")
	}
	for _, d := range m.Manual {
		must := ""
		if d.Blocking {
			must = " (the card is not valid without it)"
		}
		fmt.Fprintf(w, "  %s: %s%s\n", visible(orCard(d.Path)), visible(d.Text), must)
	}
}

func orCard(path string) string {
	if path == "" {
		return "the card"
	}
	return path
}

// rewrite replaces a file's content at once, so that nobody reads half of it, and keeps its owner and its mode. A link is followed.
func rewrite(file string, content []byte) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".bureau-card-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, giveTo(tmp, info), tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// The document of --json.
type (
	migrationWire struct {
		From   card.Version    `json:"from"`
		To     card.Version    `json:"to"`
		Card   json.RawMessage `json:"card"`
		Patch  json.RawMessage `json:"patch"`
		Steps  []stepWire      `json:"steps"`
		Manual []decisionWire  `json:"manual"`
	}
	stepWire struct {
		Operation string `json:"operation"`
		Path      string `json:"path"`
		Pointer   string `json:"pointer"`
		Text      string `json:"text"`
		Source    string `json:"source"`
	}
	decisionWire struct {
		Path     string `json:"path"`
		Pointer  string `json:"pointer"`
		Text     string `json:"text"`
		Blocking bool   `json:"blocking"`
	}
)

func encodeMigration(m card.Migration) migrationWire {
	out := migrationWire{From: m.From, To: m.To, Card: m.Card, Patch: m.Patch, Steps: []stepWire{}, Manual: []decisionWire{}}
	for _, s := range m.Steps {
		out.Steps = append(out.Steps, stepWire(s))
	}
	for _, d := range m.Manual {
		out.Manual = append(out.Manual, decisionWire(d))
	}
	return out
}
