package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
)

func demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the main job against a fresh temporary server",
		Long: `Make an agent, give it a wallet, a policy with a rule in a process of its own, a skill and some knowledge; talk to it; and watch it use
the skill, pay a vendor, wait for an approval, be stopped by the daily limit and answer from its knowledge. Then check the books and
the audit trail. Everything happens offline in a temporary directory; settings do not matter.`,
		Example: "  bureau demo\n  bureau demo --keep",
		Args:    takes(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "bureau-demo-")
			if err != nil {
				return err
			}
			if keep {
				defer fmt.Fprintf(cmd.OutOrStdout(), "\nThe data is kept in %s\n", dir)
			} else {
				defer os.RemoveAll(dir)
			}
			var s settings
			s.DataDir, s.CheckoutDir = filepath.Join(dir, "data"), os.Getenv("BUREAU_SOURCE")
			s.APIKey = account.NewSecret() // nobody needs it, so it is not shown
			c, err := inProcess(cmd, s, true)
			if err == nil {
				defer c.close()
				err = (&demo{c: c, out: cmd.OutOrStdout(), dir: dir}).play(cmd.Context())
			}
			if err != nil && cmd.Context().Err() != nil {
				return errInterrupted
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the temporary directory and name it")
	return cmd
}

// demo is one performance.
type demo struct {
	c     *client
	out   io.Writer
	dir   string
	step  int
	agent string
	talk  *conversation
}

func (d *demo) play(ctx context.Context) error {
	for _, act := range []func(context.Context) error{
		d.makeAgent, d.fund, d.govern, d.equip, d.teach, d.converse, d.books, d.trail,
	} {
		if err := act(ctx); err != nil {
			return fmt.Errorf("step %d: %w", d.step, err)
		}
	}
	return nil
}

// title begins a step.
func (d *demo) title(format string, args ...any) {
	d.step++
	fmt.Fprintf(d.out, "\n%d. %s\n", d.step, fmt.Sprintf(format, args...))
}

func (d *demo) note(format string, args ...any) { fmt.Fprintf(d.out, "   "+format+"\n", args...) }

func (d *demo) path(rest string) string { return "/v1/agents/" + url.PathEscape(d.agent) + rest }

func (d *demo) makeAgent(ctx context.Context) error {
	d.title("An agent")
	var made agentView
	if err := d.c.call(ctx, "POST", "/v1/agents", map[string]any{
		"name": "buyer", "model": "offline", "system": "You buy what the marketing team needs.",
	}, &made); err != nil {
		return err
	}
	d.agent = made.ID
	d.note("%s, version %d, standing %s, model %s", made.ID, made.Version, made.Standing, made.Model.ID)
	return nil
}

// moneyView is an amount in answers.
type moneyView struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// String returns "20.00 USDC".
func (m moneyView) String() string { return m.Amount + " " + m.Currency }

func usdc(amount string) moneyView { return moneyView{amount, "USDC"} }

func (d *demo) fund(ctx context.Context) error {
	d.title("Its wallet")
	if err := d.c.call(ctx, "POST", d.path("/wallet/deposits"), map[string]any{"amount": usdc("100.00"), "description": "budget"}, nil); err != nil {
		return err
	}
	return d.wallet(ctx)
}

func (d *demo) wallet(ctx context.Context) error {
	var w struct {
		Balance   moneyView `json:"balance"`
		Held      moneyView `json:"held"`
		Available moneyView `json:"available"`
	}
	if err := d.c.call(ctx, "GET", d.path("/wallet"), nil, &w); err != nil {
		return err
	}
	d.note("balance %s, held %s, available %s", w.Balance, w.Held, w.Available)
	return nil
}

func (d *demo) govern(ctx context.Context) error {
	d.title("Its policy: at most 50 at once and 60 a day; a plugin rule asks a person from 30 on")
	if err := d.waitForPlugins(ctx, "approval_threshold", "calculator"); err != nil {
		return err
	}
	var made struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	}
	if err := d.c.call(ctx, "POST", "/v1/policies", map[string]any{
		"scope":  map[string]any{"agent_id": d.agent},
		"limits": map[string]any{"max_per_transaction": usdc("50"), "daily_limit": usdc("60")},
		"rules":  []any{map[string]any{"plugin": "approval_threshold", "config": map[string]any{"threshold": "30", "currency": "USDC"}}},
	}, &made); err != nil {
		return err
	}
	d.note("%s, version %d", made.ID, made.Version)
	return nil
}

