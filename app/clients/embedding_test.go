package clients

import (
	"bufio"
	"context"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// sentenceModel starts a server of a real sentence-embedding model and returns its address.
func sentenceModel(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../../scripts/embedding.sh").Output()
	if err != nil {
		t.Fatalf("the embedding model is not there: %v\n%s", err, stderrOf(err))
	}
	dir := strings.TrimSpace(string(out))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "python", "bin", "python"), "minilm/serve.py", filepath.Join(dir, "model"))
	cmd.Env = append(cmd.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1")
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // it was killed
	})
	url, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatalf("the embedding model did not start: %v", err)
	}
	return strings.TrimSpace(url)
}

// TestSentenceModel shows what a similarity of 0.95 means on real text, with a model that many use. Its similarities are those that
// the model's card gives, and were found by sentence-transformers too.
func TestSentenceModel(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	url := sentenceModel(t)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		c.Embedder = app.EmbedderConfig{Provider: "openai", BaseURL: url, Model: "all-MiniLM-L6-v2", Dimensions: 384}
	}})
	api := s.Admin.In(t)
	type skipped struct {
		DuplicateOf string `json:"duplicate_of"`
		Similarity  float64
	}
	type hit struct {
		Text, Source string
		Score        float64
	}
	agent := func(t *testing.T) string {
		var made struct{ ID string }
		api.In(t).Call("POST", "/v1/agents", map[string]any{"name": "reader", "model": "offline"}, &made)
		return made.ID
	}
	ingest := func(t *testing.T, agent string, texts ...string) (got struct {
		Stored        int
		SkippedChunks []skipped `json:"skipped_chunks"`
	}) {
		chunks := make([]map[string]string, len(texts))
		for i, text := range texts {
			chunks[i] = map[string]string{"text": text, "source": "office.md"}
		}
		api.In(t).Call("POST", "/v1/knowledge/ingest", map[string]any{"agent_id": agent, "chunks": chunks}, &got)
		return got
	}
	search := func(t *testing.T, agent, query string) []hit {
		var got struct{ Data []hit }
		api.In(t).Call("POST", "/v1/knowledge/search", map[string]any{"agent_id": agent, "query": query, "limit": 3}, &got)
		return got.Data
	}
	for _, pair := range []struct {
		a, b       string
		similarity float64
	}{
		{"That is a happy person", "That is a happy dog", 0.694},
		{"That is a happy person", "That is a very happy person", 0.943},
		// Twins: the same said again.
		{"How do I reset my password?", "How can I reset my password?", 0.992},
		{"The office in Lisbon opens at nine.", "The Lisbon office opens at nine.", 0.991},
		{"Penguins live in the southern hemisphere and cannot fly.", "Penguins cannot fly and live in the southern hemisphere.", 0.984},
		{"Invoices are sent on the first working day of each month.", "Invoices get sent on the first working day of every month.", 0.968},
		// Not twins, although they mean the same.
		{"Refunds are granted within 30 days.", "You get your money back for a month after buying.", 0.567},
		{"How do I reset my password?", "I forgot my password, what now?", 0.795},
		// Not twins, and close to it although they say the opposite, or another number.
		{"Refunds are granted within 30 days.", "Refunds are not granted within 30 days.", 0.928},
		{"Refunds are granted within 30 days.", "Refunds are granted within 14 days.", 0.949},
		// Twins to the model, which a number keeps apart.
		{"Order 4711 was shipped on May 3.", "Order 4712 was shipped on May 3.", 0.959},
	} {
		t.Run(pair.b, func(t *testing.T) {
			who := agent(t)
			got := ingest(t, who, pair.a, pair.b)
			if twins := pair.similarity >= 0.95; (len(got.SkippedChunks) == 1) != twins {
				t.Fatalf("%+v; want twins: %t", got, twins)
			}
			similarity := 0.0
			for _, h := range search(t, who, pair.b) {
				if h.Text == pair.a {
					similarity = h.Score
				}
			}
			for _, twin := range got.SkippedChunks {
				if math.Abs(twin.Similarity-similarity) > 1e-4 {
					t.Errorf("the twin is reported with %.4f, a search finds it with %.4f", twin.Similarity, similarity)
				}
			}
			if math.Abs(similarity-pair.similarity) > 0.002 {
				t.Errorf("similarity %.4f, want %.3f", similarity, pair.similarity)
			}
		})
	}
	t.Run("search by meaning", func(t *testing.T) {
		who := agent(t)
		ingest(t, who, "Employees are entitled to twenty-five days of paid leave.", "The canteen serves lunch from noon to two.",
			"Lost badges are replaced by the porter.", "Laptops are insured against theft.")
		for query, want := range map[string]string{
			"How much vacation do I get?":        "Employees are entitled",
			"Where can I eat at midday?":         "The canteen serves",
			"Who gives me another access badge?": "Lost badges",
			"Somebody has stolen my computer":    "Laptops are insured",
		} {
			if got := search(t, who, query); len(got) == 0 || !strings.HasPrefix(got[0].Text, want) {
				t.Errorf("%q finds %+v", query, got)
			}
		}
	})
}
