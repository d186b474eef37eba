package main

import (
	"context"
	"encoding/json"
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

// hostingView is how an agent is hosted.
type hostingView struct {
	AgentID       string  `json:"agent_id"`
	Status        string  `json:"status"`
	NeedsRestart  bool    `json:"needs_restart"`
	Region        string  `json:"region"`
	LastError     *string `json:"last_error"`
	ErrorCategory *string `json:"error_category"`
	StartedAt     *string `json:"started_at"`
}

// hostingFlags are the settings of hosting that an agent can be made with and that can be changed later.
type hostingFlags struct{ region, config, program, limits, avatar string }

func (f *hostingFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.region, "region", "", "the `REGION` that it is said to be in: us, eu")
	flags.StringVar(&f.config, "hosting-config", "", "an object of your own, as `JSON` or @FILE; llmProvider in it chooses whose key answers")
	flags.StringVar(&f.program, "program", "", "a program of the agent's own, as `JSON` or @FILE; none is Bureau's worker")
	flags.StringVar(&f.limits, "limits", "", "limits as `JSON` or @FILE, such as {\"memory\":268435456,\"cpu\":500}; what is left out is the server's default")
	flags.StringVar(&f.avatar, "avatar-url", "", "`URL` of a picture")
	_ = cmd.RegisterFlagCompletionFunc("region", cobra.FixedCompletions([]string{"us", "eu"}, cobra.ShellCompDirectiveNoFileComp))
}

// body returns what was given, by its names in the API.
func (f *hostingFlags) body() (map[string]any, error) {
	body := map[string]any{}
	if f.region != "" {
		body["region"] = f.region
	}
	if f.avatar != "" {
		body["avatar_url"] = f.avatar
	}
	for _, v := range []struct{ name, flag, value string }{
		{"config", "hosting-config", f.config}, {"program", "program", f.program}, {"limits", "limits", f.limits},
	} {
		switch {
		case v.value == "":
			continue
		case v.name == "program" && v.value == "none":
			body[v.name] = nil
			continue
		}
		raw, err := jsonArgument(v.value)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", v.flag, err)
		}
		body[v.name] = raw
	}
	return body, nil
}

// jsonArgument reads an argument that is JSON, or @ and the name of a file that holds some.
func jsonArgument(text string) (json.RawMessage, error) {
	raw := []byte(text)
	if name, ok := strings.CutPrefix(text, "@"); ok {
		var err error
		if raw, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%s is not JSON", shorten(oneLine(text)))
	}
	return raw, nil
}

// errNoServer is returned by commands about instances that run.
var errNoServer = errors.New("hosted agents run while a server does: start one with `bureau serve`, or name one with --url")

// hosted wraps an action that needs a server that lasts longer than the command.
func hosted(fn action) func(*cobra.Command, []string) error {
	return with(func(cmd *cobra.Command, c *client, args []string) error {
		if c.alone {
			return errNoServer
		}
		return fn(cmd, c, args)
	})
}

// settleEvery is how often an agent is looked at that starts or stops for longer than a call waits.
const settleEvery = 500 * time.Millisecond

// settled returns how an agent is hosted once it neither starts nor stops.
func settled(ctx context.Context, c *client, agent string, h hostingView) (hostingView, error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for h.Status == "provisioning" || h.Status == "starting" || h.Status == "stopping" {
		select {
		case <-ctx.Done():
			return h, ctx.Err()
		case <-tick.C:
		}
		if err := c.call(ctx, "GET", "/v1/agents/"+url.PathEscape(agent)+"/hosting", nil, &h); err != nil {
			return h, err
		}
	}
	return h, nil
}

// broken is why an agent does not run, or nil.
func (h hostingView) broken(ref string) error {
	if h.Status != "error" {
		return nil
	}
	return fmt.Errorf("%s does not run (%s): %s; `bureau agent logs %s` may say more", ref, orDash(h.ErrorCategory), orDash(h.LastError), ref)
}

// agentRuns makes the commands start, stop and restart.
func agentRuns(use, short, long string) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: use + " AGENT", Short: short, Args: takes(1, "AGENT"),
		Long:    long + ` The command waits until it has come to that, and ends with 1 when the agent is in error. AGENT is an id or a name.`,
		Example: "  bureau agent " + use + " atlas",
		RunE: hosted(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			agent, err := c.agentID(ctx, args[0])
			if err != nil {
				return err
			}
			var h hostingView
			if err := c.call(ctx, "POST", "/v1/agents/"+url.PathEscape(agent)+"/"+use, nil, &h); err != nil {
				return err
			}
			if h, err = settled(ctx, c, agent, h); err != nil {
				return err
			}
			if raw {
				var whole map[string]any
				if err := c.call(ctx, "GET", "/v1/agents/"+url.PathEscape(agent)+"/hosting", nil, &whole); err != nil {
					return err
				}
				if err := printJSON(cmd.OutOrStdout(), whole); err != nil {
					return err
				}
				return h.broken(args[0])
			}
			if err := h.broken(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", h.Status, h.AgentID)
			return nil
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write how it is hosted as JSON")
	return cmd
}

func agentHosting() *cobra.Command {
	var f hostingFlags
	cmd := &cobra.Command{
		Use: "hosting AGENT", Short: "Show or change how an agent is hosted", Args: takes(1, "AGENT"),
		Long: `Show how an agent is hosted, or change it: what no flag names stays. A running agent gets the change by a restart only; needs_restart
says so. With --program an agent is a program of its own, which speaks OpenAI's chat completions or A2A.`,
		Example: `  bureau agent hosting atlas
  bureau agent hosting atlas --limits '{"memory":268435456}'
  bureau agent hosting atlas --program '{"image":"example/agent:1","port":8000,"protocol":"openai","network":{"mode":"public"}}'
  bureau agent hosting atlas --program none`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body, err := f.body()
			if err != nil {
				return err
			}
			path, err := c.agentPath(cmd.Context(), args[0], "/hosting")
			if err != nil {
				return err
			}
			method, in := "GET", any(nil)
			if len(body) > 0 {
				method, in = "PATCH", body
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), method, path, in, &answer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), answer)
		}),
	}
	f.flags(cmd)
	return cmd
}

