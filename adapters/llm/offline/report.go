package offline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/bureau-agents/bureau/ports/llm"
)

// maxReport bounds how much of a result is repeated, in bytes.
const maxReport = 4000

// report says in plain sentences what came of a call.
func (m *model) report(s step, use llm.ToolUse, result *llm.ToolResult) string {
	name := use.Name
	if result == nil {
		return fmt.Sprintf("The %s tool gave no result.", name)
	}
	text := clip(strings.TrimSpace(result.Text))
	if result.IsError {
		if text == "" {
			text = "it gave no reason"
		}
		return fmt.Sprintf("The %s tool did not do it: %s", name, ended(text))
	}
	if s.search && s.clause != nil {
		return m.quoteKnowledge(s, name, result.Text)
	}
	if text == "" {
		return fmt.Sprintf("The %s tool is done and returned nothing.", name)
	}
	if plain, ok := plainJSON(text); ok {
		return fmt.Sprintf("The %s tool answered: %s", name, ended(plain))
	}
	if strings.Contains(text, "\n") {
		return fmt.Sprintf("The %s tool answered:\n%s", name, text)
	}
	if s.clause != nil && s.tool != nil && !s.tool.changes {
		var args map[string]any
		if json.Unmarshal(use.Input, &args) == nil && len(args) == 1 && len(text) < 80 {
			for _, v := range args {
				if q, ok := v.(string); ok && roleOf(s.tool.input.props[0]) == roleFormula {
					return fmt.Sprintf("%s = %s", q, ended(strings.TrimSpace(strings.TrimPrefix(text, q+" ="))))
				}
			}
		}
	}
	return fmt.Sprintf("The %s tool answered: %s", name, ended(text))
}

func ended(text string) string {
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "!") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "."
}

func clip(text string) string {
	if len(text) <= maxReport {
		return text
	}
	return strings.ToValidUTF8(text[:maxReport], "") + " [...]"
}

