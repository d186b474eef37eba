package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// document is one of an agent's documents in commands: soul, identity, workflow, or a rule.
type document struct {
	word  string // of the command
	title string
	rule  bool // the second argument is its name
}

// names of the arguments, before others.
func (d document) names(more ...string) []string {
	if d.rule {
		return append([]string{"AGENT", "RULE"}, more...)
	}
	return append([]string{"AGENT"}, more...)
}

// use is the line of a command's usage.
func (d document) use(verb, rest string) string {
	return strings.TrimRight(verb+" "+strings.Join(d.names(), " ")+" "+rest, " ")
}

func (d document) example(verb, rest string) string {
	line := "  bureau agent " + d.word + " " + verb + " atlas "
	if d.rule {
		line += "refunds "
	}
	return strings.TrimRight(line+rest, " ")
}

// split returns the agent, the rule's name and what follows.
func (d document) split(args []string) (agent, rule string, rest []string) {
	if d.rule {
		return args[0], args[1], args[2:]
	}
	return args[0], "", args[1:]
}

// documentState is a document as it is.
type documentState struct {
	Content, Hash string
	NeedsRestart  bool
}

// current is where a document is read and written, the body that writes it, and how an answer is read.
func (d document) current(rule, text, expected string) (rest string, body map[string]any, read func(map[string]any) documentState) {
	content, hash, expect := "content", "hash", "expected_hash"
	rest = "/rules/" + url.PathEscape(rule)
	switch d.word {
	case "soul":
		rest, content, hash = "/personality", "soul_md", "soul_md_hash"
	case "identity":
		rest, content, hash, expect = "/personality", "identity_md", "identity_md_hash", "identity_expected_hash"
	case "workflow":
		rest, content = "/workflow", "workflow_md"
	}
	body = map[string]any{content: text}
	if expected != "" {
		body[expect] = expected
	}
	return rest, body, func(answer map[string]any) (s documentState) {
		s.Content, _ = answer[content].(string)
		s.Hash, _ = answer[hash].(string)
		s.NeedsRestart, _ = answer["needs_restart"].(bool)
		return s
	}
}

// versions is where a document's former versions are.
func (d document) versions(rule string) string {
	if d.rule {
		return "/rules/" + url.PathEscape(rule) + "/versions"
	}
	return "/documents/" + d.word + "/versions"
}

// documentCommand makes the commands about a document.
func documentCommand(d document) *cobra.Command {
	children := []*cobra.Command{d.get(), d.set(), d.history(), d.restore()}
	if d.rule {
		children = append(children, d.list(), d.remove())
	}
	return group(d.word, "Read and write "+d.title, children...)
}

func (d document) get() *cobra.Command {
	var version int
	var raw bool
	cmd := &cobra.Command{
		Use: d.use("get", ""), Short: "Write " + d.title + " to standard output", Args: takes(len(d.names()), d.names()...),
		Long: "Write " + d.title + " to standard output, as it is or as a former version was. With --json its hash comes along, which --expected-hash of " +
			"set takes.",
		Example: d.example("get", "") + "\n" + d.example("get", "--version 2"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, rule, _ := d.split(args)
			rest, _, read := d.current(rule, "", "")
			if version > 0 {
				rest = d.versions(rule) + "/" + strconv.Itoa(version)
				_, _, read = document{word: "version"}.current("", "", "")
			}
			path, err := c.agentPath(cmd.Context(), agent, rest)
			if err != nil {
				return err
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), "GET", path, nil, &answer); err != nil {
				return err
			}
			if raw {
				return printJSON(cmd.OutOrStdout(), answer)
			}
			text := read(answer).Content
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		}),
	}
	cmd.Flags().IntVar(&version, "version", 0, "the version `NUMBER`, as history shows it")
	cmd.Flags().BoolVar(&raw, "json", false, "write it as JSON, with its hash")
	return cmd
}

func (d document) set() *cobra.Command {
	var text, expected string
	names := d.names("FILE")
	cmd := &cobra.Command{
		Use: d.use("set", "[FILE]"), Short: "Write " + d.title, Args: takes(len(names)-1, names...),
		Long: "Write " + d.title + ` from a file, from standard input when FILE is '-', or from --text. It prints the new hash. Former versions are kept. With
--expected-hash it fails when somebody else has written meanwhile. A running agent uses the change once it was restarted.`,
		Example: d.example("set", "notes.md") + "\n" + d.example("set", `--text "Answer in one sentence."`) + "\n" +
			d.example("set", "- --expected-hash 5891b5b5...  < notes.md"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, rule, rest := d.split(args)
			switch {
			case len(rest) == 1 && cmd.Flags().Changed("text"):
				return misused(cmd, errors.New("FILE and --text say the same: give one"))
			case len(rest) == 1:
				var err error
				if text, err = readText(cmd, rest[0]); err != nil {
					return err
				}
			case !cmd.Flags().Changed("text"):
				return misused(cmd, errors.New("FILE is missing"))
			}
			at, body, read := d.current(rule, text, expected)
			path, err := c.agentPath(cmd.Context(), agent, at)
			if err != nil {
				return err
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), "PUT", path, body, &answer); err != nil {
				return err
			}
			s := read(answer)
			fmt.Fprintln(cmd.OutOrStdout(), s.Hash)
			sayRestart(cmd, agent, s.NeedsRestart)
			return nil
		}),
	}
	cmd.Flags().StringVar(&text, "text", "", "the `TEXT` itself, in place of a file")
	cmd.Flags().StringVar(&expected, "expected-hash", "", "the `HASH` that you have seen: another is a conflict")
	return cmd
}

