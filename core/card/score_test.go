package card

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFullCardsOfEveryVersionScore100(t *testing.T) {
	for _, v := range versions {
		for _, kind := range []string{"with security", "public by an empty list", "public by a requirement of nothing"} {
			t.Run(string(v)+" "+kind, func(t *testing.T) {
				card := full(v)
				if kind != "with security" {
					for _, key := range []string{"securitySchemes", "supportsAuthenticatedExtendedCard"} {
						delete(card, key)
					}
					delete(at(card, "capabilities"), "extendedAgentCard")
					delete(at(card, "skills", 0), "security")
					delete(at(card, "skills", 0), "securityRequirements")
					field, list := "security", []any{}
					if v == V10 {
						field = "securityRequirements"
					}
					if kind != "public by an empty list" {
						list = append(list, map[string]any{})
					}
					card[field] = list
				}
				got := judged(t, card, v)
				if len(got.Errors) > 0 || len(got.Warnings) > 0 || len(got.Suggestions) > 0 || got.Score != 100 {
					t.Errorf("score %d\nerrors %v\nwarnings %v\nsuggestions %v", got.Score, got.Errors, got.Warnings, got.Suggestions)
				}
				for _, m := range got.Marks {
					if m.Points != m.Weight || m.Reason != "" {
						t.Errorf("%+v", m)
					}
				}
			})
		}
	}
}

func TestOnlyThisMachineCostsNoPoints(t *testing.T) {
	for host, want := range map[string]int{
		"http://127.0.0.1:8080": 100, "http://[::1]:8080": 100, "http://localhost:8080": 100, "https://agents.localhost": 100,
		"http://10.0.0.8": 97, "http://agents.local": 97, "http://localhost.example.org": 97,
	} {
		card := full(V10)
		at(card, "supportedInterfaces", 0)["url"] = host
		got := judged(t, card, V10)
		if got.Score != want || len(got.Warnings) != 1 {
			t.Errorf("%s: score %d, not %d, warnings %v", host, got.Score, want, got.Warnings)
		}
	}
}

func TestWeights(t *testing.T) {
	sum, seen := 0, map[string]bool{}
	for _, c := range Weights() {
		if seen[c.Name] || c.Weight <= 0 || len(c.Text) < 20 {
			t.Errorf("%+v", c)
		}
		seen[c.Name] = true
		sum += c.Weight
	}
	if sum != 100 {
		t.Errorf("the weights sum up to %d", sum)
	}
	Weights()[0].Weight = 0
	if Weights()[0].Weight != validWeight {
		t.Error("the table can be changed from outside")
	}
}

// flaw is something that costs a full card points.
type flaw struct {
	name  string
	field string // where the suggestion is
	worth int
	cause func(card map[string]any)
}

// flaws are one or more for every criterion, by which each takes away what others leave alone.
func flaws(v Version) []flaw {
	set := func(key string, to any) func(map[string]any) { return func(card map[string]any) { card[key] = to } }
	drop := func(key string) func(map[string]any) { return func(card map[string]any) { delete(card, key) } }
	skill := func(i int, key string, to any) func(map[string]any) {
		return func(card map[string]any) { at(card, "skills", i)[key] = to }
	}
	all := []flaw{
		{"description", "description", 8, set("description", "Agent")},
		{"provider", "provider", 5, drop("provider")},
		{"documentation", "documentationUrl", 4, set("documentationUrl", "/docs")},
		{"capabilities", "capabilities.pushNotifications", 2, func(card map[string]any) {
			delete(at(card, "capabilities"),
				"pushNotifications")
		}},
		{"modes", "defaultInputModes[0]", 1, set("defaultInputModes", []any{"text", "application/json"})},
		{"skill description", "skills[1].description", 3, skill(1, "description", "Berths")},
		{"skill tags", "skills[0].tags", 2, skill(0, "tags", []any{"tides", " Tides"})},
		{"skill examples", "skills[1].examples", 2, skill(1, "examples", []any{" "})},
		{"tidy", "", 2, func(card map[string]any) { card["colour"], card["version"] = "blue", " " }},
	}
	if v == V10 {
		all = append(all,
			flaw{"addresses", "supportedInterfaces[0].url", 3, func(card map[string]any) {
				at(card, "supportedInterfaces",
					0)["url"] = "http://harbour.example.org"
			}},
			flaw{"interfaces", "supportedInterfaces[2].protocolVersion", 4, func(card map[string]any) {
				at(card, "supportedInterfaces",
					2)["protocolVersion"] = "0.3.0"
			}},
			flaw{"security", "securityRequirements[0].schemes.nobody", 7, func(card map[string]any) {
				card["securityRequirements"] = []any{map[string]any{"schemes": map[string]any{"nobody": map[string]any{}}}}
			}})
	} else {
		all = append(all, flaw{"security", "security", 4, func(card map[string]any) {
			delete(card, "security")
			delete(at(card, "skills", 0), "security")
		}})
	}
	if v == V030 {
		all = append(all, flaw{"interfaces", "preferredTransport", 4, drop("preferredTransport")},
			flaw{"addresses", "additionalInterfaces[1].url", 3, func(card map[string]any) {
				at(card, "additionalInterfaces",
					1)["url"] = "10.0.0.7:9000"
			}})
	}
	return all
}

