package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func knowledgeCommand() *cobra.Command {
	return group("knowledge", "Give agents texts and files to answer from, and search them", knowledgeAdd(), knowledgeIngest(), knowledgeList(),
		knowledgeSearch(), knowledgeRemove(), knowledgeReembedding())
}

// space is whose knowledge a command is about.
type space struct{ agent, swarm string }

func (s *space) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.agent, "agent", "", "of this `AGENT`, an id or a name; one in a swarm stands for the swarm")
	cmd.Flags().StringVar(&s.swarm, "swarm", "", "of this `SWARM`, an id or a slug")
}

// find returns the space as the API names it. Without a flag it is misuse, unless all will do.
func (s *space) find(cmd *cobra.Command, c *client, orAll bool) (url.Values, error) {
	q := url.Values{}
	switch {
	case s.agent != "" && s.swarm != "":
		return nil, misused(cmd, errors.New("--agent and --swarm contradict each other: give one"))
	case s.agent != "":
		agent, err := c.agentID(cmd.Context(), s.agent)
		if err != nil {
			return nil, err
		}
		q.Set("agent_id", agent)
	case s.swarm != "":
		path, err := c.swarmPath(cmd.Context(), s.swarm, "")
		if err != nil {
			return nil, err
		}
		swarm, err := url.PathUnescape(strings.TrimPrefix(path, "/v1/swarms/"))
		if err != nil {
			return nil, err
		}
		q.Set("swarm_id", swarm)
	case !orAll:
		return nil, misused(cmd, errors.New("--agent or --swarm is missing: whose knowledge it is"))
	}
	return q, nil
}

// bodyOf is a space in a body.
func bodyOf(q url.Values) map[string]any {
	body := map[string]any{}
	for name := range q {
		body[name] = q.Get(name)
	}
	return body
}

// ingested is what became of texts.
type ingested struct {
	Stored  int        `json:"stored"`
	Skipped int        `json:"skipped"`
	Total   int        `json:"total"`
	Chunks  []twinView `json:"skipped_chunks"`
	Kept    []twinView `json:"kept_variants"`
	Source  string     `json:"source,omitempty"`
	Deleted int        `json:"deleted,omitempty"`
}

type twinView struct {
	Index       int     `json:"index"`
	DuplicateOf string  `json:"duplicate_of"`
	Similarity  float64 `json:"similarity"`
}

func (r ingested) print(w io.Writer, source string) {
	fmt.Fprintf(w, "%s: stored %d of %d, twins skipped: %d", source, r.Stored, r.Total, r.Skipped)
	if r.Deleted > 0 {
		fmt.Fprintf(w, ", deleted: %d", r.Deleted)
	}
	fmt.Fprintln(w)
	for _, t := range r.Chunks {
		fmt.Fprintf(w, "  text %d is a twin of %s (%.4f)\n", t.Index+1, t.DuplicateOf, t.Similarity)
	}
	for _, t := range r.Kept {
		fmt.Fprintf(w, "  text %d has other numbers than %s (%.4f), and was stored\n", t.Index+1, t.DuplicateOf, t.Similarity)
	}
}