// readText reads a file, or standard input for "-".
func readText(cmd *cobra.Command, file string) (string, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(cmd.InOrStdin())
	} else {
		text, err = os.ReadFile(file)
	}
	return string(text), err
}

type versionView struct {
	Version   int       `json:"version"`
	Hash      string    `json:"hash"`
	Size      int       `json:"size"`
	CreatedAt time.Time `json:"created_at"`
	Deleted   bool      `json:"deleted"`
}

func (d document) history() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: d.use("history", ""), Short: "List the versions of " + d.title, Args: takes(len(d.names()), d.names()...),
		Long: "List the versions of " + d.title + ", newest first; the last 100 are kept.", Example: d.example("history", ""),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, rule, _ := d.split(args)
			path, err := c.agentPath(cmd.Context(), agent, d.versions(rule))
			if err != nil {
				return err
			}
			found, err := pages[versionView](cmd, c, path)
			if err != nil {
				return err
			}
			if raw {
				return printJSON(cmd.OutOrStdout(), found)
			}
			rows := make([][]string, len(found))
			for i, v := range found {
				size := strconv.Itoa(v.Size)
				if v.Deleted {
					size = "deleted"
				}
				rows[i] = []string{strconv.Itoa(v.Version), v.CreatedAt.Format(time.DateTime), size, v.Hash}
			}
			return printTable(cmd.OutOrStdout(), []string{"VERSION", "WRITTEN", "BYTES", "HASH"}, rows)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	return cmd
}

func (d document) restore() *cobra.Command {
	var expected string
	names := d.names("VERSION")
	cmd := &cobra.Command{
		Use: d.use("restore", "VERSION"), Short: "Take a former version of " + d.title + " back", Args: takes(len(names), names...),
		Long: "Make a former version of " + d.title + " the newest one. It prints the hash.", Example: d.example("restore", "2"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, rule, rest := d.split(args)
			if n, err := strconv.Atoi(rest[0]); err != nil || n < 1 {
				return fmt.Errorf("%q is not the number of a version; `bureau agent %s history` lists them", rest[0], d.word)
			}
			path, err := c.agentPath(cmd.Context(), agent, d.versions(rule)+"/"+rest[0]+"/restore")
			if err != nil {
				return err
			}
			body := map[string]any{}
			if expected != "" {
				body["expected_hash"] = expected
			}
			var answer struct {
				Hash         string `json:"hash"`
				NeedsRestart bool   `json:"needs_restart"`
			}
			if err := c.call(cmd.Context(), "POST", path, body, &answer); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), answer.Hash)
			sayRestart(cmd, agent, answer.NeedsRestart)
			return nil
		}),
	}
	cmd.Flags().StringVar(&expected, "expected-hash", "", "the `HASH` of the newest version that you have seen: another is a conflict")
	return cmd
}

func (document) list() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "list AGENT", Aliases: []string{"ls"}, Short: "List the rules of an agent", Args: takes(1, "AGENT"),
		Long:    "List the rules of an agent by name. Its prompt has the names; it reads a rule when it needs it.",
		Example: "  bureau agent rule list atlas",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.agentPath(cmd.Context(), args[0], "/rules")
			if err != nil {
				return err
			}
			var found struct {
				Data []struct {
					Name      string    `json:"name"`
					Size      int       `json:"size"`
					Hash      string    `json:"hash"`
					UpdatedAt time.Time `json:"updated_at"`
				}
			}
			if err := c.call(cmd.Context(), "GET", path, nil, &found); err != nil {
				return err
			}
			if raw {
				return printJSON(cmd.OutOrStdout(), found.Data)
			}
			rows := make([][]string, len(found.Data))
			for i, r := range found.Data {
				rows[i] = []string{r.Name, r.UpdatedAt.Format(time.DateTime), strconv.Itoa(r.Size), r.Hash}
			}
			return printTable(cmd.OutOrStdout(), []string{"NAME", "WRITTEN", "BYTES", "HASH"}, rows)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	return cmd
}

func (document) remove() *cobra.Command {
	return &cobra.Command{
		Use: "rm AGENT RULE", Aliases: []string{"delete"}, Short: "Delete a rule", Args: takes(2, "AGENT", "RULE"),
		Long: "Delete a rule. Its versions are kept, and restore takes one back.", Example: "  bureau agent rule rm atlas refunds",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.agentPath(cmd.Context(), args[0], "/rules/"+url.PathEscape(args[1]))
			if err != nil {
				return err
			}
			var answer struct {
				NeedsRestart bool `json:"needs_restart"`
			}
			if err := c.call(cmd.Context(), "DELETE", path, nil, &answer); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", args[1])
			sayRestart(cmd, args[0], answer.NeedsRestart)
			return nil
		}),
	}
}
