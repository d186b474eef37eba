package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/bureau-agents/bureau/core/card"
)

// group is cards that are measured together.
type group struct {
	name  string
	cards []item
}

// item is a card, and the version that Bureau has found for it, by which ajv takes a schema.
type item struct {
	File    string       `json:"file"`
	Version card.Version `json:"version"`
	text    []byte
}

type groupWire struct {
	Name  string `json:"name"`
	Cards []item `json:"cards"`
}

// mean is how long a card is on average, in bytes.
func (g group) mean() float64 {
	total := 0
	for _, c := range g.cards {
		total += len(c.text)
	}
	return float64(total) / float64(len(g.cards))
}

// corpus reads the cards of the tests, and makes larger ones in dir, always the same.
func corpus(data, dir string) ([]group, error) {
	files, err := filepath.Glob(filepath.Join(data, "cards", "*.json"))
	if err == nil && len(files) == 0 {
		err = errors.New("there are no cards in " + data)
	}
	if err != nil {
		return nil, err
	}
	tests, err := load("tests", files)
	if err != nil {
		return nil, err
	}
	out := []group{tests}
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []struct {
		name          string
		cards, skills int
	}{{"10-skills", 40, 10}, {"100-skills", 20, 100}, {"5000-skills", 2, 5000}} {
		files := make([]string, size.cards)
		for i := range files {
			version := []card.Version{card.V026, card.V030, card.V10}[i%3]
			if size.cards == 2 {
				version = []card.Version{card.V030, card.V10}[i]
			}
			text, err := json.MarshalIndent(made(r, version, size.skills, i%2 == 1), "", "  ")
			if err != nil {
				return nil, err
			}
			files[i] = filepath.Join(dir, fmt.Sprintf("%s-%d.json", size.name, i))
			if err := os.WriteFile(files[i], text, 0o600); err != nil {
				return nil, err
			}
		}
		g, err := load(size.name, files)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

func load(name string, files []string) (group, error) {
	g := group{name: name}
	for _, file := range files {
		full, err := filepath.Abs(file)
		if err != nil {
			return g, err
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return g, err
		}
		g.cards = append(g.cards, item{full, card.Validate(text, card.Options{}).Version, text})
	}
	return g, nil
}

// made is a card with many skills; of a faulty one every seventh has something wrong.
func made(r *rand.Rand, v card.Version, skills int, faulty bool) map[string]any {
	words := []string{"invoice", "translate", "the", "weather", "of", "a", "customer", "order", "ticket", "and", "summarises", "plans", "route", "für", "注文"}
	sentence := func(n int) string {
		s := ""
		for range n {
			s += words[r.IntN(len(words))] + " "
		}
		return s + "now."
	}
	list := make([]any, skills)
	for i := range list {
		skill := map[string]any{
			"id": fmt.Sprintf("skill-%d", i), "name": sentence(3), "description": sentence(25), "tags": []any{words[r.IntN(len(words))], words[r.IntN(len(words))]},
			"examples": []any{sentence(8), sentence(8)}, "inputModes": []any{"text/plain", "application/json"},
		}
		switch {
		case !faulty:
		case i%7 == 6 && i%2 == 0:
			delete(skill, "description")
		case i%7 == 6:
			skill["tags"] = "one"
		}
		list[i] = skill
	}
	out := map[string]any{
		"name": sentence(2), "description": sentence(30), "version": "1.4.2", "skills": list,
		"defaultInputModes": []any{"text/plain"}, "defaultOutputModes": []any{"text/plain", "application/json"},
		"provider":         map[string]any{"organization": "Example", "url": "https://example.com"},
		"documentationUrl": "https://example.com/docs", "capabilities": map[string]any{"streaming": true, "pushNotifications": false},
	}
	if v == card.V10 {
		out["supportedInterfaces"] = []any{map[string]any{"url": "https://agent.example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}}
		out["securitySchemes"] = map[string]any{"bearer": map[string]any{"httpAuthSecurityScheme": map[string]any{"scheme": "Bearer"}}}
		out["securityRequirements"] = []any{map[string]any{"schemes": map[string]any{"bearer": map[string]any{"list": []any{}}}}}
		return out
	}
	out["protocolVersion"], out["url"], out["preferredTransport"] = v, "https://agent.example.com/a2a", "JSONRPC"
	out["securitySchemes"] = map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer"}}
	out["security"] = []any{map[string]any{"bearer": []any{}}}
	return out
}
