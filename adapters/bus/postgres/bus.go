// Package postgres is the bus of a server whose processes share a Postgres database: LISTEN/NOTIFY.
//
// All topics go over one channel. Each process listens on one connection of its own and sends what it publishes in batches
// through the store's pool. Subscribers in the publishing process get a message at once, without the way over the database.
// While the listening connection is down, messages from other processes are lost, which the port allows.
package postgres

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/bureau-agents/bureau/adapters/internal/fanout"
	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/ports/bus"
)

const (
	channel    = "bureau_bus"
	senderSize = 16
	maxNotify  = 7999 // bytes in one NOTIFY, https://www.postgresql.org/docs/17/sql-notify.html
	maxPending = 4096 // notifications that wait to be sent; the oldest make way
	maxBatch   = 256  // notifications in one statement
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	sendTime   = 5 * time.Second
)

// Config says which database carries the messages.
type Config struct {
	// Store is the handle of a store on Postgres (bunstore's Store.SQL()); required.
	Store *sqltx.Handle
	// Logger gets lost connections; nil is slog.Default().
	Logger *slog.Logger
}

// Bus carries messages between processes. A subscriber that falls more than 256 messages behind loses the oldest.
type Bus struct {
	cfg    Config
	sender string // tells this process's own messages from the others'
	hub    fanout.Hub
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	pending [][]string // each the notifications of one message, which stay together
	size    int
	wake    chan struct{}
}

var _ bus.Bus = (*Bus)(nil)

// New listens, and returns once the database hears it.
func New(ctx context.Context, cfg Config) (*Bus, error) {
	if cfg.Store == nil || cfg.Store.Dialect != sqltx.Postgres {
		return nil, errors.New("postgres bus: Config.Store is required and must be on Postgres")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	b := &Bus{cfg: cfg, sender: rand.Text()[:senderSize], wake: make(chan struct{}, 1)}
	conn, err := b.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("postgres bus: %w", err)
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	b.wg.Go(func() { b.listen(run, conn) })
	b.wg.Go(func() { b.send(run) })
	return b, nil
}

// Close sends what waits and ends the connection. Subscriptions get no more messages from other processes.
func (b *Bus) Close() error {
	b.cancel()
	b.wg.Wait()
	return nil
}

// Publish implements bus.Bus. It returns before the message is on its way.
func (b *Bus) Publish(_ context.Context, topic string, payload []byte) error {
	if err := fanout.Check(topic, payload); err != nil {
		return err
	}
	b.hub.Deliver(topic, payload)
	parts := encode(b.sender, topic, payload)
	b.mu.Lock()
	for b.size+len(parts) > maxPending {
		b.size -= len(b.pending[0])
		b.pending = b.pending[1:]
	}
	b.pending = append(b.pending, parts)
	b.size += len(parts)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *Bus) Subscribe(ctx context.Context, topic string, fn func(payload []byte)) (stop func(), err error) {
	return b.hub.Subscribe(ctx, topic, fn)
}

// send notifies the others until ctx ends, and then of what still waits.
func (b *Bus) send(ctx context.Context) {
	for more := true; more; {
		select {
		case <-b.wake:
		case <-ctx.Done():
			more = false
		}
		for batch := b.take(); len(batch) > 0; batch = b.take() {
			c, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
			_, err := b.cfg.Store.DB.ExecContext(c, "SELECT pg_notify($1, p) FROM unnest($2::text[]) WITH ORDINALITY AS u(p, n) ORDER BY n",
				channel, batch)
			cancel()
			if err != nil {
				b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "bus: messages lost", slog.Int("count", len(batch)), slog.Any("error", err))
			}
		}
	}
}

// take removes the next batch. What is published meanwhile shares a later one.
func (b *Bus) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var batch []string
	for len(b.pending) > 0 && len(batch)+len(b.pending[0]) <= maxBatch {
		batch = append(batch, b.pending[0]...)
		b.pending = b.pending[1:]
	}
	b.size -= len(batch)
	return batch
}

func (b *Bus) connect(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := sqltx.PostgresConfig(b.cfg.Store.URL)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = "bureau bus"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, nil
}

// listen delivers what the others publish, and connects anew when the connection is lost.
func (b *Bus) listen(ctx context.Context, conn *pgx.Conn) {
	backoff := minBackoff
	halves := map[string]string{} // per sender, the first half of a message whose second half comes next
	for ctx.Err() == nil {
		if conn != nil {
			n, err := conn.WaitForNotification(ctx)
			if err == nil {
				backoff = minBackoff
				b.receive(n.Payload, halves)
				continue
			}
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = conn.Close(end)
			cancel()
			conn = nil
			clear(halves)
			if ctx.Err() != nil {
				return
			}
			b.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "bus: connection lost", slog.Any("error", err))
		}
		t := time.NewTimer(backoff/2 + mathrand.N(backoff))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		backoff = min(2*backoff, maxBackoff)
		if c, err := b.connect(ctx); err == nil {
			conn = c
		}
	}
	if conn != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}
}

func (b *Bus) receive(notification string, halves map[string]string) {
	if len(notification) <= senderSize || notification[:senderSize] == b.sender {
		return
	}
	topic, payload, ok := decode(notification, halves)
	if ok {
		b.hub.Deliver(topic, payload)
	}
}

// How a message looks in a notification, which is text without zero bytes: sender, form, topic, space, body.
const (
	formText  = 't' // the body is the payload
	formBytes = 'b' // the body is the payload in base64
	formFirst = '1' // the body is the first half of the payload in base64; formBytes with the rest follows from the same sender
)

func encode(sender, topic string, payload []byte) []string {
	text := string(payload)
	if utf8.ValidString(text) && !strings.Contains(text, "\x00") {
		return []string{sender + string(formText) + topic + " " + text}
	}
	head := senderSize + 1 + len(topic) + 1
	body := base64.StdEncoding.EncodeToString(payload)
	room := (maxNotify - head) / 4 * 4
	if len(body) <= room {
		return []string{sender + string(formBytes) + topic + " " + body}
	}
	return []string{
		sender + string(formFirst) + topic + " " + body[:room],
		sender + string(formBytes) + topic + " " + body[room:],
	}
}

func decode(n string, halves map[string]string) (topic string, payload []byte, ok bool) {
	sender, form := n[:senderSize], n[senderSize]
	topic, body, ok := strings.Cut(n[senderSize+1:], " ")
	if !ok {
		return "", nil, false
	}
	switch form {
	case formText:
		return topic, []byte(body), true
	case formFirst:
		halves[sender] = body
		return "", nil, false
	case formBytes:
		body = halves[sender] + body
		delete(halves, sender)
		payload, err := base64.StdEncoding.DecodeString(body)
		return topic, payload, err == nil
	}
	return "", nil, false
}
