package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

func auditReplay() *cobra.Command {
	return &cobra.Command{
		Use: "replay FILE ENTRY", Short: "Make a decision of an exported trail once more, offline", Args: takes(2, "FILE", "ENTRY"),
		Long: `Make the decision that an entry of an exported trail notes once more: of the act, the counters and the rules' verdicts that it notes, and of
the policies in their versions, which are in the trail, too. It needs nothing but the file, and verifies that first.

The exit code is 2 when the trail is broken or the decision comes out differently.`,
		Example: "  bureau audit replay trail.jsonl ae_01h...",
		RunE: func(cmd *cobra.Command, args []string) error {
			entry, err := id.Parse[id.AuditEntryKind](args[1])
			if f, ok := fault.As(err); ok {
				return fmt.Errorf("ENTRY: %s", f.Message)
			}
			text, err := readFileOr(cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			report, err := audit.VerifyExport(bytes.NewReader(text))
			if f, ok := fault.As(err); ok {
				return fmt.Errorf("%s: %s", args[0], f.Message)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !report.Valid {
				return exitError{fmt.Errorf("the trail is broken: %s", report.First), exitBroken}
			}
			r, err := replayExported(text, entry)
			if f, ok := fault.As(err); ok {
				return fmt.Errorf("%s", f.Message)
			}
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "then: %s\nnow:  %s\n", showDecided(r.Then), showDecided(r.Now))
			if len(r.Differences) == 0 {
				fmt.Fprintf(out, "the same, by %s\n", r.Basis)
				return nil
			}
			for _, d := range r.Differences {
				fmt.Fprintf(out, "%s: %q then, %q now\n", d.Field, d.Then, d.Now)
			}
			return exitError{fmt.Errorf("the decision comes out differently"), exitBroken}
		},
	}
}

func readFileOr(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

func showDecided(d policy.Decision) string {
	if d.Rule == "" {
		return string(d.Outcome)
	}
	return fmt.Sprintf("%s by %s: %s", d.Outcome, d.Rule, d.Reason)
}

// replayExported finds an entry of an export and the versions of policies that it names, and replays it.
func replayExported(text []byte, entry id.AuditEntry) (gate.Replayed, error) {
	var found audit.Entry
	versions := map[policy.PinnedVersion][]byte{}
	err := audit.EachExported(bytes.NewReader(text), func(e audit.Entry) error {
		switch {
		case e.ID == entry:
			found = e
		case e.Action == "policy_created" || e.Action == "policy_updated":
			if p, err := policy.FromNote(e.Metadata); err == nil {
				versions[policy.PinnedVersion{Policy: p.ID, Version: p.Version}] = e.Metadata
			}
		}
		return nil
	})
	if err != nil {
		return gate.Replayed{}, err
	}
	if found.ID.IsZero() {
		return gate.Replayed{}, id.NotFound[id.AuditEntryKind](entry.String())
	}
	return gate.Replay(found.Agent, found.Metadata, func(p id.Policy, version int) (policy.Policy, error) {
		note, ok := versions[policy.PinnedVersion{Policy: p, Version: version}]
		if !ok {
			return policy.Policy{}, id.NotFound[id.PolicyKind](p.String())
		}
		return policy.FromNote(note)
	})
}
