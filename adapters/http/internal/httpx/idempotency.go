package httpx

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

// maxIdempotencyKey is the most characters of an Idempotency-Key.
const maxIdempotencyKey = 255

func (c *call) readIdempotencyKey() error {
	key := c.r.Header.Get("Idempotency-Key")
	ok := len(key) <= maxIdempotencyKey
	for i := 0; ok && i < len(key); i++ {
		ok = key[i] >= 0x20 && key[i] < 0x7f
	}
	if !ok {
		return fault.Invalidf("header.Idempotency-Key", "must have at most %d printable ASCII characters", maxIdempotencyKey)
	}
	c.key = key
	return nil
}

// serveOnce answers a request that may be repeated. The answer is held back until it is stored; only success is stored, because a
// refused request had no effect and may be sent again, corrected or not.
func (c *call) serveOnce() {
	accounts := c.face.cfg.Accounts
	ticket, answer, err := accounts.BeginIdempotent(&c.ctx, c.scope, account.IdempotentRequest{
		Route: c.r.Method + " " + c.r.URL.Path, Key: c.key, Parts: [][]byte{[]byte(c.r.URL.RawQuery), c.body},
	})
	if err != nil {
		c.fail(err)
		return
	}
	if answer != nil {
		c.Header().Set("Idempotent-Replayed", "true")
		if c.op.Headers != nil {
			c.op.Headers(&c.ctx)
		}
		c.send(answer.Status, answer.ContentType, answer.Body)
		return
	}
	// The caller may hang up at any moment; what was done must be noted all the same.
	ctx := context.WithoutCancel(&c.ctx)
	settled := false
	abandon := func() {
		settled = true
		if err := accounts.AbandonIdempotent(ctx, c.scope, ticket); err != nil {
			c.face.cfg.Logger.WarnContext(ctx, "an idempotency record was not released", slog.String("request_id", c.id), slog.Any("error", err))
		}
	}
	defer func() {
		if !settled { // the handler panicked
			abandon()
		}
	}()
	c.holding = new(bytes.Buffer)
	c.op.run(c)
	held := c.holding
	c.holding = nil
	if c.status == 0 {
		c.status = http.StatusOK
	}
	// The record is settled before the answer goes out, so that whoever has it may send the request again at once.
	if c.status >= http.StatusBadRequest {
		abandon()
	} else {
		settled = true // done is done: when storing fails, a repetition has to wait and does not run at once
		a := account.Answer{Status: c.status, ContentType: c.Header().Get("Content-Type"), Body: held.Bytes()}
		if err := accounts.EndIdempotent(ctx, c.scope, ticket, a, c.op.Secret); err != nil {
			c.face.cfg.Logger.WarnContext(ctx, "an idempotent answer was not stored", slog.String("request_id", c.id), slog.Any("error", err))
		}
	}
	c.WriteHeader(c.status)
	if held.Len() > 0 {
		_, _ = c.w.Write(held.Bytes())
	}
}

// discard drops an answer that was held back.
func (c *call) discard() { c.holding = nil }