func knowledgeAdd() *cobra.Command {
	var of space
	var source, metadata string
	var replace, raw bool
	var size int
	cmd := &cobra.Command{
		Use: "add FILE...", Short: "Store whole files for agents to answer from", Args: takesMore("FILE"),
		Long: `Store whole Markdown, HTML, text or PDF files: each is uploaded, cut where its headings, paragraphs, lists and tables say, and the upload is
deleted. What is there already is skipped. With --replace what the file no longer says is deleted, so that a changed file can be added again.`,
		Example: "  bureau knowledge add handbook.md prices.pdf --agent atlas\n  bureau knowledge add handbook.md --swarm growth --replace",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			q, err := of.find(cmd, c, false)
			if err != nil {
				return err
			}
			if source != "" && len(args) > 1 {
				return misused(cmd, errors.New("--source names one file's entries: add the files one by one"))
			}
			body := bodyOf(q)
			for name, value := range map[string]any{"source": source, "replace": replace, "target_characters": size} {
				if value != "" && value != false && value != 0 {
					body[name] = value
				}
			}
			if metadata != "" {
				if body["metadata"], err = jsonArgument(metadata); err != nil {
					return fmt.Errorf("--metadata: %w", err)
				}
			}
			for _, file := range args {
				r, err := c.addFile(cmd.Context(), file, body)
				if err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				if !raw {
					r.print(cmd.OutOrStdout(), oneLine(r.Source))
				} else if err := printJSON(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	of.flags(cmd)
	cmd.Flags().StringVar(&source, "source", "", "what answers cite, a `TEXT`; default: the file's name")
	cmd.Flags().StringVar(&metadata, "metadata", "", "an object that every entry gets, as `JSON` or @FILE")
	cmd.Flags().BoolVar(&replace, "replace", false, "delete what is there from the source and the file no longer says")
	cmd.Flags().IntVar(&size, "size", 0, "how many `CHARACTERS` an entry should have, 200 to 4000 (default 1200)")
	cmd.Flags().BoolVar(&raw, "json", false, "write what became of each file as JSON")
	return cmd
}

// addFile uploads a file, has it stored as knowledge, and deletes the upload, whatever came of it.
func (c *client) addFile(ctx context.Context, name string, body map[string]any) (r ingested, err error) {
	f, err := os.Open(name)
	if err != nil {
		return r, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return r, errors.New("this is not a file")
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := c.call(ctx, "POST", "/v1/files", formOf(filepath.Base(name), f), &made); err != nil {
		return r, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if gone := c.call(ctx, "DELETE", "/v1/files/"+url.PathEscape(made.ID), nil, nil); gone != nil && err == nil {
			err = fmt.Errorf("it is stored, but the upload %s is still there: %w", made.ID, gone)
		}
	}()
	body["file_id"] = made.ID
	err = c.call(ctx, "POST", "/v1/knowledge/files", body, &r)
	return r, err
}

// mostChunks is how many texts a request may hold.
const mostChunks = 100

// chunkView is a text with where it is from.
type chunkView struct {
	Text     string          `json:"text"`
	Source   string          `json:"source"`
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

func knowledgeIngest() *cobra.Command {
	var of space
	var source, metadata string
	var raw, keep bool
	cmd := &cobra.Command{
		Use: "ingest TEXT...", Short: "Store texts for agents to answer from", Args: takesMore("TEXT"),
		Long: `Store texts of up to 4000 characters, each as one entry. With '-' they are read from standard input as JSON Lines:
{"text": ..., "source": ..., "metadata": {...}}. Twins of what is there are skipped and named. Every 100 texts are a request of their own,
which is stored whole or not at all.`,
		Example: `  bureau knowledge ingest "Refunds are granted within 30 days." --source handbook.md --agent atlas
  jq -c '{text: .answer, source: "faq"}' faq.jsonl | bureau knowledge ingest - --swarm growth`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			q, err := of.find(cmd, c, false)
			if err != nil {
				return err
			}
			chunks, err := readChunks(cmd, args, source, metadata)
			if err != nil {
				return err
			}
			all := ingested{Chunks: []twinView{}, Kept: []twinView{}}
			for from := 0; from < len(chunks); from += mostChunks {
				body := bodyOf(q)
				body["chunks"] = chunks[from:min(from+mostChunks, len(chunks))]
				if cmd.Flags().Changed("keep-numeric-variants") {
					body["keep_numeric_variants"] = keep
				}
				var r ingested
				if err := c.call(cmd.Context(), "POST", "/v1/knowledge/ingest", body, &r); err != nil {
					if from > 0 {
						return fmt.Errorf("the first %d texts are stored, those from text %d on are not: %w", from, from+1, err)
					}
					return err
				}
				all.add(r, from)
			}
			if raw {
				return printJSON(cmd.OutOrStdout(), all)
			}
			all.print(cmd.OutOrStdout(), "texts")
			return nil
		}),
	}
	of.flags(cmd)
	cmd.Flags().StringVar(&source, "source", "", "what answers cite, a `TEXT`; needed unless lines say it")
	cmd.Flags().StringVar(&metadata, "metadata", "", "an object of your own, as `JSON` or @FILE")
	cmd.Flags().BoolVar(&keep, "keep-numeric-variants", false, "whether to store texts that only their numbers tell from others (default: the server's setting)")
	cmd.Flags().BoolVar(&raw, "json", false, "write what became of them as JSON")
	return cmd
}

// add counts what became of a further request, whose texts begin after so many others.
func (r *ingested) add(more ingested, after int) {
	r.Stored, r.Skipped, r.Total = r.Stored+more.Stored, r.Skipped+more.Skipped, r.Total+more.Total
	for _, t := range more.Chunks {
		t.Index += after
		r.Chunks = append(r.Chunks, t)
	}
	for _, t := range more.Kept {
		t.Index += after
		r.Kept = append(r.Kept, t)
	}
}

func readChunks(cmd *cobra.Command, args []string, source, metadata string) ([]chunkView, error) {
	var about json.RawMessage
	if metadata != "" {
		var err error
		if about, err = jsonArgument(metadata); err != nil {
			return nil, fmt.Errorf("--metadata: %w", err)
		}
	}
	var chunks []chunkView
	for _, text := range args {
		if text != "-" {
			chunks = append(chunks, chunkView{text, source, about})
			continue
		}
		lines := bufio.NewScanner(cmd.InOrStdin())
		lines.Buffer(nil, maxInput)
		for n := 1; lines.Scan(); n++ {
			if strings.TrimSpace(lines.Text()) == "" {
				continue
			}
			one := chunkView{Source: source, Metadata: about}
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				return nil, fmt.Errorf(`line %d of standard input is not {"text": ..., "source": ...}`, n)
			}
			chunks = append(chunks, one)
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	for i, one := range chunks {
		if one.Source == "" {
			return nil, misused(cmd, fmt.Errorf("--source is missing: text %d says not where it is from", i+1))
		}
	}
	if len(chunks) == 0 {
		return nil, errors.New("standard input has no texts")
	}
	return chunks, nil
}

// entryView is an entry, of a search with its score.
type entryView struct {
	ID        string    `json:"id"`
	Text      string    `json:"text"`
	Source    string    `json:"source"`
	CreatedAt time.Time `json:"created_at"`
	Score     float64   `json:"score"`
}

func knowledgeList() *cobra.Command {
	var of space
	var source string
	var raw bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what agents answer from", Args: takes(0),
		Long:    "List the entries of an agent or a swarm, newest first. With --json each entry is written whole, one to a line.",
		Example: "  bureau knowledge list --agent atlas\n  bureau knowledge list --swarm growth --source handbook.md --json | jq -r .text",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q, err := of.find(cmd, c, false)
			if err != nil {
				return err
			}
			if source != "" {
				q.Set("source", source)
			}
			entries, err := pages[json.RawMessage](cmd, c, "/v1/knowledge?"+q.Encode())
			if err != nil {
				return err
			}
			if raw {
				return writeLines(cmd.OutOrStdout(), entries)
			}
			rows := make([][]string, len(entries))
			for i, line := range entries {
				var e entryView
				if err := json.Unmarshal(line, &e); err != nil {
					return fmt.Errorf("the server's answer cannot be read: %w", err)
				}
				rows[i] = []string{e.ID, e.CreatedAt.Format(time.DateTime), oneLine(e.Source), shorten(oneLine(e.Text))}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "ADDED", "SOURCE", "TEXT"}, rows)
		}),
	}
	of.flags(cmd)
	cmd.Flags().StringVar(&source, "source", "", "only of this `SOURCE`")
	cmd.Flags().BoolVar(&raw, "json", false, "write entries as JSON Lines")
	return cmd
}

