package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/card"
)

// The codes of what the command itself has to say about a card.
const (
	codeLegacyPath  = "legacy_path"
	codeMinScore    = "min_score"
	codeNoSignature = "signature_required"
	codeSuggestion  = "suggestion"
)

// ownCodes explains them.
var ownCodes = []card.Code{
	{
		Code: codeMinScore, Severity: card.SeverityError, Title: "The score is too low",
		Text: "The card's score is below what --min-score asks for. --explain shows what it lost points for, --suggestions what would bring most.",
	},
	{
		Code: codeNoSignature, Severity: card.SeverityError, Title: "No trusted signature",
		Text: "--require-signature asks for a signature by one of the keys of --keys that is in order, and the card has none.",
	},
	{
		Code: codeLegacyPath, Severity: card.SeverityWarning, Title: "Served at the old path only", Source: "A2A 0.3.0, 5.3",
		Text: "A card of A2A 0.3.0 or later was found only at /.well-known/agent.json, where cards were before. Clients of today look at " +
			"/.well-known/agent-card.json: serve it there, and at the old path too for as long as there are older clients.",
	},
}

// cardCodes are all codes that validate writes: those of the validator, and its own. Errors come first.
func cardCodes() []card.Code {
	return slices.SortedFunc(slices.Values(slices.Concat(card.Codes(), ownCodes)), func(a, b card.Code) int {
		return cmp.Or(strings.Compare(string(a.Severity), string(b.Severity)), strings.Compare(a.Code, b.Code))
	})
}

func cardExplain() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "explain [CODE...]", Aliases: []string{"codes"}, Short: "Explain what findings mean, and how to mend what they found",
		Long:    `Explain the codes that ` + "`bureau card validate`" + ` writes in brackets. Without one, all are listed.`,
		Example: "  bureau card explain required\n  bureau card explain\n  bureau card explain --json | jq -r .[].code",
		RunE: func(cmd *cobra.Command, args []string) error {
			all := cardCodes()
			chosen := all
			if len(args) > 0 {
				chosen = nil
			}
			for _, arg := range args {
				i := slices.IndexFunc(all, func(c card.Code) bool { return c.Code == strings.Trim(arg, "[]") })
				if i < 0 {
					return cardMisused(cmd, fmt.Errorf("no finding has the code %q%s", arg, nearCode(all, arg)))
				}
				chosen = append(chosen, all[i])
			}
			out := cmd.OutOrStdout()
			switch {
			case raw:
				return printJSON(out, encodeCodes(chosen))
			case len(args) == 0:
				rows := make([][]string, len(chosen))
				for i, c := range chosen {
					rows[i] = []string{c.Code, string(c.Severity), c.Title}
				}
				return printTable(out, []string{"CODE", "SEVERITY", "WHAT"}, rows)
			}
			for i, c := range chosen {
				if i > 0 {
					fmt.Fprintln(out)
				}
				fmt.Fprintf(out, "%s (%s): %s\n\n%s\n", c.Code, c.Severity, c.Title, wrapped(c.Text, 100))
				if c.Source != "" {
					fmt.Fprintf(out, "\nSource: %s\n", c.Source)
				}
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, c := range cardCodes() {
				out = append(out, c.Code+"\t"+c.Title)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print a JSON array")
	return cmd
}

// nearCode proposes codes that have a part of what was asked for.
func nearCode(all []card.Code, asked string) string {
	var near []string
	for _, c := range all {
		if asked != "" && (strings.Contains(c.Code, asked) || strings.Contains(asked, c.Code)) {
			near = append(near, c.Code)
		}
	}
	if len(near) == 0 {
		return "; `bureau card explain` lists them"
	}
	return "; there are " + strings.Join(near, ", ")
}

// wrapped breaks a text between words, into lines of so many characters.
func wrapped(text string, width int) string {
	var b strings.Builder
	room := width
	for i, word := range strings.Fields(text) {
		n := columns(word)
		switch {
		case i > 0 && n+1 > room:
			b.WriteByte('\n')
			room = width
		case i > 0:
			b.WriteByte(' ')
			room--
		}
		b.WriteString(word)
		room -= n
	}
	return b.String()
}

type codeWire struct {
	Code     string        `json:"code"`
	Severity card.Severity `json:"severity"`
	Title    string        `json:"title"`
	Text     string        `json:"text"`
	Source   string        `json:"source"`
}

func encodeCodes(codes []card.Code) []codeWire {
	out := make([]codeWire, len(codes))
	for i, c := range codes {
		out[i] = codeWire{c.Code, c.Severity, c.Title, c.Text, c.Source}
	}
	return out
}

func cardWeights() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "weights", Short: "Show what scores are made of", Args: cardTakes(0),
		Long: "Show the criteria that give a card its score, and how many of the 100 points each gives. `bureau card validate --explain` shows what\n" +
			"a card was given.",
		Example: "  bureau card weights\n  bureau card weights --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			weights := card.Weights()
			if raw {
				out := make([]weightWire, len(weights))
				for i, w := range weights {
					out[i] = weightWire(w)
				}
				return printJSON(cmd.OutOrStdout(), out)
			}
			rows := make([][]string, 0, len(weights))
			for _, w := range weights {
				for i, line := range strings.Split(wrapped(w.Text, 100), "\n") {
					if i == 0 {
						rows = append(rows, []string{w.Name, strconv.Itoa(w.Weight), line})
					} else {
						rows = append(rows, []string{"", "", line})
					}
				}
			}
			return printTable(cmd.OutOrStdout(), []string{"CRITERION", "POINTS", "FOR"}, rows)
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print a JSON array")
	return cmd
}

type weightWire struct {
	Name   string `json:"criterion"`
	Weight int    `json:"weight"`
	Text   string `json:"text"`
}
