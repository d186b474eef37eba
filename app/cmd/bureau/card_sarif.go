package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/card"
)

// sarifSchema names the schema of what is written: SARIF 2.1.0 with its first errata, an OASIS standard.
const sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

// sourceRoot is the name that SARIF has for the directory to which relative addresses are relative.
const sourceRoot = "%SRCROOT%"

// cardSARIF gathers one run of SARIF about all cards.
type cardSARIF struct {
	w           io.Writer
	suggestions bool
	rules       []sarifRule
	ruleIndex   map[string]int
	artifacts   []sarifArtifact
	results     []sarifResult
	unread      []sarifNotification
	prints      map[string]int // how often a fingerprint has come already
}

// The parts of SARIF that are written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool            `json:"tool"`
		Invocations []sarifInvocation    `json:"invocations"`
		Bases       map[string]sarifBase `json:"originalUriBaseIds"`
		Artifacts   []sarifArtifact      `json:"artifacts"`
		Results     []sarifResult        `json:"results"`
		ColumnKind  string               `json:"columnKind"`
	}
	sarifBase struct {
		Description sarifText `json:"description"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string     `json:"id"`
		ShortDescription     sarifText  `json:"shortDescription"`
		FullDescription      sarifText  `json:"fullDescription"`
		Help                 sarifHelp  `json:"help"`
		DefaultConfiguration sarifLevel `json:"defaultConfiguration"`
		Properties           sarifTags  `json:"properties"`
	}
	sarifTags struct {
		Tags []string `json:"tags"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifArtifact struct {
		Location sarifPlace `json:"location"`
		Roles    []string   `json:"roles"`
		MimeType string     `json:"mimeType"`
		Length   int        `json:"length"`
	}
	sarifPlace struct {
		URI   string `json:"uri"`
		Base  string `json:"uriBaseId,omitempty"`
		Index int    `json:"index"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifPlace   `json:"artifactLocation"`
		Region   *sarifRegion `json:"region,omitempty"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndColumn   int `json:"endColumn"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

func newCardSARIF(w io.Writer, suggestions bool) *cardSARIF {
	s := &cardSARIF{
		w: w, suggestions: suggestions, ruleIndex: map[string]int{}, artifacts: []sarifArtifact{}, results: []sarifResult{}, unread: []sarifNotification{},
		prints: map[string]int{},
	}
	for _, c := range cardCodes() {
		s.rule(c)
	}
	if suggestions {
		s.rule(card.Code{
			Code: codeSuggestion, Title: "The card could be better", Severity: "note",
			Text: "Nothing is wrong with the card. This would make it better, and raise its score.",
		})
	}
	return s
}

// rule adds a rule for a code, and returns its index.
func (s *cardSARIF) rule(c card.Code) int {
	s.ruleIndex[c.Code] = len(s.rules)
	help := c.Text
	if c.Source != "" {
		help += " Source: " + c.Source + "."
	}
	s.rules = append(s.rules, sarifRule{
		ID: c.Code, ShortDescription: sarifText{c.Title}, FullDescription: sarifText{c.Text},
		Help:                 sarifHelp{help, "**" + c.Title + "**\n\n" + help},
		DefaultConfiguration: sarifLevel{string(c.Severity)}, Properties: sarifTags{[]string{"a2a", "agent-card"}},
	})
	return len(s.rules) - 1
}

func (s *cardSARIF) card(v cardVerdict) error {
	if v.err != nil {
		n := sarifNotification{Level: "error", Message: sarifText{v.err.Error()}}
		if v.input.uri != "" {
			n.Message.Text = v.input.name + ": " + n.Message.Text
		}
		s.unread = append(s.unread, n)
		return nil
	}
	place := sarifPlace{URI: v.input.uri, Index: len(s.artifacts)}
	roles := []string{"analysisTarget"}
	switch {
	case v.url != "":
		place.URI = v.url
	case v.input.file == "":
		roles = append(roles, "standardStream")
	case !strings.HasPrefix(place.URI, "file:"):
		place.Base = sourceRoot
	}
	s.artifacts = append(s.artifacts, sarifArtifact{place, roles, "application/json", len(v.text)})
	for _, f := range v.result.Errors {
		s.result("error", place, v.text, f)
	}
	for _, f := range v.result.Warnings {
		s.result("warning", place, v.text, f)
	}
	for _, f := range v.failures {
		if f.Code != "errors" && f.Code != "warnings" {
			s.result("error", place, v.text, card.Finding{Code: f.Code, Message: "The card does not pass: " + f.Message, Line: 1, Column: 1})
		}
	}
	if s.suggestions {
		for _, g := range v.result.Suggestions {
			s.result("note", place, v.text, card.Finding{Code: codeSuggestion, Message: g.Text, Path: g.Field, Pointer: g.Pointer})
		}
	}
	return nil
}

func (s *cardSARIF) result(level string, place sarifPlace, text []byte, f card.Finding) {
	index, known := s.ruleIndex[f.Code]
	if !known {
		index = s.rule(card.Code{Code: f.Code, Title: f.Code, Text: f.Message, Severity: card.Severity(level)})
	}
	at := sarifLocation{Physical: sarifPhysical{Artifact: place, Region: sarifAt(text, f)}}
	if f.Path != "" {
		at.Logical = []sarifLogical{{f.Path, "member"}}
	}
	// What is found again in a card that was changed elsewhere keeps its fingerprint: it says nothing of lines.
	sum := sha256.Sum256([]byte(place.URI + "\x00" + f.Code + "\x00" + f.Pointer))
	key := hex.EncodeToString(sum[:16])
	s.prints[key]++
	s.results = append(s.results, sarifResult{
		RuleID: f.Code, RuleIndex: index, Level: level, Message: sarifText{f.Message}, Locations: []sarifLocation{at},
		Fingerprints: map[string]string{"bureauCard/v1": key + ":" + strconv.Itoa(s.prints[key])},
	})
}

// sarifAt is the token at which a finding is, within its line; nil when the finding has no place.
func sarifAt(text []byte, f card.Finding) *sarifRegion {
	if f.Line < 1 || f.Column < 1 || f.Offset < 0 || f.Offset > len(text) {
		return nil
	}
	token := tokenAt(text[f.Offset:])
	if i := bytes.IndexByte(token, '\n'); i >= 0 {
		token = token[:i]
	}
	return &sarifRegion{StartLine: f.Line, StartColumn: f.Column, EndColumn: f.Column + max(1, utf8.RuneCount(token))}
}

func (s *cardSARIF) end(cardTotals) error {
	return printJSON(s.w, sarifLog{
		Schema: sarifSchema, Version: "2.1.0",
		Runs: []sarifRun{{
			Tool: sarifTool{sarifDriver{
				Name: "bureau card", Version: app.Version(), InformationURI: "https://github.com/bureau-agents/bureau", Rules: s.rules,
			}},
			Invocations: []sarifInvocation{{Successful: len(s.unread) == 0, Notifications: s.unread}},
			Bases:       map[string]sarifBase{sourceRoot: {sarifText{"Where the repository is checked out, or else where the command ran"}}},
			Artifacts:   s.artifacts, Results: s.results, ColumnKind: "unicodeCodePoints",
		}},
	})
}
