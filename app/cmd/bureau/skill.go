package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func skillCommand() *cobra.Command {
	return group("skill", "Browse, review and quarantine skills", skillList(), skillShow(), skillPrompt(), skillIngest(), skillReviews(),
		skillDecide("approve", "Put what an agent has handed in on the market",
			`Put the last version of a skill that an agent has handed in on the market. For users who are linked to the agent, and for administrators. What
the security scan calls malicious only an administrator may approve, with --accept-risk and --reason.`),
		skillDecide("deny", "Keep what an agent has handed in from the market, or take it off",
			`Keep the last version of a skill that an agent has handed in from the market. With the --sha256 of what is on the market it is taken off;
agents that have it keep it.`),
		skillQuarantine(), skillRelease(), skillScan())
}

func skillPath(skill, rest string) string { return "/v1/skills/" + url.PathEscape(skill) + rest }

func skillList() *cobra.Command {
	var search, kind, category, tag, sort string
	kinds, orders := []string{"plugin", "instructions", "structured"}, []string{"newest", "installs"}
	cmd := &cobra.Command{
		Use: "list [TEXT]", Aliases: []string{"ls", "search"}, Short: "List what the marketplace offers", Args: takes(0, "TEXT"),
		Long: `List what the marketplace offers, newest first: plugins, instructions, and structured skills that agents have handed in and somebody has
approved. "bureau agent install" gives one to an agent, by its id, its handle or a plugin's name. TEXT is the same as --search.`,
		Example: "  bureau skill list\n  bureau skill search slack --kind structured --sort installs",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if len(args) > 0 {
				if search != "" {
					return misused(cmd, errors.New("TEXT and --search say the same: give one"))
				}
				search = args[0]
			}
			q := url.Values{}
			for name, value := range map[string]string{"search": search, "kind": kind, "category": category, "tag": tag, "sort": sort} {
				if value != "" {
					q.Set(name, value)
				}
			}
			offers, err := pages[struct {
				ID, Kind, Key, Summary string
				Version                *string
				Installs               int
			}](cmd, c, "/v1/marketplace/skills?"+q.Encode())
			if err != nil {
				return err
			}
			rows := make([][]string, len(offers))
			for i, o := range offers {
				rows[i] = []string{o.ID, o.Kind, oneLine(o.Key), oneLine(orDash(o.Version)), strconv.Itoa(o.Installs), shorten(oneLine(o.Summary))}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "KIND", "KEY", "VERSION", "INSTALLS", "SUMMARY"}, rows)
		}),
	}
	cmd.Flags().StringVar(&search, "search", "", "only with this `TEXT` in the name, the key, the summary or the description")
	cmd.Flags().StringVar(&kind, "kind", "", "only of this `KIND`: "+strings.Join(kinds, ", "))
	cmd.Flags().StringVar(&category, "category", "", "only of this `CATEGORY`")
	cmd.Flags().StringVar(&tag, "tag", "", "only with this `TAG`")
	cmd.Flags().StringVar(&sort, "sort", "", "what comes first, an `ORDER`: newest (as without it), or installs for what most agents have")
	_ = cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(orders, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(kinds, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func orDash(s *string) string {
	if s == nil || *s == "" {
		return "-"
	}
	return *s
}

func skillShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SKILL", Short: "Show a skill of the marketplace", Args: takes(1, "SKILL"),
		Long:    "Show a skill of the marketplace, by its id, its handle or a plugin's name, with what it is made of and what the security scan found.",
		Example: "  bureau skill show skill_01h...\n  bureau skill show calculator",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var offer map[string]any
			if err := c.call(cmd.Context(), "GET", "/v1/marketplace/skills/"+url.PathEscape(args[0]), nil, &offer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), offer)
		}),
	}
}

func skillPrompt() *cobra.Command {
	return &cobra.Command{
		Use: "prompt SKILL", Short: "Write a text that gives a skill to another agent", Args: takes(1, "SKILL"),
		Long:    "Write a text that gives a skill of the marketplace to an agent elsewhere, when it is pasted there.",
		Example: "  bureau skill prompt skill_01h... | pbcopy",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var answer struct{ Prompt string }
			path := "/v1/marketplace/skills/" + url.PathEscape(args[0]) + "/install-prompt"
			if err := c.call(cmd.Context(), "GET", path, nil, &answer); err != nil {
				return err
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(answer.Prompt, "\n"))
			return err
		}),
	}
}

func skillIngest() *cobra.Command {
	return &cobra.Command{
		Use: "ingest FILE", Short: "Hand in skills of an agent", Args: takes(1, "FILE"),
		Long: `Hand in skills of an agent from a JSON file, or from standard input when FILE is '-', as POST /v1/skills/ingest takes it: agent_id and
skills. They wait for a review; "bureau skill reviews" lists them.`,
		Example: `  echo '{"agent_id":"agent_01h...","skills":[{"key":"greet","name":"Greet","category":"office","version":"1.0.0"}]}' | bureau skill ingest -`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.sendFile(cmd, "POST", "/v1/skills/ingest", args[0])
		}),
	}
}

