// Command cards measures how fast agent cards are judged, by Bureau and by ajv in Node.js, over the same texts, in turns within one run.
//
// Both go from the bytes of a card to a verdict with all errors, on one core. Bureau finds the card's version, reads the text with its places,
// and answers with errors, warnings, a score and suggestions, each with a path, a line and a message. Ajv, which has compiled the JSON Schema of
// each version beforehand and is told which one to take, answers with its errors. It can also stop at the first error, which Bureau cannot. How
// long reading the texts alone takes in each language is measured as well.
//
// Figures are cards per second of processor time, helper threads such as those of garbage collectors included, so that they can be compared
// on a machine that has other work.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/bureau-agents/bureau/core/card"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	span := flag.Duration("time", 300*time.Millisecond, "processor time of each measurement")
	rounds := flag.Int("rounds", 3, "measurements of each figure, of which the median is told")
	modules := flag.String("modules", "", "`DIR` with ajv and the script that runs it")
	data := flag.String("data", "../../core/card/testdata", "`DIR` with cards and schemas")
	flag.Parse()
	if err := run(ctx, *modules, *data, *span, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "cards:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

func run(ctx context.Context, modules, data string, span time.Duration, rounds int) (err error) {
	runtime.GOMAXPROCS(1)
	dir, err := os.MkdirTemp("", "bureau-bench-cards-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	groups, err := corpus(data, dir)
	if err != nil {
		return err
	}
	other, err := startAjv(ctx, modules, data, dir, groups)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	for _, g := range groups {
		if err := compare(g, other); err != nil {
			return err
		}
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "corpus\tmode\tcards/s\tMB/s\tus/card\tfound/card\t")
	for _, g := range groups {
		if err := measureGroup(w, g, other, span, rounds); err != nil {
			return err
		}
	}
	return w.Flush()
}

// contender is one way to judge cards.
type contender struct {
	name    string
	measure func(group, time.Duration) (figures, error)
}

// figures are what a measurement counted.
type figures struct {
	Cards   int     `json:"cards"`
	Found   int     `json:"found"`
	Seconds float64 `json:"seconds"` // of processor time
}

func measureGroup(w io.Writer, g group, other *ajv, span time.Duration, rounds int) error {
	contenders := []contender{
		{"bureau: errors, warnings, score", func(g group, d time.Duration) (figures, error) { return measure(g, d, judge), nil }},
		{"ajv: all errors", other.measure("every")},
		{"ajv: first error only", other.measure("first")},
		{"reading alone, encoding/json", func(g group, d time.Duration) (figures, error) { return measure(g, d, read), nil }},
		{"reading alone, JSON.parse", other.measure("parse")},
	}
	all := make([][]figures, len(contenders))
	for round := range rounds + 1 { // the first one warms up
		for i, c := range contenders {
			f, err := c.measure(g, span)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				all[i] = append(all[i], f)
			}
		}
	}
	for i, c := range contenders {
		slices.SortFunc(all[i], func(a, b figures) int { return cmp.Compare(a.rate(), b.rate()) })
		f := all[i][len(all[i])/2]
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t\n", g.name, c.name, f.rate(), f.rate()*g.mean()/1e6, 1e6/f.rate(), float64(f.Found)/float64(f.Cards))
	}
	return nil
}

func (f figures) rate() float64 { return float64(f.Cards) / f.Seconds }

func measure(g group, span time.Duration, do func([]byte) int) figures {
	var f figures
	begun := used()
	for f.Seconds < span.Seconds() {
		for _, c := range g.cards {
			f.Found += do(c.text)
			f.Cards++
		}
		f.Seconds = used() - begun
	}
	return f
}

func judge(text []byte) int {
	r := card.Validate(text, card.Options{})
	return len(r.Errors) + len(r.Warnings) + len(r.Suggestions)
}

func read(text []byte) int {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return 1
	}
	return 0
}

// used is the processor time of this process, in seconds.
func used() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it has no reason to fail
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// compare shows which cards the two judge differently.
func compare(g group, other *ajv) error {
	var verdicts []bool
	if err := other.ask(&verdicts, "judge", g.name); err != nil {
		return err
	}
	valid := 0
	var apart []string
	for i, c := range g.cards {
		ours := card.Validate(c.text, card.Options{}).Valid
		if ours {
			valid++
		}
		if ours != verdicts[i] {
			apart = append(apart, filepath.Base(c.File))
		}
	}
	fmt.Printf("%s: %d cards of %.1f KB on average, %d valid", g.name, len(g.cards), g.mean()/1e3, valid)
	if len(apart) > 0 {
		fmt.Printf("; judged differently: %s", strings.Join(apart, ", "))
	}
	fmt.Println()
	return nil
}

// ajv is the process that runs it.
type ajv struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startAjv(ctx context.Context, modules, data, dir string, groups []group) (*ajv, error) {
	plan := struct {
		Schemas map[card.Version]string `json:"schemas"`
		Groups  []groupWire             `json:"groups"`
	}{Schemas: map[card.Version]string{}}
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	for _, v := range []card.Version{card.V020, card.V021, card.V022, card.V023, card.V024, card.V025, card.V026, card.V030, card.V10} {
		plan.Schemas[v] = filepath.Join(data, "schemas", string(v)+".json")
	}
	for _, g := range groups {
		plan.Groups = append(plan.Groups, groupWire{g.name, g.cards})
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, err
	}
	a := &ajv{cmd: exec.CommandContext(ctx, "node", filepath.Join(modules, "ajv.mjs"), file)}
	a.cmd.Stderr = os.Stderr
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.out = bufio.NewReaderSize(out, 1<<20)
	return a, a.cmd.Start()
}

func (a *ajv) stop() error { return errors.Join(a.in.Close(), a.cmd.Wait()) }

func (a *ajv) ask(answer any, words ...string) error {
	if _, err := fmt.Fprintln(a.in, strings.Join(words, " ")); err != nil {
		return err
	}
	line, err := a.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("ajv has ended: %w", err)
	}
	return json.Unmarshal(line, answer)
}

func (a *ajv) measure(mode string) func(group, time.Duration) (figures, error) {
	return func(g group, span time.Duration) (f figures, err error) {
		return f, a.ask(&f, "measure", g.name, mode, fmt.Sprint(span.Seconds()))
	}
}