// plainJSON turns an object of plain values into words: "status: paid, balance: 80.00".
func plainJSON(text string) (string, bool) {
	if !strings.HasPrefix(text, "{") {
		return "", false
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var object map[string]any
	if dec.Decode(&object) != nil || dec.More() || len(object) == 0 {
		return "", false
	}
	var parts []string
	for k, v := range object {
		switch v := v.(type) {
		case nil:
		case map[string]any, []any:
			raw, err := json.Marshal(v)
			if err != nil {
				return "", false
			}
			parts = append(parts, strings.ReplaceAll(k, "_", " ")+": "+string(raw))
		default:
			parts = append(parts, fmt.Sprintf("%s: %v", strings.ReplaceAll(k, "_", " "), v))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, ", "), len(parts) > 0
}

// passage is a piece of knowledge and where it comes from.
type passage struct{ text, source string }

// quoteKnowledge answers a question from what a search found: the passage that shares most of the question's words.
//
// Of a result that is longer than maxSearched only the beginning is read.
func (m *model) quoteKnowledge(s step, tool, result string) string {
	if len(result) > maxSearched {
		result = strings.ToValidUTF8(result[:maxSearched], "")
	}
	asked := s.clause.text()
	want := map[string]bool{}
	for _, t := range s.clause.toks {
		switch {
		case t.kind == word && !m.v.stop[t.norm] && len(t.norm) > 1:
			want[t.stem] = true
		case t.kind == quoted:
			for _, w := range words(t.norm) {
				want[stem(w)] = true
			}
		case t.kind != word && t.kind != mark:
			want[strings.ToLower(t.norm)] = true
		}
	}
	best, bestScore := passage{}, 0
	for _, p := range passages(result) {
		score := overlap(want, p.text)
		if score > bestScore {
			best, bestScore = p, score
		}
	}
	if bestScore == 0 {
		return fmt.Sprintf("I searched with %s for %q and found nothing that answers it. I am not a language model: I can only quote what was taught to this agent.", tool, asked)
	}
	quote := m.excerpt(want, best.text)
	if best.source == "" {
		return fmt.Sprintf("My knowledge says: %q", quote)
	}
	return fmt.Sprintf("According to %s: %q", best.source, quote)
}

// overlap counts what a text shares with a question: stems of words, and host names, numbers and the like as they are.
func overlap(want map[string]bool, text string) int {
	seen := map[string]bool{}
	for _, w := range words(text) {
		if s := stem(w); want[s] {
			seen[s] = true
		}
	}
	lower := strings.ToLower(text)
	for key := range want {
		if !seen[key] && strings.ContainsAny(key, ".:/@0123456789") && strings.Contains(lower, key) {
			seen[key] = true
		}
	}
	return len(seen)
}

// maxSearched is how much of a search's result is read, in bytes.
const maxSearched = 256 << 10

// maxQuote is how long a passage is quoted whole, in bytes; of a longer one the sentences around the best one are.
const maxQuote = 700

func (m *model) excerpt(want map[string]bool, text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxQuote {
		return text
	}
	sentences := strings.SplitAfter(text, ". ")
	at, score := 0, -1
	for i, s := range sentences {
		if n := overlap(want, s); n > score {
			at, score = i, n
		}
	}
	out := sentences[at]
	for i := at + 1; i < len(sentences) && len(out)+len(sentences[i]) <= maxQuote; i++ {
		out += sentences[i]
	}
	if len(out) > maxQuote {
		out = strings.ToValidUTF8(out[:maxQuote], "") + " [...]"
	}
	return strings.TrimSpace(out)
}

// passages reads the result of a search: JSON with texts and sources, or blocks of text with a line or a bracket that names the
// source.
func passages(result string) []passage {
	var doc any
	if json.Unmarshal([]byte(result), &doc) == nil {
		if _, plain := doc.(string); !plain {
			var out []passage
			collect(doc, &out, 0)
			return out
		}
	}
	var out []passage
	for _, block := range strings.Split(strings.ReplaceAll(result, "\r\n", "\n"), "\n\n") {
		p := passage{}
		var lines []string
		for _, line := range strings.Split(block, "\n") {
			rest, source, only := sourceOf(line)
			if source != "" && p.source == "" {
				p.source = source
			}
			if !only && strings.TrimSpace(rest) != "" {
				lines = append(lines, strings.TrimSpace(rest))
			}
		}
		p.text = numbering.ReplaceAllString(strings.Join(lines, " "), "")
		if p.text != "" {
			out = append(out, p)
		} else if p.source != "" && len(out) > 0 && out[len(out)-1].source == "" {
			out[len(out)-1].source = p.source
		}
	}
	return out
}

// numbering is how lists of passages count.
var numbering = regexp.MustCompile(`^\s*(?:\[\d+\]|#?\d+[.):]|[-*•])\s+`)

// sourceOf finds "Source: x" at the start of a line, or "(source: x)" and "[source: x]" inside it.
func sourceOf(line string) (rest, source string, only bool) {
	lower := strings.ToLower(line)
	trimmed := strings.TrimLeft(lower, "-*#>0123456789.)[( ")
	if strings.HasPrefix(trimmed, "source:") && len(lower) == len(line) {
		value := line[len(line)-len(trimmed)+len("source:"):]
		if end := strings.IndexAny(value, "])"); end >= 0 && len(lower)-len(trimmed) > 0 {
			return value[end+1:], strings.TrimSpace(value[:end]), strings.TrimSpace(value[end+1:]) == ""
		}
		return "", strings.TrimSpace(value), true
	}
	for _, open := range []string{"(source:", "[source:"} {
		i := strings.Index(lower, open)
		if i < 0 || len(lower) != len(line) {
			continue
		}
		value := line[i+len(open):]
		end := strings.IndexAny(value, ")]")
		if end < 0 {
			end = len(value) - 1
		}
		if end < 0 {
			continue
		}
		return line[:i] + value[min(end+1, len(value)):], strings.TrimSpace(value[:end]), false
	}
	return line, "", false
}

// collect finds the objects with a text in a JSON document.
func collect(doc any, out *[]passage, depth int) {
	if depth > 6 {
		return
	}
	switch v := doc.(type) {
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				*out = append(*out, passage{text: s})
				continue
			}
			collect(e, out, depth+1)
		}
	case map[string]any:
		p := passage{}
		for _, key := range []string{"text", "content", "passage", "chunk", "body"} {
			if s, ok := v[key].(string); ok && p.text == "" {
				p.text = s
			}
		}
		for _, key := range []string{"source", "title", "url", "document"} {
			if s, ok := v[key].(string); ok && p.source == "" {
				p.source = s
			}
		}
		if p.text != "" {
			*out = append(*out, p)
			return
		}
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			collect(v[k], out, depth+1)
		}
	}
}
