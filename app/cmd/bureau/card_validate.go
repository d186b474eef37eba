package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/card"
)

// The choices of flags, defaults first.
var (
	cardFormats = []string{"human", "json", "sarif", "github"}
	cardFailOns = []string{"errors", "warnings", "never"}
	cardColours = []string{"auto", "always", "never"}
)

// cardVersions are the versions that --version and --to take, newest first.
var cardVersions = []string{
	string(card.V10), string(card.V030), string(card.V026), string(card.V025), string(card.V024), string(card.V023), string(card.V022), string(card.V021),
	string(card.V020),
}

// cardRules is what a card has to come up to.
type cardRules struct {
	options   card.Options
	failOn    string
	minScore  int
	signature bool
}

// cardVerdict is what became of one card.
type cardVerdict struct {
	input    cardInput
	url      string // where it was found, of one from the web
	text     []byte // its text, while it is being shown
	result   card.Result
	failures []cardFailure // why it does not pass
	err      error         // it could not be read
}

// cardFailure is why a card does not pass: a code of ownCodes, or "errors" or "warnings".
type cardFailure struct{ Code, Message string }

// cardTotals counts what became of cards.
type cardTotals struct {
	cards, valid, failed, unread, errors, warnings int
}

// cardReporter writes verdicts as they come, and what is left when all have come.
type cardReporter interface {
	card(v cardVerdict) error
	end(t cardTotals) error
}

