package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // what events are compared with

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/ports/id"
)

var (
	benchRows    = flag.Int("events.rows", 5_000_000, "events that there are while BenchmarkEventsAmongMany reads one agent's last")
	benchCleanup = flag.Int("events.cleanup", 1_000_000, "of them, events that it deletes")
)

const (
	benchAgents      = 10
	benchBatch       = 500
	benchConnections = 8
)

// BenchmarkEvents reports events over HTTP: batches of 500 by 8 connections, in turns with as many rows by plain SQL into the same table of the same
// database, each batch committed: multi-row INSERTs on SQLite, COPY by 8 connections on Postgres. Then events one by one. The ratio is
// that of the rates; the load generator shares the machine and the process with the server.
func BenchmarkEvents(b *testing.B) {
	eachEventBench(b, func(b *testing.B, e *eventBench) {
		b.Run("batch", e.batches)
		for _, callers := range []int{1, benchConnections} {
			b.Run("single/connections="+strconv.Itoa(callers), func(b *testing.B) {
				b.ReportAllocs()
				took := e.hammer(b, callers, b.N, func(n int) error { return e.post("/compat/valar/events", e.single[n%benchAgents]) })
				percentiles(b, took, "")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	})
}

// BenchmarkEventsAmongMany reads the last 50 events of one agent among -events.rows, with X-Total-Count, and then deletes -events.cleanup of them
// while events come in.
func BenchmarkEventsAmongMany(b *testing.B) {
	eachEventBench(b, func(b *testing.B, e *eventBench) {
		e.fill(b, *benchRows, *benchCleanup)
		b.Run("last50", func(b *testing.B) {
			took := e.hammer(b, 1, b.N, func(n int) error {
				return e.get("/compat/valar/events?limit=50&agent_id=" + e.agents[n%benchAgents])
			})
			percentiles(b, took, "")
		})
		b.Run("cleanup", e.cleanup)
	})
}

// eventBench is a server with agents, and the plain database beside it.
type eventBench struct {
	*apptest.Server

	client *http.Client
	db     *sql.DB
	url    string // of the Postgres database; "" is SQLite
	tenant []byte
	agents []string
	batch  [][]byte // a body of each agent
	single [][]byte
	ids    id.Generator

	cleaned func(*testing.B)
}

func eachEventBench(b *testing.B, bench func(*testing.B, *eventBench)) {
	b.Helper()
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			url, dir := "", b.TempDir()
			if name == "postgres" {
				url = apptest.PostgresURL(b)
			}
			bench(b, newEventBench(b, url, dir))
		})
	}
}

func newEventBench(b *testing.B, url, dir string) *eventBench {
	b.Helper()
	key := "bur_" + strings.Repeat("be", 32)
	e := &eventBench{
		url: url, ids: id.NewGenerator(time.Now),
		client: &http.Client{Transport: &benchTransport{key, &http.Transport{MaxIdleConnsPerHost: 2 * benchConnections}}},
	}
	e.Server = apptest.Start(b, apptest.Config{DatabaseURL: url, Change: func(c *app.Config) { c.DataDir, c.APIKey = dir, key }})
	e.WaitForPlugins() // their installation would take part
	driver, source := "sqlite", "file:"+filepath.Join(dir, "bureau.db")+
		"?_txlock=immediate&_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	if url != "" {
		driver, source = "pgx", url
	}
	var err error
	if e.db, err = sql.Open(driver, source); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.db.Close() })
	e.db.SetMaxOpenConns(benchConnections)
	e.db.SetMaxIdleConns(benchConnections)
	for i := range benchAgents {
		var made struct{ ID string }
		e.Admin.Call("POST", "/compat/valar/agents", m{"name": "bench " + strconv.Itoa(i), "type": "assistant"}, &made)
		e.agents = append(e.agents, made.ID)
		var items []m
		for n := range benchBatch {
			items = append(items, m{
				"agent_id": made.ID, "event_type": []string{"task_started", "task_completed", "api_call"}[n%3], "source": "scheduler",
				"level": "info", "payload": m{"task": "summarize_meeting", "n": n, "took_ms": 12.5, "user": m{"id": "u-4711", "plan": "team"}},
			})
		}
		body, _ := json.Marshal(m{"events": items})
		e.batch = append(e.batch, body)
		body, _ = json.Marshal(items[0])
		e.single = append(e.single, body)
	}
	if err := e.post("/compat/valar/events", e.single[0]); err != nil {
		b.Fatal(err)
	}
	query := "SELECT tenant_id FROM telemetry_events"
	if url != "" {
		query = "SELECT uuid_send(tenant_id) FROM telemetry_events"
	}
	if err := e.db.QueryRow(query).Scan(&e.tenant); err != nil {
		b.Fatal(err)
	}
	return e
}

// benchTransport signs requests.
type benchTransport struct {
	key string
	http.RoundTripper
}