func agentStatus() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "status AGENT", Short: "See whether a hosted agent runs, and what it uses", Args: takes(1, "AGENT"),
		Long: fmt.Sprintf(`See whether a hosted agent runs, since when, and what its program uses of the machine. The exit code is 0 when it runs, %d when it does
not. AGENT is an id or a name.`, exitStopped),
		Example: "  bureau agent status atlas\n  bureau agent status atlas --json | jq .resources.memory",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			path, err := c.agentPath(ctx, args[0], "")
			if err != nil {
				return err
			}
			var h hostingView
			if err := c.call(ctx, "GET", path+"/hosting", nil, &h); err != nil {
				return err
			}
			var now json.RawMessage
			if err := c.call(ctx, "GET", path+"/status", nil, &now); err != nil {
				return err
			}
			if raw {
				err = printJSON(cmd.OutOrStdout(), now)
			} else {
				err = printStatus(cmd.OutOrStdout(), h, now)
			}
			if err == nil && h.Status != "running" {
				return exitError{fmt.Errorf("%s does not run", args[0]), exitStopped}
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write it as JSON")
	return cmd
}

func printStatus(w io.Writer, h hostingView, now json.RawMessage) error {
	var s struct {
		Instance string
		Live     bool
		Source   string
		Channels []struct {
			Name    string
			Problem *string
		}
		Resources *struct {
			Memory      int64
			MemoryLimit int64   `json:"memory_limit"`
			CPUPercent  float64 `json:"cpu_percent"`
			Processes   int
		}
	}
	if err := json.Unmarshal(now, &s); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	rows := [][]string{{"agent", h.AgentID}, {"status", h.Status}, {"instance", s.Instance}}
	if s.Source == "cache" {
		rows[2][1] += " (as another server saw it last)"
	}
	if h.StartedAt != nil {
		rows = append(rows, []string{"started", *h.StartedAt})
	}
	if r := s.Resources; r != nil && s.Live {
		rows = append(rows, []string{"memory", mebibytes(r.Memory) + " of " + mebibytes(r.MemoryLimit)},
			[]string{"cpu", strconv.FormatFloat(r.CPUPercent, 'f', 1, 64) + " % of a core"}, []string{"processes", strconv.Itoa(r.Processes)})
	}
	for _, ch := range s.Channels {
		state := "nothing is known to be wrong"
		if ch.Problem != nil {
			state = oneLine(*ch.Problem)
		}
		rows = append(rows, []string{ch.Name, state})
	}
	if h.LastError != nil {
		rows = append(rows, []string{"last error", oneLine(*h.LastError)}, []string{"category", orDash(h.ErrorCategory)})
	}
	if h.NeedsRestart {
		rows = append(rows, []string{"needs restart", "yes: it was changed since it was started"})
	}
	return printTable(w, rows[0], rows[1:])
}

func mebibytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// logView is a line of an agent's log.
type logView struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

func agentLogs() *cobra.Command {
	var tail int
	var live, raw bool
	cmd := &cobra.Command{
		Use: "logs AGENT", Short: "Show a hosted agent's log", Args: takes(1, "AGENT"),
		Long: `Show the end of a hosted agent's log: what its program writes, and turns, tools and errors. With --follow it goes on until Ctrl-C, over
restarts of the agent. Secrets are masked. AGENT is an id or a name.`,
		Example: "  bureau agent logs atlas --tail 20\n  bureau agent logs atlas --follow\n  bureau agent logs atlas --json | jq 'select(.level == \"error\")'",
		RunE: hosted(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			show := func(line []byte) error { return printLog(cmd.OutOrStdout(), line, raw) }
			rest := "/logs"
			if live {
				rest += "/stream"
			}
			path, err := c.agentPath(ctx, args[0], rest+"?tail="+strconv.Itoa(tail))
			if err != nil {
				return err
			}
			if live {
				var failed error
				err := c.stream(ctx, "GET", path, nil, func(f frame) bool {
					failed = show(f.data)
					return failed == nil
				})
				switch {
				case ctx.Err() != nil:
					return nil //nolint:nilerr // Ctrl-C is how it ends
				case failed != nil || err != nil:
					return errors.Join(failed, err)
				}
				return errors.New("the server has ended the log; ask again when it is back")
			}
			var log struct{ Data []json.RawMessage }
			if err := c.call(ctx, "GET", path, nil, &log); err != nil {
				return err
			}
			for _, line := range log.Data {
				if err := show(line); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().IntVar(&tail, "tail", 100, "how many of the newest lines come first, at most 10000")
	cmd.Flags().BoolVarP(&live, "follow", "f", false, "go on with what comes")
	cmd.Flags().BoolVar(&raw, "json", false, "write lines as JSON")
	return cmd
}

func printLog(w io.Writer, line []byte, raw bool) error {
	if raw {
		_, err := fmt.Fprintf(w, "%s\n", line)
		return err
	}
	var l logView
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	_, err := fmt.Fprintf(w, "%s  %-5s  %s\n", l.Time.Format(time.DateTime), l.Level, printable(l.Text))
	return err
}

// printable takes from a text what would move a terminal's cursor or change its colours: whoever wrote it is not whoever reads it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