// waitForPlugins waits until the shipped plugins are there: from a checkout they are compiled at the first start.
func (d *demo) waitForPlugins(ctx context.Context, names ...string) error {
	began := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	said := false
	for {
		var plugins struct {
			Data []struct {
				Name  string `json:"name"`
				State string `json:"state"`
			} `json:"data"`
		}
		if err := d.c.call(ctx, "GET", "/v1/plugins", nil, &plugins); err != nil {
			return err
		}
		ready := 0
		for _, p := range plugins.Data {
			for _, name := range names {
				if p.Name == name && p.State == "ready" {
					ready++
				}
			}
		}
		if ready == len(names) {
			return nil
		}
		if time.Since(began) > 5*time.Minute {
			return errors.New("the shipped plugins are not there after five minutes; see `bureau plugin list`")
		}
		if !said && time.Since(began) > time.Second {
			d.note("building the shipped plugins, once per source ...")
			said = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (d *demo) equip(ctx context.Context) error {
	d.title("A skill, in a process of its own")
	var installed map[string]any
	if err := d.c.call(ctx, "POST", d.path("/skills"), map[string]any{"skill_id": "calculator"}, &installed); err != nil {
		return err
	}
	d.note("calculator is installed, pinned by digest")
	return nil
}

func (d *demo) teach(ctx context.Context) error {
	d.title("Some knowledge; the second text says what the first says")
	var result struct {
		Stored        int `json:"stored"`
		Skipped       int `json:"skipped"`
		SkippedChunks []struct {
			Index      int     `json:"index"`
			Similarity float64 `json:"similarity"`
		} `json:"skipped_chunks"`
	}
	if err := d.c.call(ctx, "POST", "/v1/knowledge/ingest", map[string]any{"agent_id": d.agent, "chunks": []any{
		map[string]any{"text": "Refunds are granted within 30 days of the purchase, to the card that was charged.", "source": "handbook.md"},
		map[string]any{"text": "Refunds are granted within 30 days of the purchase, to the card that was charged!", "source": "faq.md"},
		map[string]any{"text": "The marketing workspace renews SendGrid every March; Sarah Chen owns the budget.", "source": "budget.md"},
	}}, &result); err != nil {
		return err
	}
	d.note("stored %d, skipped %d", result.Stored, result.Skipped)
	for _, s := range result.SkippedChunks {
		d.note("chunk %d is a twin: cosine similarity %.4f", s.Index, s.Similarity)
	}
	return nil
}

// lines are what is said in the demo, and what the person who approves answers.
var lines = []struct{ title, message, answers string }{
	{"A question that the skill answers", "What is 17 * 23?", ""},
	{"A payment within the limits", "Pay 20 USDC to vendor.example for the SendGrid renewal", ""},
	{"A payment that a person must approve", "Please send 35 USDC to vendor.example for the yearly plan", "y\n"},
	{"A payment over the daily limit", "Pay 10 USDC to vendor.example for one more seat", ""},
	{"A question that the knowledge answers", "Within how many days are refunds granted?", ""},
}

func (d *demo) converse(ctx context.Context) error {
	for _, l := range lines {
		d.title("%s", l.title)
		d.note("> %s", l.message)
		if d.talk == nil {
			d.talk = &conversation{c: d.c, echo: true}
			if err := d.talk.open(ctx, d.agent, &hostedChat{}); err != nil {
				return err
			}
		}
		indented := &indent{out: d.out}
		d.talk.out, d.talk.in = indented, readInput(strings.NewReader(l.answers))
		began := time.Now()
		if err := d.talk.say(ctx, l.message); err != nil {
			return err
		}
		d.note("(%s)", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// indent writes three spaces before every line.
type indent struct {
	out  io.Writer
	open bool
}

// Write implements io.Writer.
func (i *indent) Write(p []byte) (int, error) {
	var b strings.Builder
	for _, c := range string(p) {
		if !i.open {
			b.WriteString("   ")
			i.open = true
		}
		b.WriteRune(c)
		if c == '\n' {
			i.open = false
		}
	}
	if _, err := io.WriteString(i.out, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *demo) books(ctx context.Context) error {
	d.title("The books")
	if err := d.wallet(ctx); err != nil {
		return err
	}
	var moves struct {
		Data []struct {
			Kind         string    `json:"kind"`
			Amount       moneyView `json:"amount"`
			Payee        *string   `json:"payee"`
			Description  string    `json:"description"`
			BalanceAfter moneyView `json:"balance_after"`
		} `json:"data"`
	}
	if err := d.c.call(ctx, "GET", d.path("/wallet/transactions"), nil, &moves); err != nil {
		return err
	}
	for _, m := range moves.Data {
		payee := "-"
		if m.Payee != nil && *m.Payee != "" {
			payee = *m.Payee
		}
		d.note("%-8s %12s  %-16s %-24s balance %s", m.Kind, m.Amount, payee, m.Description, m.BalanceAfter)
	}
	var sums struct {
		Groups []struct {
			Key          string    `json:"key"`
			Calls        int64     `json:"api_calls"`
			TokensInput  int64     `json:"tokens_input"`
			TokensOutput int64     `json:"tokens_output"`
			Cost         moneyView `json:"computed_cost"`
		} `json:"groups"`
	}
	if err := d.c.call(ctx, "GET", "/v1/usage/summary?agent_id="+url.QueryEscape(d.agent)+"&group_by=model", nil, &sums); err != nil {
		return err
	}
	for _, g := range sums.Groups {
		d.note("model %s: %d calls, %d tokens in, %d out, cost %s", g.Key, g.Calls, g.TokensInput, g.TokensOutput, g.Cost)
	}
	return nil
}

func (d *demo) trail(ctx context.Context) error {
	d.title("The audit trail, exported and verified offline")
	res, err := d.c.request(ctx, "GET", "/v1/audit/export", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	file, err := os.Create(filepath.Join(d.dir, "trail.jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, res.Body); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	report, err := audit.VerifyExport(file)
	if err != nil {
		return err
	}
	if !report.Valid {
		return fmt.Errorf("the trail is broken: %s", report.First)
	}
	d.note("valid: %d entries, head %s", report.Count, report.Head)
	return nil
}