func knowledgeSearch() *cobra.Command {
	var of space
	var mode, source, kind string
	var metadata []string
	var limit int
	var minScore float64
	var raw bool
	modes := []string{"semantic", "lexical", "hybrid"}
	cmd := &cobra.Command{
		Use: "search QUERY", Short: "Find the entries that answer a question", Args: takes(1, "QUERY"),
		Long: `Find the entries of an agent or a swarm that are most like a question, best first: by meaning (semantic), by words (lexical) or by both
(hybrid). Scores of different modes cannot be compared.`,
		Example: `  bureau knowledge search "How long are refunds granted?" --agent atlas
  bureau knowledge search "error E-4711" --mode hybrid --agent atlas --source manual.pdf --meta page=3`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			q, err := of.find(cmd, c, false)
			if err != nil {
				return err
			}
			body := bodyOf(q)
			body["query"], body["limit"], body["mode"] = args[0], limit, mode
			for name, value := range map[string]string{"source": source, "entry_type": kind} {
				if value != "" {
					body[name] = value
				}
			}
			if cmd.Flags().Changed("min-score") {
				body["min_score"] = minScore
			}
			about := map[string]string{}
			for _, m := range metadata {
				name, value, ok := strings.Cut(m, "=")
				if !ok {
					return misused(cmd, errors.New("--meta must be KEY=VALUE"))
				}
				about[name] = value
			}
			if len(about) > 0 {
				body["metadata"] = about
			}
			var found struct {
				Data        []json.RawMessage `json:"data"`
				Mode        string            `json:"mode"`
				Reembedding bool              `json:"reembedding"`
			}
			if err := c.call(cmd.Context(), "POST", "/v1/knowledge/search", body, &found); err != nil {
				return err
			}
			if raw {
				return writeLines(cmd.OutOrStdout(), found.Data)
			}
			if found.Reembedding {
				fmt.Fprintln(cmd.ErrOrStderr(), "It is being embedded anew and was searched by words; `bureau knowledge reembedding` shows how far it is")
			}
			for _, line := range found.Data {
				var e entryView
				if err := json.Unmarshal(line, &e); err != nil {
					return fmt.Errorf("the server's answer cannot be read: %w", err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%.4f  %s  %s\n    %s\n", e.Score, e.ID, oneLine(e.Source),
					strings.ReplaceAll(printable(strings.ReplaceAll(strings.TrimSpace(e.Text), "\n", "\t\t")), "\t\t", "\n    "))
			}
			if len(found.Data) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "Nothing was found")
			}
			return nil
		}),
	}
	of.flags(cmd)
	cmd.Flags().StringVar(&mode, "mode", "semantic", "by what, a `MODE`: "+strings.Join(modes, ", "))
	cmd.Flags().IntVar(&limit, "limit", 5, "how many at most, 1 to 100")
	cmd.Flags().StringVar(&source, "source", "", "only of this `SOURCE`")
	cmd.Flags().StringVar(&kind, "type", "", "only of this `TYPE`, which metadata say")
	cmd.Flags().StringArrayVar(&metadata, "meta", nil, "only with this in the metadata, `KEY=VALUE`, repeatable")
	cmd.Flags().Float64Var(&minScore, "min-score", 0, "in mode semantic, only from this similarity on, -1 to 1")
	cmd.Flags().BoolVar(&raw, "json", false, "write entries as JSON Lines")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(modes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func knowledgeRemove() *cobra.Command {
	var of space
	var source string
	var all, yes bool
	cmd := &cobra.Command{
		Use: "rm [ID]...", Aliases: []string{"delete"}, Short: "Delete entries", Args: cobra.ArbitraryArgs,
		Long: "Delete entries of an agent or a swarm: by their ids, all of a source, or, with --all and --yes, all.",
		Example: `  bureau knowledge rm know_01h... --agent atlas
  bureau knowledge rm --source handbook.md --agent atlas
  bureau knowledge rm --all --yes --swarm growth`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			q, err := of.find(cmd, c, false)
			if err != nil {
				return err
			}
			var each []url.Values
			one := func(name, value string) {
				query := maps.Clone(q)
				query.Set(name, value)
				each = append(each, query)
			}
			for _, id := range args {
				one("id", id)
			}
			if source != "" {
				one("source", source)
			}
			if all {
				if !yes {
					return misused(cmd, errors.New("--all deletes everything: say that you mean it with --yes"))
				}
				one("all", "true")
				each[len(each)-1].Set("confirm", "true")
			}
			if len(each) == 0 || all && len(each) > 1 {
				return misused(cmd, errors.New("say what to delete: ids, --source, or --all"))
			}
			deleted := 0
			for _, query := range each {
				var answer struct{ Deleted int }
				if err := c.call(cmd.Context(), "DELETE", "/v1/knowledge?"+query.Encode(), nil, &answer); err != nil {
					return err
				}
				deleted += answer.Deleted
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deleted %d\n", deleted)
			return nil
		}),
	}
	of.flags(cmd)
	cmd.Flags().StringVar(&source, "source", "", "all entries of this `SOURCE`")
	cmd.Flags().BoolVar(&all, "all", false, "all entries")
	cmd.Flags().BoolVar(&yes, "yes", false, "all are meant")
	return cmd
}