func (t *benchTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header["X-Api-Key"] = []string{t.key}
	return t.RoundTripper.RoundTrip(r)
}

func (e *eventBench) post(path string, body []byte) error {
	return wants(http.StatusCreated)(e.client.Post(e.URL+path, "application/json", bytes.NewReader(body)))
}

func (e *eventBench) get(path string) error {
	return wants(http.StatusOK)(e.client.Get(e.URL + path))
}

func wants(status int) func(*http.Response, error) error {
	return func(res *http.Response, err error) error {
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != status {
			raw, _ := io.ReadAll(res.Body)
			return fmt.Errorf("%s: %s", res.Status, raw)
		}
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
}

// hammer has callers do something n times in all, and returns how long each time took.
func (e *eventBench) hammer(b *testing.B, callers, n int, do func(n int) error) []time.Duration {
	b.Helper()
	took := make([]time.Duration, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				began := time.Now()
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	wg.Wait()
	return took
}

func percentiles(b *testing.B, took []time.Duration, prefix string) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), prefix+"p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), prefix+"p99-µs")
}

// batches takes turns of 40 batches.
func (e *eventBench) batches(b *testing.B) {
	plain := e.plainPostgres
	if e.url == "" {
		plain = e.plainSQLite
	}
	rows := e.rows(b)
	heap := watchMemory()
	var served, bare time.Duration
	const turn = 40
	done := 0
	for ; done < b.N; done += turn {
		began := time.Now()
		e.hammer(b, benchConnections, turn, func(n int) error { return e.post("/compat/valar/events/batch", e.batch[n%benchAgents]) })
		served += time.Since(began)
		began = time.Now()
		plain(b, turn, rows)
		bare += time.Since(began)
	}
	events := float64(done * benchBatch)
	b.ReportMetric(events/served.Seconds(), "events/s")
	b.ReportMetric(events/bare.Seconds(), "plain/s")
	b.ReportMetric(bare.Seconds()/served.Seconds(), "ratio")
	b.ReportMetric(heap(), "heap-MB")
	b.ReportMetric(0, "ns/op")
}

// row is an event as plain SQL writes it.
type row struct {
	agent         id.UUID
	kind, payload string
}

// rows are those of the bodies, by agent.
func (e *eventBench) rows(b *testing.B) [][]row {
	b.Helper()
	out := make([][]row, benchAgents)
	for i, body := range e.batch {
		var batch struct {
			Events []struct {
				Type    string `json:"event_type"`
				Payload json.RawMessage
			}
		}
		agent, err := id.ParseUUID(e.agents[i])
		if err != nil || json.Unmarshal(body, &batch) != nil {
			b.Fatal(err)
		}
		for _, ev := range batch.Events {
			out[i] = append(out[i], row{agent, ev.Type, string(ev.Payload)})
		}
	}
	return out
}

const plainColumns = "tenant_id, agent_id, at, id, given, level, type, source, trace_id, parent_id, payload"

// newID returns an id with its time.
func (e *eventBench) newID() (u id.UUID, at int64) {
	u = e.ids.NewUUID()
	for _, x := range u[:6] {
		at = at<<8 | int64(x)
	}
	return u, at
}