// Whatever else is wrong with a card, following a suggestion gains exactly what it is said to be worth, and all together gain 100.
func TestSuggestionsAreWorthWhatTheySay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, v := range versions {
		all := flaws(v)
		for range 40 {
			var chosen []flaw
			for _, f := range all {
				if random.IntN(2) == 0 {
					chosen = append(chosen, f)
				}
			}
			made := func(but int) Result {
				card := full(v)
				for i, f := range chosen {
					if i != but {
						f.cause(card)
					}
				}
				return judged(t, card, v)
			}
			got, lost := made(-1), 0
			if !got.Valid {
				t.Fatalf("%s: %v", v, got.Errors)
			}
			if len(got.Suggestions) != len(chosen) {
				t.Errorf("%s: %d suggestions for %d flaws: %v", v, len(got.Suggestions), len(chosen), got.Suggestions)
			}
			for i, s := range got.Suggestions {
				if lost += s.Worth; i > 0 && got.Suggestions[i-1].Worth < s.Worth {
					t.Errorf("%s: %v are not in the order of their worth", v, got.Suggestions)
				}
			}
			if got.Score+lost != 100 {
				t.Errorf("%s: the score is %d and the suggestions are worth %d", v, got.Score, lost)
			}
			for i, f := range chosen {
				at := slices.IndexFunc(got.Suggestions, func(s Suggestion) bool { return s.Field == f.field })
				if at < 0 || got.Suggestions[at].Worth != f.worth {
					t.Fatalf("%s: no suggestion worth %d at %q: %v", v, f.worth, f.field, got.Suggestions)
				} else if gained := made(i).Score - got.Score; gained != f.worth {
					t.Errorf("%s: mending %s gained %d, not %d", v, f.name, gained, f.worth)
				}
			}
		}
	}
}

func TestMarksAddUpToTheScoreAndSayWhy(t *testing.T) {
	for _, v := range versions {
		card := full(v)
		for _, f := range flaws(v) {
			f.cause(card)
		}
		for _, text := range [][]byte{marshal(t, card), []byte(`{}`), []byte(`[`), []byte(`{"skills":[],"url":5}`)} {
			got, sum := Validate(text, Options{Version: v}), 0
			for i, m := range got.Marks {
				sum += m.Points
				if m.Criterion != Weights()[i].Name || m.Weight != Weights()[i].Weight || m.Points < 0 || (m.Points < m.Weight) != (m.Reason != "") {
					t.Errorf("%s: %+v", v, m)
				}
			}
			if sum != got.Score {
				t.Errorf("%s: the marks sum up to %d, the score is %d", v, sum, got.Score)
			}
		}
	}
}

// A card with no skill has one thing to do about skills.
func TestNoSkillsIsOneSuggestion(t *testing.T) {
	card := full(V030)
	card["skills"] = []any{}
	got := judged(t, card, V030)
	if len(got.Suggestions) != 1 || got.Suggestions[0].Field != "skills" || got.Suggestions[0].Worth != 13 || got.Score != 87 {
		t.Errorf("score %d: %v", got.Score, got.Suggestions)
	}
}

