package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/fault"
)

func auditCommand() *cobra.Command {
	return group("audit", "Export, sign, verify and replay the audit trail", auditExport(), auditCheckpoint(), auditKeys(), auditVerify(), auditReplay())
}

func auditExport() *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use: "export", Short: "Write the audit trail as JSON Lines to standard output", Args: takes(0),
		Long: `Write the default tenant's whole audit trail (with --url, the key's tenant's) as JSON Lines: a header that says how it must end, then an
entry on each line, in the order of the chain. With --after only what came later than that entry is written.`,
		Example: "  bureau audit export > trail.jsonl\n  bureau audit export --after 5000 > rest.jsonl",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			path := "/v1/audit/export"
			if after != 0 {
				path += "?" + url.Values{"after": {strconv.FormatInt(after, 10)}}.Encode()
			}
			res, err := c.request(cmd.Context(), "GET", path, nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			_, err = io.Copy(cmd.OutOrStdout(), res.Body)
			return err
		}),
	}
	cmd.Flags().Int64Var(&after, "after", 0, "begin behind the entry with this seq")
	return cmd
}

func auditCheckpoint() *cobra.Command {
	return &cobra.Command{
		Use: "checkpoint", Short: "Write a signed statement of how far the trail reaches", Args: takes(0),
		Long: `Write a checkpoint: the number of entries, the hash of the last one, the time, and the server's signature. Keep it where the server and
its operator cannot reach it. Later "bureau audit verify FILE --checkpoint CHECKPOINT" shows whether anything up to it was changed or
removed since, even by somebody who computed all hashes anew.`,
		Example: "  bureau audit checkpoint > 2026-07.checkpoint.json",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			var raw json.RawMessage
			if err := c.call(cmd.Context(), "GET", "/v1/audit/checkpoint", nil, &raw); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", strings.TrimSpace(string(raw)))
			return err
		}),
	}
}

func auditKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: "List the public keys by which checkpoints are verified", Args: takes(0),
		Long:    "List the public keys by which checkpoints are verified, the one that signs now first: its id, and 32 bytes in base64.",
		Example: "  bureau audit keys",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			var keys struct {
				Data []struct {
					ID        string `json:"id"`
					PublicKey string `json:"public_key"`
				} `json:"data"`
			}
			if err := c.call(cmd.Context(), "GET", "/v1/audit/keys", nil, &keys); err != nil {
				return err
			}
			for _, k := range keys.Data {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", k.ID, k.PublicKey)
			}
			return nil
		}),
	}
}

func auditVerify() *cobra.Command {
	var files, keys []string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check an exported trail, offline",
		Long: `Check that no entry of an exported trail was changed, removed or moved: each entry's hash is recomputed and must continue the one
before. It needs nothing but the file.

Somebody who holds the store can compute all hashes anew. A checkpoint that was taken before shows that: with --checkpoint, which may be
given several times, the trail must have the checkpoint's hash in its place. With --key the checkpoints' signatures are checked, too: the
public key in base64 or hex, or a file that holds it, as "bureau audit keys" wrote it at a time when the server was trusted.

The exit code is 2 when the trail is broken, and the first broken entry is named; it is 3 when a checkpoint is not signed with the key.`,
		Example: "  bureau audit verify trail.jsonl\n  bureau audit export | bureau audit verify -\n  bureau audit verify trail.jsonl --checkpoint 2026-07.checkpoint.json --key server.pub",
		Args:    takes(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			checkpoints, err := readCheckpoints(files, keys)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			report, err := audit.VerifyExport(in, checkpoints...)
			if f, ok := fault.As(err); ok {
				return fmt.Errorf("%s: %s", args[0], f.Message)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !report.Valid {
				return exitError{fmt.Errorf("the trail is broken: %s", report.First), exitBroken}
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "valid: %d entries, head %s\n", report.Count, report.Head)
			if report.After > 0 {
				fmt.Fprintf(out, "of these, the first %d are not in the file\n", report.After)
			}
			for i, c := range checkpoints {
				switch {
				case c.Count < report.After:
					fmt.Fprintf(out, "%s: not compared, the file begins after it\n", files[i])
				case len(keys) == 0:
					fmt.Fprintf(out, "%s: the trail has its %d entries; its signature was not checked, for want of --key\n", files[i], c.Count)
				default:
					fmt.Fprintf(out, "%s: the trail has its %d entries, and it is signed by %s\n", files[i], c.Count, c.KeyID)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&files, "checkpoint", nil, "a checkpoint that the trail must hold to")
	cmd.Flags().StringArrayVar(&keys, "key", nil, "the public key of checkpoints, or a file with it")
	return cmd
}

// readCheckpoints reads checkpoints and, when there are keys, demands that each is signed with one of them.
func readCheckpoints(files, keys []string) ([]audit.Checkpoint, error) {
	if len(keys) > 0 && len(files) == 0 {
		return nil, errors.New("--key is for --checkpoint")
	}
	var out []audit.Checkpoint
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		c, err := audit.ParseCheckpoint(text)
		if f, ok := fault.As(err); ok {
			return nil, fmt.Errorf("%s: %s", file, f.Message)
		}
		if err := signedByAny(c, keys); err != nil {
			return nil, exitError{fmt.Errorf("%s: %w", file, err), exitUnsigned}
		}
		out = append(out, c)
	}
	return out, nil
}

func signedByAny(c audit.Checkpoint, keys []string) error {
	var err error
	for _, text := range keys {
		if file, rerr := os.ReadFile(text); rerr == nil {
			text = string(file)
		}
		// A line of "bureau audit keys" names the key before it.
		if fields := strings.Fields(text); len(fields) > 0 {
			text = fields[len(fields)-1]
			if len(fields) > 1 && strings.HasPrefix(fields[0], "ed25519:") {
				text = fields[1]
			}
		}
		key, kerr := audit.ParsePublicKey(text)
		if kerr != nil {
			return fmt.Errorf("--key: %w", kerr)
		}
		if err = c.Verify(key); err == nil {
			return nil
		}
	}
	if f, ok := fault.As(err); ok {
		return errors.New(f.Message)
	}
	return err
}