type submissionView struct {
	ID      string  `json:"id"`
	AgentID string  `json:"agent_id"`
	Key     string  `json:"key"`
	Version *string `json:"version"`
	SHA256  string  `json:"sha256"`
	Status  string  `json:"status"`
	Scan    *struct {
		Verdict  string `json:"verdict"`
		Score    int    `json:"score"`
		Findings []struct {
			Code string `json:"code"`
		} `json:"findings"`
	} `json:"scan"`
}

func skillReviews() *cobra.Command {
	var status string
	statuses := []string{"pending", "approved", "denied"}
	cmd := &cobra.Command{
		Use: "reviews", Aliases: []string{"review"}, Short: "List what agents have handed in, with what the security scan says", Args: takes(0),
		Long: `List the skills that agents have handed in and that wait for a review, newest first: of the agents that the key is linked to, and of all
agents for an administrator. GET /v1/skills/review has them whole.`,
		Example: "  bureau skill reviews\n  bureau skill reviews --status denied",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			found, err := pages[submissionView](cmd, c, "/v1/skills/review?"+url.Values{"status": {status}}.Encode())
			if err != nil {
				return err
			}
			rows := make([][]string, len(found))
			for i, s := range found {
				verdict, score, codes := "not scanned", "", []string{}
				if s.Scan != nil {
					verdict, score = s.Scan.Verdict, strconv.Itoa(s.Scan.Score)
					for _, f := range s.Scan.Findings {
						codes = append(codes, f.Code)
					}
				}
				rows[i] = []string{s.ID, s.AgentID, oneLine(s.Key), oneLine(orDash(s.Version)), verdict, score, s.SHA256, shorten(strings.Join(codes, " "))}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "AGENT", "KEY", "VERSION", "VERDICT", "SCORE", "SHA256", "FINDINGS"}, rows)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "pending", "in which `STATUS`: "+strings.Join(statuses, ", "))
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statuses, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// skillDecide makes the commands approve and deny.
func skillDecide(name, short, long string) *cobra.Command {
	var sha, reason string
	var risk bool
	cmd := &cobra.Command{
		Use: name + " SKILL", Short: short, Args: takes(1, "SKILL"), Long: long,
		Example: "  bureau skill " + name + " skill_01h... --sha256 5891b5b5... --reason 'as we agreed'",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"digest": strings.ToLower(sha), "reason": reason}
			if name == "approve" {
				body["accept_risk"] = risk
			}
			var s submissionView
			if err := c.call(cmd.Context(), "POST", skillPath(args[0], "/"+name), body, &s); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s %s\n", s.Status, s.ID, oneLine(s.Key), oneLine(orDash(s.Version)))
			return nil
		}),
	}
	cmd.Flags().StringVar(&sha, "sha256", "", "what you have seen, in `HEX`: another content is refused")
	cmd.Flags().StringVar(&reason, "reason", "", "the `WORDS` that stand in the audit trail")
	if name == "approve" {
		cmd.Flags().BoolVar(&risk, "accept-risk", false, "approve what the security scan calls malicious")
	}
	return cmd
}

func skillQuarantine() *cobra.Command {
	var sha, reason string
	cmd := &cobra.Command{
		Use: "quarantine SKILL", Short: "Pull a skill from every agent at once", Args: takes(1, "SKILL"),
		Long: `Pull a content of a skill from every agent at once, and say what it has touched: agents that have it, sessions that used it, payments that
these made afterwards. It is the content that the marketplace offers, unless --sha256 names another one, such as an older version that agents
have pinned. "bureau skill release" ends it.`,
		Example: "  bureau skill quarantine skill_01h... --reason 'it sends what it reads to a stranger'",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if reason == "" {
				return misused(cmd, fmt.Errorf("--reason is missing: it stands in the audit trail, and whoever finds the skill refused reads it"))
			}
			var report struct {
				SHA256                     string
				Agents, Sessions, Payments int
				Moved                      []moneyView
			}
			body := map[string]any{"digest": strings.ToLower(sha), "reason": reason}
			if err := c.call(cmd.Context(), "POST", skillPath(args[0], "/quarantine"), body, &report); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "in quarantine: %s\nit has touched %d agents, %d sessions, %d payments", report.SHA256, report.Agents,
				report.Sessions, report.Payments)
			for i, m := range report.Moved {
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s", []string{" of", ","}[min(i, 1)], m.Amount, m.Currency)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return nil
		}),
	}
	cmd.Flags().StringVar(&sha, "sha256", "", "the content, in `HEX`; default: what the marketplace offers, or was handed in last")
	cmd.Flags().StringVar(&reason, "reason", "", "the `WORDS` that stand in the audit trail (required)")
	return cmd
}

func skillRelease() *cobra.Command {
	var sha string
	cmd := &cobra.Command{
		Use: "release SKILL", Short: "Let agents use a skill in quarantine again", Args: takes(1, "SKILL"),
		Long:    "Let agents use a skill in quarantine again: all its contents, or the one that --sha256 names. For administrators.",
		Example: "  bureau skill release skill_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path := skillPath(args[0], "/quarantine")
			if sha != "" {
				path += "?" + url.Values{"digest": {strings.ToLower(sha)}}.Encode()
			}
			if err := c.call(cmd.Context(), "DELETE", path, nil, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "released", args[0])
			return nil
		}),
	}
	cmd.Flags().StringVar(&sha, "sha256", "", "the content, in `HEX`; default: all")
	return cmd
}
