package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the bare limit on Postgres
	_ "modernc.org/sqlite"             // the bare limit on SQLite
)

// client keeps a connection for each caller.
func (b *bench) client() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: b.connections, MaxConnsPerHost: b.connections}}
}

// request returns a function that sends the same request again and again and wants a success.
func (b *bench) request(method, url string, body []byte) func(context.Context) error {
	client := b.client()
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Api-Key", b.server.Key)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := client.Do(req)
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
}

// made is the answer to every creation.
type made struct {
	ID string `json:"id"`
}

func (b *bench) agent(ctx context.Context, model string) (string, error) {
	var m made
	err := b.server.Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "load", "model": model, "system": "You help."}, &m)
	return m.ID, err
}

// turns is how often compare changes between the two.
const turns = 6

// compare measures something with all callers and prints it beside its limit. They take turns, so that whatever else the machine
// does slows both.
func (b *bench) compare(ctx context.Context, what, other string, fn, limit func(context.Context) error) error {
	var got, bare sample
	for range turns {
		s, err := b.hammer(ctx, b.connections, b.span/turns, fn)
		if err != nil {
			return err
		}
		got.add(s)
		if s, err = loop(ctx, b.connections, b.span/turns, limit); err != nil {
			return err
		}
		bare.add(s)
	}
	b.say(what, "%s", got)
	b.say("  "+other, "%s  ratio %.2f", bare, got.rate()/bare.rate())
	return nil
}

// reads measures GET /v1/agents/{id} beside a bare handler that writes the same bytes.
func (b *bench) reads(ctx context.Context) error {
	agent, err := b.agent(ctx, "offline")
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
		b.request("GET", b.server.URL+"/v1/agents/"+agent, nil), b.request("GET", bare.URL, nil))
}

// creates measures POST /v1/agents beside a single-row transaction.
func (b *bench) creates(ctx context.Context) error {
	db, err := b.plainDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return b.compare(ctx, "agent creates", plainName,
		b.request("POST", b.server.URL+"/v1/agents", []byte(`{"name":"load","model":"offline","system":"You help."}`)), plainInsert(db))
}

// makeDatabase makes an empty database on a Postgres server, and returns its URL and what drops it.
func makeDatabase(ctx context.Context, server string) (address string, drop func(), err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.New("the URL of the database cannot be read")
	}
	db, err := sql.Open("pgx", server)
	if err != nil {
		return "", nil, err
	}
	name := fmt.Sprintf("bureau_load_%d", time.Now().UnixNano())
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, errors.Join(err, db.Close())
	}
	u.Path = "/" + name
	return u.String(), func() {
		_, _ = db.ExecContext(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		_ = db.Close()
	}, nil
}

const plainName = "plain single-row transaction, same database"

// plainDatabase opens a database of the server's kind, with one table.
func (b *bench) plainDatabase(ctx context.Context) (*sql.DB, error) {
	driver, address, open := "pgx", b.database, b.connections
	if b.database == "" {
		q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)"}, "_txlock": {"immediate"}}
		driver, address, open = "sqlite", "file:"+filepath.Join(b.dir, "plain.db")+"?"+q.Encode(), 1
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(open)
	db.SetMaxIdleConns(open)
	_, err = db.ExecContext(ctx, "DROP TABLE IF EXISTS plain_load")
	if err == nil {
		_, err = db.ExecContext(ctx, "CREATE TABLE plain_load (body TEXT NOT NULL)")
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// plainInsert inserts one row in a transaction of its own, durably.
func plainInsert(db *sql.DB) func(context.Context) error {
	return func(ctx context.Context) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO plain_load (body) VALUES ($1)", "a row of a load test"); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	}
}

// messages is how many are sent for the delay to the first request at the model.
const messages = 300

// firstRequest measures from sending a message to the arrival of the first request at the model.
func (b *bench) firstRequest(ctx context.Context) error {
	agent, err := b.agent(ctx, "fake")
	if err != nil {
		return err
	}
	arrivals, err := b.model.measure(ctx, messages, func(ctx context.Context, text string) error {
		var session made
		if err := b.server.Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": agent}, &session); err != nil {
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
	b.say("message to first model request", "%9s  p50 %-8s p99 %s", "", arrivals.at(0.5), arrivals.at(0.99))
	return nil
}

// payments measures POST .../wallet/payments on one hot wallet, without a plugin rule and with one, beside a single-row transaction.
func (b *bench) payments(ctx context.Context) error {
	if err := b.server.Call(ctx, "POST", "/v1/plugins/install-shipped", "", nil, nil); err != nil {
		return err
	}
	rule := map[string]any{"plugin": "approval_threshold", "config": map[string]any{"threshold": "1000", "currency": "USDC"}}
	for _, kind := range []struct {
		what  string
		rules []any
	}{
		{"payments, one wallet", []any{}},
		{"payments, one wallet, plugin rule", []any{rule}},
	} {
		pay, err := b.spender(ctx, kind.rules)
		if err != nil {
			return err
		}
		alone, err := b.hammer(ctx, 1, b.span, pay)
		if err != nil {
			return err
		}
		b.say(kind.what+", 1 caller", "%s", alone)
		db, err := b.plainDatabase(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := b.compare(ctx, fmt.Sprintf("%s, %d callers", kind.what, b.connections), plainName, pay, plainInsert(db)); err != nil {
			return err
		}
	}
	return nil
}

// spender returns a function that pays out of the wallet of a new agent whose policy has caps and rules.
func (b *bench) spender(ctx context.Context, rules []any) (func(context.Context) error, error) {
	agent, err := b.agent(ctx, "offline")
	if err != nil {
		return nil, err
	}
	usdc := func(amount string) map[string]string { return map[string]string{"amount": amount, "currency": "USDC"} }
	if err := b.server.Call(ctx, "POST", "/v1/agents/"+agent+"/wallet/deposits", "", map[string]any{
		"amount": usdc("10000000"), "description": "load",
	}, nil); err != nil {
		return nil, err
	}
	if err := b.server.Call(ctx, "POST", "/v1/policies", "", map[string]any{
		"scope":  map[string]any{"agent_id": agent},
		"limits": map[string]any{"max_per_transaction": usdc("5"), "daily_limit": usdc("9000000")},
		"rules":  rules,
	}, nil); err != nil {
		return nil, err
	}
	path := "/v1/agents/" + agent + "/wallet/payments"
	payment := map[string]any{"amount": usdc("0.01"), "payee": "vendor.example", "description": "load"}
	var first struct {
		Status   string `json:"status"`
		Decision struct {
			Reason string `json:"reason"`
		} `json:"decision"`
	}
	if err := b.server.Call(ctx, "POST", path, "", payment, &first); err != nil {
		return nil, err
	}
	if first.Status != "completed" {
		return nil, fmt.Errorf("no payment goes through: %s: %s", first.Status, first.Decision.Reason)
	}
	body, err := json.Marshal(payment)
	return b.request("POST", b.server.URL+path, body), err
}
