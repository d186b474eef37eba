package offline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// aside answers requests that are not conversations: to judge work by a rubric, and to summarise a text. They are known by their
// shape: a tool that takes a verdict, a text between tags.
func aside(req llm.Request) (text string, call *llm.ToolUse, ok bool) {
	if len(req.Messages) != 1 {
		return "", nil, false
	}
	var said strings.Builder
	for _, b := range req.Messages[0].Blocks {
		said.WriteString(b.Text)
	}
	if len(req.Tools) == 1 && takesVerdict(req.Tools[0]) {
		rubric, has := between(said.String(), "rubric")
		work, done := between(said.String(), "work")
		if has && done {
			input, err := json.Marshal(judge(rubric, work))
			if err != nil { // strings always marshal
				return "", nil, false
			}
			return "", &llm.ToolUse{ID: callID(req.Messages), Name: req.Tools[0].Name, Input: input}, true
		}
	}
	if conversation, has := between(said.String(), "conversation"); has && len(req.Tools) == 0 {
		return extract(conversation), nil, true
	}
	return "", nil, false
}

// takesVerdict reports whether a tool takes a result, one of which is satisfied, and an explanation.
func takesVerdict(spec tool.Spec) bool {
	var schema struct {
		Properties struct {
			Result      struct{ Enum []string }
			Explanation *struct{ Type string }
		}
	}
	return json.Unmarshal(spec.InputSchema, &schema) == nil && schema.Properties.Explanation != nil &&
		slices.Contains(schema.Properties.Result.Enum, "satisfied") && slices.Contains(schema.Properties.Result.Enum, "needs_revision")
}

// between returns what stands between the first opening and the last closing tag.
func between(text, tag string) (string, bool) {
	_, rest, ok := strings.Cut(text, "<"+tag+">")
	end := strings.LastIndex(rest, "</"+tag+">")
	if !ok || end < 0 {
		return "", false
	}
	return strings.TrimSpace(rest[:end]), true
}

type verdict struct {
	Result      string `json:"result"`
	Explanation string `json:"explanation"`
}

const comparesWords = "The offline model judges by words alone: a criterion is met when the phrases that it quotes, or else all words of it " +
	"that name something, occur in the work."

// judge holds work against a rubric in the one way that rules can: by looking for the words of each criterion.
func judge(rubric, work string) verdict {
	var lacking, met []string
	have := map[string]bool{}
	for _, w := range words(work) {
		have[rootOf(w)] = true
	}
	for _, c := range criteria(rubric) {
		missing, known := lacks(c, work, have)
		switch {
		case !known:
		case len(missing) > 0:
			lacking = append(lacking, fmt.Sprintf("not met: %q (missing: %s)", c, strings.Join(missing, ", ")))
		default:
			met = append(met, fmt.Sprintf("met: %q", c))
		}
	}
	switch {
	case len(lacking)+len(met) == 0:
		return verdict{"failed", "No criterion of the rubric has words that could be looked for. " + comparesWords}
	case len(lacking) > 0:
		return verdict{"needs_revision", strings.Join(append(lacking, met...), "; ") + ". " + comparesWords}
	}
	return verdict{"satisfied", strings.Join(met, "; ") + ". " + comparesWords}
}

var (
	listItem = regexp.MustCompile(`^\s*(?:[-*+•]|\d+[.)]|\[[ x]?\])\s+`)
	inQuotes = regexp.MustCompile(`"([^"]+)"|“([^”]+)”|` + "`([^`]+)`")
)

// criteria returns the items of a rubric's lists, and its lines when it has none.
func criteria(rubric string) []string {
	var items, lines []string
	for l := range strings.SplitSeq(rubric, "\n") {
		text := strings.TrimSpace(l)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if listItem.MatchString(l) {
			items = append(items, listItem.ReplaceAllString(text, ""))
		}
		lines = append(lines, text)
	}
	if items != nil {
		return items
	}
	return lines
}

// lacks returns what of a criterion does not occur; known is false when it has nothing to look for.
func lacks(criterion, work string, have map[string]bool) (missing []string, known bool) {
	for _, q := range inQuotes.FindAllStringSubmatch(criterion, -1) {
		known = true
		phrase := q[1] + q[2] + q[3]
		if !strings.Contains(strings.ToLower(work), strings.ToLower(phrase)) {
			missing = append(missing, phrase)
		}
	}
	if known {
		return missing, true
	}
	for _, w := range words(criterion) {
		if len(w) < 3 || aboutWork[w] || aboutWork[rootOf(w)] {
			continue
		}
		known = true
		if !have[rootOf(w)] && !slices.Contains(missing, w) {
			missing = append(missing, w)
		}
	}
	return missing, known
}

// root cuts the commonest endings off, so that "pays", "paid" aside, a word is found in its other forms.
func rootOf(w string) string {
	for _, end := range []string{"ing", "ies", "es", "ed", "s", "e", "y"} {
		if t, ok := strings.CutSuffix(w, end); ok && len(t) >= 3 {
			return t
		}
	}
	return w
}

// aboutWork are words by which rubrics speak of the work itself.
var aboutWork = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(`the and that this with from for are was were has have had its not but any all each every other than then
		must should shall may can will would answer response reply text work output result report document message summary file it is be been
		contain include mention state say name list give show write explain describe present provide use have need
		clear correct complete exact exactly least most more one two three word sentence line paragraph section criterion there which who what
		how when where why into about also only`) {
		out[w], out[rootOf(w)] = true, true
	}
	return out
}()

const (
	maxExtract = 3000 // characters of an extract
	maxLine    = 200  // of one line of it
)

// extract shortens a conversation to the beginnings of its lines, the newest of them: what came before is kept first.
func extract(text string) string {
	lines := strings.Split(text, "\n")
	var before string
	var kept []string
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		l := strings.TrimSpace(lines[i])
		if l == "" {
			continue
		}
		if strings.HasPrefix(l, "Summary of what came before:") {
			before = shorten(l, maxExtract/3)
			continue
		}
		l = shorten(l, maxLine)
		if size += len(l); size < maxExtract*2/3 {
			kept = append(kept, l)
		}
	}
	slices.Reverse(kept)
	if before != "" {
		kept = slices.Insert(kept, 0, before)
	}
	return strings.Join(kept, "\n")
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
