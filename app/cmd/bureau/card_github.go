package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/bureau-agents/bureau/core/card"
)

// cardGitHub writes the workflow commands that GitHub shows as annotations of lines.
type cardGitHub struct {
	w           io.Writer
	suggestions bool
}

func (g *cardGitHub) card(v cardVerdict) error {
	if v.err != nil {
		_, err := fmt.Fprintf(g.w, "::error%s::%s\n", properties("file", githubFile(v.input), "title", "unreadable"), escapeData(v.err.Error()))
		return err
	}
	for _, f := range v.result.Errors {
		g.finding("error", v, f)
	}
	for _, f := range v.failures {
		if f.Code != "errors" && f.Code != "warnings" {
			g.finding("error", v, card.Finding{Code: f.Code, Message: "The card does not pass: " + f.Message, Line: 1, Column: 1})
		}
	}
	for _, f := range v.result.Warnings {
		g.finding("warning", v, f)
	}
	if g.suggestions {
		for _, s := range v.result.Suggestions {
			g.finding("notice", v, card.Finding{Code: codeSuggestion, Message: s.Text, Path: s.Field})
		}
	}
	state := "valid"
	if !v.result.Valid {
		state = "not valid"
	}
	_, err := fmt.Fprintf(g.w, "%s: %s as A2A %s, score %d, %s, %s\n", visible(v.input.name), state, v.result.Version, v.result.Score,
		plural(len(v.result.Errors), "error"), plural(len(v.result.Warnings), "warning"))
	return err
}

func (g *cardGitHub) finding(command string, v cardVerdict, f card.Finding) {
	line, column := "", ""
	if f.Line > 0 {
		line, column = fmt.Sprint(f.Line), fmt.Sprint(f.Column)
	}
	message := visible(f.Message)
	if f.Path != "" {
		message = visible(f.Path) + ": " + message
	}
	file := githubFile(v.input)
	if file == "" {
		line, column = "", ""
		message = visible(v.input.name) + ": " + message
	}
	fmt.Fprintf(g.w, "::%s%s::%s\n", command, properties("file", file, "line", line, "col", column, "title", f.Code), escapeData(message))
}

// githubFile names a file as annotations do; "" for what is none.
func githubFile(in cardInput) string {
	if in.file == "" {
		return ""
	}
	name, _ := repoPath(in.file)
	return name
}

func (*cardGitHub) end(cardTotals) error { return nil }

// properties writes the properties of a workflow command that have a value.
func properties(pairs ...string) string {
	var set []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			set = append(set, pairs[i]+"="+escapeProperty(pairs[i+1]))
		}
	}
	if len(set) == 0 {
		return ""
	}
	return " " + strings.Join(set, ",")
}

// The escapes of workflow commands, as GitHub's toolkit has them.
var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(s string) string     { return dataEscapes.Replace(s) }
func escapeProperty(s string) string { return propertyEscapes.Replace(s) }
