package hashing_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/embedding/embeddingtest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	embeddingtest.Run(t, embeddingtest.Config{New: func(*testing.T) embedding.Embedder { return hashing.New() }})
}

func embed(t *testing.T, texts ...string) []embedding.Vector {
	t.Helper()
	v, err := hashing.New().Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestGolden pins the vectors: stored ones are compared with new ones, so that they may change only together with Name.
func TestGolden(t *testing.T) {
	t.Parallel()
	v := embed(t, "The warehouse in Lisbon opens at 7.30 in the morning.")[0]
	got := map[int]string{}
	for i, x := range v {
		if math.Abs(float64(x)) > 0.19 {
			got[i] = fmt.Sprintf("%.4f", x)
		}
	}
	want := map[int]string{
		88: "-0.2710", 184: "-0.2085", 229: "-0.2085", 247: "0.2085", 273: "-0.2085", 325: "-0.2085", 372: "0.2070",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var base = []string{
	"The warehouse in Lisbon opens at half past seven in the morning.",
	"Invoices are sent on the first working day of each month.",
	"Penguins live in the southern hemisphere and cannot fly.",
	"The courier for Porto is called Swift Crane Logistics.",
	"Refunds above 200 euros must be approved by the finance team.",
	"Our VPN is reached at vpn.example.com with the company account.",
	"Maria Sousa is responsible for the accounts of hospitals.",
	"Returned laptops are wiped and stored in the cage on floor 2.",
	"The coffee machine is descaled every second Friday.",
	"Passwords expire after ninety days and need twelve characters.",
	"Holiday requests go to the team lead two weeks ahead.",
	"Parking is free for visitors on level B of the garage.",
	"The backup of the database runs each night at two o'clock.",
	"Travel by train is booked in second class below three hours.",
	"Fire drills take place twice a year, in April and October.",
	"Die Kantine hat von elf bis vierzehn Uhr ge\u00f6ffnet.",
	"\u6771\u4eac\u306e\u4e8b\u52d9\u6240\u306f\u4e5d\u6642\u306b\u958b\u304d\u307e\u3059\u3002",
}

func TestQuestionsFindTheirAnswers(t *testing.T) {
	t.Parallel()
	stored := embed(t, base...)
	for question, want := range map[string]int{
		"When does the warehouse in Lisbon open?":    0,
		"at what time do you open your warehouse?":   0,
		"when do I get my invoice?":                  1,
		"Can a penguin fly?":                         2,
		"What is the courier for Porto called?":      3,
		"Which logistics company delivers to Porto?": 3,
		"Who approves a refund of 300 euros?":        4,
		"how do i connect to the vpn":                5,
		"Who looks after the hospital accounts?":     6,
		"Who is Maria?":                              6,
		"Where do I store a returned laptop?":        7,
		"How often is the coffee machine descaled?":  8,
		"How long must a password be?":               9,
		"When does my password expire?":              9,
		"How do I request holidays?":                 10,
		"Where can visitors park?":                   11,
		"When is the database backed up?":            12,
		"May I book first class on a train?":         13,
		"When is the next fire drill?":               14,
		"Wann \u00f6ffnet die Kantine?":              15,
		"\u6771\u4eac\u306e\u4e8b\u52d9\u6240\u306f\u4f55\u6642\u306b\u958b\u304d\u307e\u3059\u304b": 16,
	} {
		q := embed(t, question)[0]
		best := 0
		for i := range stored {
			if embedding.Cosine(q, stored[i]) > embedding.Cosine(q, stored[best]) {
				best = i
			}
		}
		if best != want {
			t.Errorf("%q finds %q (%.3f), not %q (%.3f)", question, base[best], embedding.Cosine(q, stored[best]), base[want],
				embedding.Cosine(q, stored[want]))
		}
	}
}

func TestTwins(t *testing.T) {
	t.Parallel()
	for _, text := range base {
		for _, twin := range []string{
			strings.ToUpper(text), "  " + strings.ReplaceAll(text, " ", "\n\t ") + " ", strings.TrimRight(text, ".\u3002") + "!!",
			"\u201c" + strings.ReplaceAll(text, ",", ";") + "\u201d",
		} {
			v := embed(t, text, twin)
			if got := embedding.Cosine(v[0], v[1]); got < 0.95 {
				t.Errorf("%q and %q: %.4f; want 0.95 or more", text, twin, got)
			}
		}
	}
}

func TestOtherFactsAreNoTwins(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{
			"Plan A costs 10 dollars a month and includes support by mail on working days.",
			"Plan B costs 12 dollars a month and includes support by mail on working days.",
		},
		{"The meeting room on floor 2 seats 12 people.", "The meeting room on floor 3 seats 8 people."},
		{"Order 1041 was shipped on Monday.", "Order 1042 was shipped on Monday."},
		{"Refunds above 200 euros must be approved by the finance team.", "Refunds above 500 euros must be approved by the finance team."},
		{"The Lisbon office opens at nine in the morning.", "The Porto office opens at nine in the morning."},
		{"amber birch 5feceb66ffc86f38d952786c6d696c79", "amber birch 6b86b273ff34fce19d6b804eff5a3f57"},
		{"The key is in the box.", "The box is in the key safe."},
		{"Fact number 17 about the company.", "Fact number 18 about the company."},
		{"This is chunk 1 of a long document about the history of the port of Lisbon.", "This is chunk 2 of a long document about the history of the port of Lisbon."},
		{
			"Employees who travel abroad on business for more than 3 days may claim a daily allowance for meals, provided that they send the receipts to accounting.",
			"Employees who travel abroad on business for more than 5 days may claim a daily allowance for meals, provided that they send the receipts to accounting.",
		},
	} {
		v := embed(t, pair[0], pair[1])
		if got := embedding.Cosine(v[0], v[1]); got >= 0.95 {
			t.Errorf("%q and %q: %.4f; want less than 0.95", pair[0], pair[1], got)
		}
	}
}

// TestManyOfOneFrame checks that lists of like facts, as tables and catalogues give them, are all kept.
func TestManyOfOneFrame(t *testing.T) {
	t.Parallel()
	words := strings.Fields("amber birch cedar delta ember frost grove heron ivory jetty")
	for name, frame := range map[string]func(i int) string{
		"digest": func(i int) string {
			return fmt.Sprintf("%s %s %x", words[i/10], words[i%10], sha256.Sum256([]byte{byte(i)}))
		},
		"fact":  func(i int) string { return fmt.Sprintf("Fact number %d: the store keeps what it was told.", i) },
		"chunk": func(i int) string { return fmt.Sprintf("chunk %d", i) },
		"words": func(i int) string {
			return fmt.Sprintf("The %s room is next to the %s room.", words[i/10], words[i%10])
		},
		"price": func(i int) string {
			return fmt.Sprintf("Article %d costs %d.50 euros and ships within two days.", 1000+i, 10+i)
		},
		"capitals": func(i int) string {
			return fmt.Sprintf("%s street %d, open on weekdays", strings.ToUpper(words[i%10]), i)
		},
	} {
		var texts []string
		for i := range 100 {
			texts = append(texts, frame(i))
		}
		v := embed(t, texts...)
		for i := range v {
			for j := range i {
				if c := embedding.Cosine(v[i], v[j]); c >= 0.95 {
					t.Errorf("%s: %q and %q: %.4f", name, texts[j], texts[i], c)
				}
			}
		}
	}
}

func FuzzEmbed(f *testing.F) {
	for _, s := range append([]string{"", " ", "\xff", "a\x00b", "1.2,3", "\u0301", "'", "\u1e9e\ufb01"}, base...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v := embed(t, text, text)
		var sum float64
		for i, x := range v[0] {
			sum += float64(x) * float64(x)
			if v[1][i] != x {
				t.Fatalf("%q has two vectors", text)
			}
		}
		if math.Abs(sum-1) > 1e-5 { // not a number fails, too
			t.Fatalf("%q has the square norm %g", text, sum)
		}
	})
}

func BenchmarkEmbed(b *testing.B) {
	e := hashing.New()
	for b.Loop() {
		if _, err := e.Embed(b.Context(), base[:1]); err != nil {
			b.Fatal(err)
		}
	}
}