func TestThinDescriptions(t *testing.T) {
	for _, c := range []struct {
		description string
		points      int
	}{
		{"", 0},
		{"Agent", 0},
		{"Agent that helps", 0},
		{"Agent that helps with recipes", 4},
		{"Agent that helps users with recipes and cooking.", 8},
		{"Agent                                                   helps", 0},
		{"根据地址规划送货路线并说明每一站的选择", 8},
		{"规划路线的代理程序", 4},
		{"harbour PILOT ", 0},
	} {
		card := full(V030)
		card["description"] = c.description
		got := judged(t, card, V030)
		if m := got.Marks[1]; m.Points != c.points {
			t.Errorf("%q is given %d points, not %d", c.description, m.Points, c.points)
		}
		told := slices.ContainsFunc(got.Suggestions, func(s Suggestion) bool { return s.Field == "description" && s.Worth == 8-c.points })
		if told != (c.points < 8) {
			t.Errorf("%q: suggestions are %v", c.description, got.Suggestions)
		}
	}
}

// The worst valid card is above the best invalid one, and mending errors one by one raises the score.
func TestInvalidCardsScoreBelowValidOnes(t *testing.T) {
	worst := map[string]any{
		"protocolVersion": "0.3.0", "name": "", "description": "", "url": "", "version": "", "capabilities": map[string]any{"x": 1, "y": 2,
			"z": 3},
		"defaultInputModes": []any{}, "defaultOutputModes": []any{}, "skills": []any{}, "colour": 1, "size": 2,
	}
	least := judged(t, worst, "")
	if !least.Valid || least.Score < validWeight {
		t.Fatalf("%v scores %d: %v", least.Valid, least.Score, least.Errors)
	}
	for _, v := range versions {
		card, last := full(v), 100
		keys := slices.Sorted(maps.Keys(card))
		for _, key := range keys {
			if _, required := map[string]bool{"name": true, "description": true, "version": true, "capabilities": true,
				"skills": true}[key]; !required {
				continue
			}
			delete(card, key)
			got := judged(t, card, v)
			if got.Valid || got.Score >= last || got.Score >= validWeight {
				t.Errorf("%s without %s scores %d after %d", v, key, got.Score, last)
			}
			last = got.Score
			if len(got.Suggestions) != 1 || got.Suggestions[0].Worth <= 0 {
				t.Errorf("%s: %v", v, got.Suggestions)
			}
		}
	}
	for _, text := range []string{"", "{", "5", `"card"`, "[]", "null", "{\"a\":\xff}"} {
		if got := Validate([]byte(text), Options{}); got.Valid || got.Score != 0 || got.Suggestions != nil {
			t.Errorf("%q scores %d: %v", text, got.Score, got.Suggestions)
		}
	}
}

// What an invalid card gains by being mended is at least what is said.
func TestMendingErrorsIsWorthWhatIsSaid(t *testing.T) {
	for _, v := range versions {
		card := full(v)
		delete(card, "name")
		got := judged(t, card, v)
		card["name"] = "Harbour pilot"
		if mended := judged(t, card, v); len(got.Suggestions) != 1 || mended.Score-got.Score != got.Suggestions[0].Worth {
			t.Errorf("%s: from %d to %d: %v", v, got.Score, mended.Score, got.Suggestions)
		}
	}
}

func TestScoreIsNotChangedByTheQuestion(t *testing.T) {
	text := marshal(t, full(V026))
	own, asked := Validate(text, Options{}), Validate(text, Options{Version: V030})
	if own.Score != asked.Score {
		t.Errorf("%d as what it declares, %d as 0.3.0, where the same is to say: %v", own.Score, asked.Score, asked.Warnings)
	}
}

func TestScoreIsStable(t *testing.T) {
	card := full(V10)
	for _, f := range flaws(V10) {
		f.cause(card)
	}
	want := fmt.Sprintf("%+v", judged(t, card, V10))
	for range 20 {
		if got := fmt.Sprintf("%+v", judged(t, card, V10)); got != want {
			t.Fatalf("%s\n%s", want, got)
		}
	}
}