// plainSQLite writes by one connection, which is all that SQLite lets write, in prepared statements of a hundred rows.
func (e *eventBench) plainSQLite(b *testing.B, batches int, rows [][]row) {
	b.Helper()
	const each = 100
	ctx := context.Background()
	conn, err := e.db.Conn(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	stmt, err := conn.PrepareContext(ctx, "INSERT INTO telemetry_events ("+plainColumns+") VALUES "+
		strings.Repeat("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?), ", each-1)+"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	defer stmt.Close()
	args := make([]any, 0, 11*each)
	for n := range batches {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			b.Fatal(err)
		}
		for chunk := range slices.Chunk(rows[n%benchAgents], each) {
			args = args[:0]
			for _, r := range chunk {
				u, at := e.newID()
				args = append(args, e.tenant, r.agent[:], at, u[:], 0, 0, r.kind, "scheduler", nil, nil, r.payload)
			}
			if _, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // the transaction closes it
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

// plainPostgres copies by as many connections as there are callers.
func (e *eventBench) plainPostgres(b *testing.B, batches int, rows [][]row) {
	b.Helper()
	tenant := [16]byte(e.tenant)
	e.hammer(b, benchConnections, batches, func(n int) error {
		conn, err := e.db.Conn(context.Background())
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.Raw(func(dc any) error {
			of := rows[n%benchAgents]
			_, err := dc.(*stdlib.Conn).Conn().CopyFrom(context.Background(), pgx.Identifier{"telemetry_events"}, strings.Split(plainColumns, ", "),
				pgx.CopyFromSlice(len(of), func(i int) ([]any, error) {
					u, at := e.newID()
					return []any{tenant, [16]byte(of[i].agent), at, [16]byte(u), false, int16(0), of[i].kind, "scheduler", nil, nil, of[i].payload}, nil
				}))
			return err
		})
	})
}

// fill makes the table as large as it has to be, by plain SQL; old of the rows are 60 days old.
func (e *eventBench) fill(b *testing.B, rows, old int) {
	b.Helper()
	const day = 24 * 3600 * 1000
	now := time.Now().UnixMilli()
	// The last six bytes of an id number the row; its time goes on by a millisecond with each.
	made := `WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO telemetry_events (` + plainColumns + `) SELECT ?3, a.id, ?4 + i, unhex(printf('%012x7000800000%010x', ?4 + i, i)), 0, 0, 'api_call', 'scheduler',
		NULL, NULL, '{"task":"summarize_meeting","n":' || i || ',"user":{"id":"u-4711","plan":"team"}}'
		FROM n JOIN (SELECT key AS number, unhex(replace(value, '-', '')) AS id FROM json_each(?5)) AS a ON a.number = i % ` + strconv.Itoa(benchAgents)
	if e.url != "" {
		made = `INSERT INTO telemetry_events (` + plainColumns + `) SELECT encode($3, 'hex')::uuid, a.id, $4 + i,
			(lpad(to_hex($4 + i), 12, '0') || '7000800000' || lpad(to_hex(i), 10, '0'))::uuid, false, 0, 'api_call', 'scheduler',
			NULL, NULL, '{"task":"summarize_meeting","n":' || i || ',"user":{"id":"u-4711","plan":"team"}}'
			FROM generate_series($1::bigint, $2::bigint) AS i JOIN (SELECT (number - 1) AS number, value::uuid AS id FROM
			json_array_elements_text($5::json) WITH ORDINALITY AS l(value, number)) AS a ON a.number = i % ` + strconv.Itoa(benchAgents)
	}
	agents, _ := json.Marshal(e.agents)
	began := time.Now()
	const chunk = 100_000
	for i := 0; i < rows; i += chunk {
		last := min(i+chunk, rows) - 1
		at := now - 20*day
		if i < old {
			at, last = now-60*day, min(last, old-1)
		}
		if _, err := e.db.Exec(made, i, last, e.tenant, at, string(agents)); err != nil {
			b.Fatal(err)
		}
	}
	kinds := `INSERT INTO telemetry_event_kinds (tenant_id, agent_id, type, source, level, events) SELECT tenant_id, agent_id, type, source, level, count(*)
		FROM telemetry_events WHERE true GROUP BY 1, 2, 3, 4, 5 ON CONFLICT (tenant_id, agent_id, type, source, level) DO UPDATE SET events = excluded.events`
	for _, q := range []string{kinds, "ANALYZE telemetry_events"} {
		if _, err := e.db.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("%d events made in %s", rows, time.Since(began).Round(time.Second))
}

// cleanup deletes the old events while others come in. There is one crowd of old events, so it does so once, however often it is called.
func (e *eventBench) cleanup(b *testing.B) {
	if e.cleaned == nil {
		e.cleaned = e.cleanOnce(b)
	}
	e.cleaned(b)
}

// cleanOnce returns what reports the figures.
func (e *eventBench) cleanOnce(b *testing.B) (report func(*testing.B)) {
	b.Helper()
	quiet := e.hammer(b, 1, 500, func(n int) error { return e.post("/compat/valar/events", e.single[n%benchAgents]) })
	heap := watchMemory()
	done := make(chan struct{})
	var took []time.Duration
	var load sync.WaitGroup
	load.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			began := time.Now()
			if err := e.post("/compat/valar/events", e.single[n%benchAgents]); err != nil {
				b.Error(err)
				return
			}
			took = append(took, time.Since(began))
		}
	})
	began := time.Now()
	req, _ := http.NewRequest(http.MethodDelete, e.URL+"/compat/valar/events?older_than_days=30", nil)
	if err := wants(http.StatusOK)(e.client.Do(req)); err != nil {
		b.Error(err)
	}
	span := time.Since(began)
	close(done)
	load.Wait()
	top, resident := heap(), rss()
	return func(b *testing.B) {
		percentiles(b, quiet, "before-")
		percentiles(b, took, "ingest-")
		b.ReportMetric(float64(*benchCleanup)/span.Seconds(), "deleted/s")
		b.ReportMetric(top, "heap-MB")
		b.ReportMetric(resident, "rss-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// watchMemory returns a function that ends the watch and says how large the heap was at most, in MB.
func watchMemory() func() float64 {
	most, stop := make(chan uint64), make(chan struct{})
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		var top uint64
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			top = max(top, s.HeapInuse)
			select {
			case <-tick.C:
			case <-stop:
				most <- top
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return float64(<-most) / (1 << 20)
	}
}

// rss returns the memory of this process in MB.
func rss() float64 {
	raw, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(raw))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
