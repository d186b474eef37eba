package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the bare limit on Postgres
	_ "modernc.org/sqlite"             // the bare limit on SQLite
)

// caller is an HTTP client whose connections are kept, one per goroutine.
func (b *bench) caller() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.connections, MaxConnsPerHost: b.connections}}
}

func send(ctx context.Context, c *http.Client, method, url, key string, body []byte) error {
	var in io.Reader
	if body != nil {
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return err
	}
	req.Header.Set("X-Api-Key", key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, res.Status, raw)
	}
	return err
}

func (b *bench) agent(ctx context.Context) (string, error) {
	var made struct {
		ID string `json:"id"`
	}
	err := b.server.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "load", "model": "offline", "system": "You help."}, &made)
	return made.ID, err
}

// reads measures GET /v1/agents/{id} beside a bare handler that writes the same bytes.
func (b *bench) reads(ctx context.Context) error {
	agent, err := b.agent(ctx)
	if err != nil {
		return err
	}
	var answer json.RawMessage
	if err := b.server.Call(ctx, "GET", "/v1/agents/"+agent, "", nil, &answer); err != nil {
		return err
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	defer bare.Close()
	return b.compare(ctx, "agent reads", "bare net/http handler, same JSON",
		func(c *http.Client) func(context.Context, int, int) error {
			return func(ctx context.Context, _, _ int) error {
				return send(ctx, c, "GET", b.server.URL+"/v1/agents/"+agent, b.server.Key, nil)
			}
		},
		func(c *http.Client) func(context.Context, int, int) error {
			return func(ctx context.Context, _, _ int) error { return send(ctx, c, "GET", bare.URL, "", nil) }
		})
}

// compare measures two things one after the other and prints both and their ratio.
func (b *bench) compare(ctx context.Context, what, other string, fn, limit func(*http.Client) func(context.Context, int, int) error) error {
	got, err := hammer(ctx, b.connections, b.span, fn(b.caller()))
	if err != nil {
		return err
	}
	want, err := hammer(ctx, b.connections, b.span, limit(b.caller()))
	if err != nil {
		return err
	}
	b.say(what, "%s", got)
	b.say("  "+other, "%s   ratio %.2f", want, got.rate()/want.rate())
	return nil
}

// creates measures POST /v1/agents beside a single-row transaction on the same kind of database.
func (b *bench) creates(ctx context.Context) error {
	insert, closeDB, err := b.plainInsert(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	body := []byte(`{"name":"load","model":"offline","system":"You help."}`)
	return b.compare(ctx, "agent creates", "plain single-row transaction, same database",
		func(c *http.Client) func(context.Context, int, int) error {
			return func(ctx context.Context, _, _ int) error {
				return send(ctx, c, "POST", b.server.URL+"/v1/agents", b.server.Key, body)
			}
		},
		func(*http.Client) func(context.Context, int, int) error {
			return func(ctx context.Context, _, n int) error { return insert(ctx, n) }
		})
}

// plainInsert returns a function that inserts one row in a transaction of its own, durably.
func (b *bench) plainInsert(ctx context.Context) (insert func(context.Context, int) error, closeDB func(), err error) {
	driver, url := "sqlite", "file:"+filepath.Join(b.dir, "plain.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate"
	table, query := "CREATE TABLE plain_load (id INTEGER PRIMARY KEY, body TEXT NOT NULL)", "INSERT INTO plain_load (body) VALUES ($1)"
	if b.database != "" {
		driver, url = "pgx", b.database
		table = "CREATE TABLE IF NOT EXISTS plain_load (id BIGSERIAL PRIMARY KEY, body TEXT NOT NULL)"
	}
	db, err := sql.Open(driver, url)
	if err != nil {
		return nil, nil, err
	}
	if b.database == "" {
		db.SetMaxOpenConns(1)
	} else {
		db.SetMaxOpenConns(b.connections)
	}
	if _, err := db.ExecContext(ctx, table); err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, n int) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, query, fmt.Sprintf("row %d of a load test", n)); err != nil {
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	}, func() { _ = db.Close() }, nil
}

// firstRequest measures from sending a message to the arrival of the first request at the model.
func (b *bench) firstRequest(ctx context.Context) error {
	var made struct {
		ID string `json:"id"`
	}
	if err := b.server.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "talker", "model": "fake"}, &made); err != nil {
		return err
	}
	arrivals, err := b.model.measure(ctx, 300, func(ctx context.Context, text string) error {
		var session struct {
			ID string `json:"id"`
		}
		if err := b.server.Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": made.ID}, &session); err != nil {
			return err
		}
		b.model.mark()
		return b.server.Call(ctx, "POST", "/v1/sessions/"+session.ID+"/events", "", map[string]any{"events": []any{
			map[string]any{"type": "user.message", "content": []any{map[string]any{"type": "text", "text": text}}},
		}}, nil)
	})
	if err != nil {
		return err
	}
	b.say("message to first model request", "p50 %-9s p99 %s", arrivals.at(0.5), arrivals.at(0.99))
	return nil
}

// payments measures POST .../wallet/payments on one hot wallet.
func (b *bench) payments(ctx context.Context) error {
	return b.pay(ctx, "payments, one hot wallet", nil)
}

// pluginRule measures the same with a rule in its own process in the path.
func (b *bench) pluginRule(ctx context.Context) error {
	rules := []any{map[string]any{"plugin": "approval_threshold", "config": map[string]any{"threshold": "1000", "currency": "USDC"}}}
	return b.pay(ctx, "payments, plugin rule in the path", rules)
}

func (b *bench) pay(ctx context.Context, what string, rules []any) error {
	agent, err := b.agent(ctx)
	if err != nil {
		return err
	}
	type amount map[string]string
	if err := b.server.Call(ctx, "POST", "/v1/agents/"+agent+"/wallet/deposits", "", map[string]any{
		"amount": amount{"amount": "10000000", "currency": "USDC"}, "description": "load",
	}, nil); err != nil {
		return err
	}
	policy := map[string]any{"scope": map[string]any{"agent_id": agent}, "limits": map[string]any{
		"max_per_transaction": amount{"amount": "5", "currency": "USDC"}, "daily_limit": amount{"amount": "9000000", "currency": "USDC"},
	}}
	if rules != nil {
		policy["rules"] = rules
	}
	if err := b.server.Call(ctx, "POST", "/v1/policies", "", policy, nil); err != nil {
		return err
	}
	body := []byte(`{"amount":{"amount":"0.01","currency":"USDC"},"payee":"vendor.example","description":"load"}`)
	if err := b.untilPaid(ctx, agent, body); err != nil {
		return err
	}
	for _, callers := range []int{1, b.connections} {
		c := b.caller()
		got, err := hammer(ctx, callers, b.span, func(ctx context.Context, _, _ int) error {
			return send(ctx, c, "POST", b.server.URL+"/v1/agents/"+agent+"/wallet/payments", b.server.Key, body)
		})
		if err != nil {
			return err
		}
		b.say(fmt.Sprintf("%s, %d callers", what, callers), "%s", got)
	}
	return nil
}

// untilPaid pays once, trying again while a rule's process starts.
func (b *bench) untilPaid(ctx context.Context, agent string, body []byte) error {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		var answer struct {
			Status   string `json:"status"`
			Decision struct {
				Reason string `json:"reason"`
			} `json:"decision"`
		}
		if err := b.server.Call(ctx, "POST", "/v1/agents/"+agent+"/wallet/payments", "", json.RawMessage(body), &answer); err != nil {
			return err
		}
		if answer.Status == "completed" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no payment goes through: %s: %s", answer.Status, answer.Decision.Reason)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