func cardValidate() *cobra.Command {
	var (
		format, failOn, colour, version, keys string
		rules                                 cardRules
		show                                  humanOptions
		reader                                cardReader
	)
	cmd := &cobra.Command{
		Use: "validate FILE|DIR|GLOB|URL|-...", Aliases: []string{"check", "lint"}, Short: "Say what is wrong with agent cards, and how good they are",
		Long: `Hold agent cards of A2A 0.2.0 to 0.2.6, 0.3.0 and 1.0 to the specification of their version. An error is what that forbids; a warning is what its
prose asks for, or what will hurt; suggestions are what would make a good card better. No server is needed.

  FILE   a card                          -     a card on standard input
  DIR    the files below it that end in .json and look like cards: named agent.json or agent-card.json, or with two of the keys
         capabilities, skills, defaultInputModes, defaultOutputModes, protocolVersion, supportedInterfaces. Hidden directories other than
         .well-known, node_modules and vendor are passed over
  GLOB   a pattern with *, ?, [] or **, which the command itself understands
  URL    a card's address, which ends in .json, or an agent's, below which /.well-known/agent-card.json and then /.well-known/agent.json are
         looked at. Private addresses are refused unless --allow-private names them

A card is held to the version that it declares, or to the one of --version. One that declares none is held to 1.0 when it has
supportedInterfaces, otherwise to 0.3.0, where the missing declaration is an error.

Exit codes:
  0   every card passes
  1   a card does not pass: by --fail-on, --min-score or --require-signature
  2   the command was misused, or a card could not be read; the others are judged nevertheless

Formats: human is for people; json is one document; sarif is SARIF 2.1.0, for code scanning; github is workflow commands, which GitHub shows beside
the lines. docs/cards.md describes them. Output is coloured on a terminal only, and not where NO_COLOR is set.`,
		Example: `  bureau card validate agent-card.json
  bureau card validate --suggestions --explain https://agent.example.com
  bureau card validate cards/ --fail-on warnings --min-score 80
  bureau card validate '**/agent-card.json' --format sarif > cards.sarif
  curl -s $URL/card.json | bureau card validate - --version 1.0`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cardMisused(cmd, errors.New("FILE is missing"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			rules.failOn = failOn
			rules.options.Now = time.Now()
			if err := errors.Join(rules.read(version, keys), reader.check()); err != nil {
				return cardMisused(cmd, err)
			}
			out := cmd.OutOrStdout()
			show.colour = colour == "always" || colour == "auto" && coloured(out)
			reader.stdin = cmd.InOrStdin()
			var reporter cardReporter
			switch format {
			case "json":
				reporter = &cardJSON{w: out, cards: []cardWire{}, unread: []unreadWire{}}
			case "sarif":
				reporter = newCardSARIF(out, show.suggestions)
			case "github":
				reporter = &cardGitHub{w: out, suggestions: show.suggestions}
			default:
				reporter = &cardHuman{w: out, humanOptions: show}
			}
			return validateCards(cmd.Context(), cmd.ErrOrStderr(), args, &reader, rules, reporter)
		},
	}
	f := cmd.Flags()
	choose(cmd, &format, "format", "how to write what was found: `FORMAT` human, json, sarif or github", cardFormats...)
	choose(cmd, &failOn, "fail-on", "what makes a card fail: `WHAT` is errors, warnings (and errors) or never", cardFailOns...)
	f.IntVar(&rules.minScore, "min-score", 0, "a card with a score below `N` (0 to 100) fails, too")
	f.StringVar(&version, "version", "", "hold cards to `V` whatever they declare: 0.2.0 to 0.2.6, 0.3.0, 1.0")
	f.StringVar(&keys, "keys", "", "verify signatures against the keys of `FILE`, a JWK Set")
	f.BoolVar(&rules.signature, "require-signature", false, "a card without a signature by one of --keys fails")
	f.StringArrayVar(&reader.private, "allow-private", nil, "reach the private address `HOST:PORT`; may be repeated")
	f.BoolVar(&show.explain, "explain", false, "show what the score is made of")
	f.BoolVar(&show.suggestions, "suggestions", false, "show what would make cards better, by what it would bring")
	f.BoolVarP(&show.quiet, "quiet", "q", false, "say nothing about cards that pass")
	f.IntVar(&show.most, "max-findings", 50, "show at most `N` findings of a card; 0 is all, as the other formats have them")
	choose(cmd, &colour, "color", "`WHEN` to colour: auto, always or never", cardColours...)
	_ = cmd.RegisterFlagCompletionFunc("version", cobra.FixedCompletions(cardVersions, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagFilename("keys", "json", "jwks")
	return cmd
}

// read takes the flags that need reading.
func (r *cardRules) read(version, keys string) error {
	if r.minScore < 0 || r.minScore > 100 {
		return errors.New("--min-score must be from 0 to 100")
	}
	if version != "" {
		if _, ok := card.ParseVersion(version); !ok {
			return fmt.Errorf("--version: %q is not one of %s", version, strings.Join(cardVersions, ", "))
		}
		r.options.Version = card.Version(version)
	}
	if keys == "" {
		if r.signature {
			return errors.New("--require-signature needs the keys that are trusted, in --keys")
		}
		return nil
	}
	set, err := readCardKeys(keys)
	if err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	r.options.Keys = set
	return nil
}

// validateCards judges what the arguments name, one card after the other, so that only one is in memory.
func validateCards(ctx context.Context, complain io.Writer, args []string, reader *cardReader, rules cardRules, reporter cardReporter) error {
	inputs, faults := cardInputs(args)
	var totals cardTotals
	for _, in := range inputs {
		v := judge(ctx, reader, in, rules)
		if ctx.Err() != nil {
			return errInterrupted
		}
		totals.add(v)
		if v.err != nil {
			fmt.Fprintf(complain, "bureau: %s: %v\n", visible(in.name), v.err)
		}
		if err := reporter.card(v); err != nil {
			return err
		}
	}
	for _, err := range faults {
		totals.unread++
		fmt.Fprintf(complain, "bureau: %v\n", err)
		if err := reporter.card(cardVerdict{err: err}); err != nil {
			return err
		}
	}
	if err := reporter.end(totals); err != nil {
		return err
	}
	switch {
	case totals.unread > 0:
		return exitError{fmt.Errorf("%s could not be read", plural(totals.unread, "card")), exitCardUnread}
	case totals.failed > 0 && totals.cards == 1:
		return exitError{errors.New("the card does not pass"), exitCardFailed}
	case totals.failed > 0:
		return exitError{fmt.Errorf("%d of %d cards do not pass", totals.failed, totals.cards), exitCardFailed}
	}
	return nil
}

func (t *cardTotals) add(v cardVerdict) {
	if v.err != nil {
		t.unread++
		return
	}
	t.cards++
	if v.result.Valid {
		t.valid++
	}
	if len(v.failures) > 0 {
		t.failed++
	}
	t.errors += len(v.result.Errors)
	t.warnings += len(v.result.Warnings)
}

// judge reads a card and holds it to the rules.
func judge(ctx context.Context, reader *cardReader, in cardInput, rules cardRules) cardVerdict {
	v := cardVerdict{input: in}
	read, err := reader.read(ctx, in)
	if err != nil {
		v.err = err
		return v
	}
	v.text, v.url = read.text, read.url
	v.result = card.Validate(read.text, rules.options)
	r := &v.result
	if read.legacy && (r.Version == card.V030 || r.Version == card.V10) {
		r.Warnings = append([]card.Finding{{
			Code: codeLegacyPath, Source: "A2A 0.3.0, 5.3", Line: 1, Column: 1,
			Message: "the card is at " + read.url + ", the path of versions before 0.3.0; serve it at /.well-known/agent-card.json, where clients of today look",
		}}, r.Warnings...)
	}
	fail := func(code, format string, args ...any) {
		v.failures = append(v.failures, cardFailure{code, fmt.Sprintf(format, args...)})
	}
	if n := len(r.Errors); n > 0 && rules.failOn != "never" {
		fail("errors", "it has %s", plural(n, "error"))
	}
	if n := len(r.Warnings); n > 0 && rules.failOn == "warnings" {
		fail("warnings", "it has %s", plural(n, "warning"))
	}
	if r.Score < rules.minScore {
		fail(codeMinScore, "its score is %d, less than the %d that --min-score asks for", r.Score, rules.minScore)
	}
	if rules.signature && !trusted(r.Signatures) {
		fail(codeNoSignature, "it has no signature by one of the trusted keys")
	}
	return v
}

func trusted(signatures []card.SignatureVerdict) bool {
	for _, s := range signatures {
		if s.State == card.SignatureTrusted {
			return true
		}
	}
	return false
}