type progressView struct {
	AgentID *string `json:"agent_id"`
	SwarmID *string `json:"swarm_id"`
	State   string  `json:"state"`
	From    string  `json:"from"`
	To      string  `json:"to"`
	Total   int     `json:"total"`
	Done    int     `json:"done"`
	Twins   int     `json:"twins"`
	Error   *string `json:"error"`
}

func knowledgeReembedding() *cobra.Command {
	var of space
	var start, raw bool
	cmd := &cobra.Command{
		Use: "reembedding", Short: "Show how far entries have got vectors of the server's embedder", Args: takes(0),
		Long: `Show how far the re-embedding is, of all agents and swarms or of one. It begins by itself when the server has another embedder than the
entries come from; until it has ended they are searched by words. --start begins it at once for one agent or swarm.`,
		Example: "  bureau knowledge reembedding\n  bureau knowledge reembedding --agent atlas --start",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q, err := of.find(cmd, c, !start)
			if err != nil {
				return err
			}
			var found []json.RawMessage
			if start {
				var one json.RawMessage
				if err := c.call(cmd.Context(), "POST", "/v1/knowledge/reembedding", bodyOf(q), &one); err != nil {
					return err
				}
				found = append(found, one)
			} else if found, err = pages[json.RawMessage](cmd, c, "/v1/knowledge/reembedding?"+q.Encode()); err != nil {
				return err
			}
			if raw {
				return writeLines(cmd.OutOrStdout(), found)
			}
			rows := make([][]string, len(found))
			for i, line := range found {
				var p progressView
				if err := json.Unmarshal(line, &p); err != nil {
					return fmt.Errorf("the server's answer cannot be read: %w", err)
				}
				whose := p.AgentID
				if whose == nil {
					whose = p.SwarmID
				}
				rows[i] = []string{orDash(whose), p.State, fmt.Sprintf("%d/%d", p.Done, p.Total), strconv.Itoa(p.Twins), oneLine(p.From), oneLine(p.To), oneLine(orDash(p.Error))}
			}
			return printTable(cmd.OutOrStdout(), []string{"OF", "STATE", "DONE", "TWINS", "FROM", "TO", "ERROR"}, rows)
		}),
	}
	of.flags(cmd)
	cmd.Flags().BoolVar(&start, "start", false, "begin at once")
	cmd.Flags().BoolVar(&raw, "json", false, "write them as JSON Lines")
	return cmd
}
