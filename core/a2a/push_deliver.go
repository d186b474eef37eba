package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/core/internal/lanes"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// The headers of a notification beside Authorization.
const (
	HeaderPushToken   = "X-A2A-Notification-Token" //nolint:gosec // the name of a header
	HeaderPushVersion = "A2A-Version"
	// HeaderPushID is the same each time that one change is posted to one configuration: receivers that must not act twice keep it.
	HeaderPushID = "X-A2A-Notification-Id"
)

const (
	maxDuePushes = 500 // that one look at the store finds
	pushBatch    = 50  // notifications of one configuration before others get its place
)

// pushRetries are the waits after failed attempts of a notification. After the last one, some eight hours in all, the configuration is given up.
func pushRetries() []time.Duration {
	return []time.Duration{
		time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
	}
}

// Run posts notifications until ctx ends, and returns when the requests that were on their way have been called off; those are made again later.
func (s *Pushes) Run(ctx context.Context) { s.lanes.Run(ctx) }

// Sweep posts what is due, waits for it, and returns how many configurations it went through. It is what Run does again and again.
func (s *Pushes) Sweep(ctx context.Context) (int, error) { return s.lanes.Sweep(ctx) }

// work is what Pushes does, configuration by configuration.
func (s *Pushes) work() lanes.Config[PushRef] {
	return lanes.Config[PushRef]{
		PollEvery: s.c.PollEvery, Concurrency: s.c.Concurrency, PerTenant: s.c.PerTenant, Drain: s.drain,
		Due:    func(ctx context.Context) ([]PushRef, error) { return s.d.Configs.Due(ctx, s.now(), maxDuePushes) },
		Tenant: func(r PushRef) id.Tenant { return r.Tenant },
		Trouble: func(ctx context.Context, err error) {
			s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "due notifications of A2A tasks could not be read", slog.Any("error", err))
		},
	}
}

// drain posts what a configuration has not been told, in order, and reports whether it stopped before the last.
func (s *Pushes) drain(ctx context.Context, r PushRef) (more bool) {
	token, now := s.d.IDs.NewUUID(), s.now()
	c, ok, err := s.d.Configs.Lease(ctx, r, token, now, now.Add(2*s.c.Timeout))
	for n := 0; err == nil && ok && c.State == PushActive; n++ {
		if n == pushBatch {
			_, err = s.d.Configs.Record(ctx, c, token, time.Time{})
			return err == nil
		}
		var again bool
		if c, again, err = s.step(ctx, c); err != nil {
			break
		}
		until := time.Time{}
		if again {
			until = s.now().Add(2 * s.c.Timeout)
		}
		// Once it arrived it is recorded, also when the process is about to end.
		if ok, err = s.d.Configs.Record(context.WithoutCancel(ctx), c, token, until); !again {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a notification of an A2A task could not be worked on",
			slog.String("task_id", r.Task.String()), slog.Any("error", err))
	}
	return false
}

// step posts the next change of a task and returns the configuration as it is then; again: there may be another one.
func (s *Pushes) step(ctx context.Context, c PushConfig) (PushConfig, bool, error) {
	change, ok, err := s.d.Changes.Next(ctx, c.Task, c.Place)
	if err != nil || !ok {
		return c, false, err
	}
	body, err := s.d.Writer.WritePush(ctx, c, change)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return c.ended(PushFailed, "the task is no longer kept", s.now()), false, nil
	}
	switch {
	case err != nil && ctx.Err() != nil:
		c.NextAt = s.now()   // nothing was posted: it is made again, without waiting for the lease
		return c, false, nil //nolint:nilerr // the process ends; that is no failure
	case err != nil:
		s.d.Logger.LogAttrs(ctx, slog.LevelError, "a notification of an A2A task could not be written",
			slog.String("tenant_id", c.Tenant.String()), slog.String("task_id", c.Task.String()), slog.Any("error", err))
		return c.failed("the server could not write the notification", 0, nil, s.now()), false, nil
	}
	if body != nil {
		status, err := s.post(ctx, c, change.Number, body)
		if err != nil && ctx.Err() != nil {
			c.NextAt = s.now()   // whether it arrived is not known, so that it is made again, without waiting for the lease
			return c, false, nil //nolint:nilerr // the process ends; that is no failure of the receiver's
		}
		if why := pushFailure(status, err); why != "" {
			return c.failed(why, status, err, s.now()), false, nil
		}
	}
	now := s.now()
	c.Place, c.Failures, c.NextAt, c.UpdatedAt = change.Number, 0, now, now
	if change.State.Terminal() && !change.Artifacts {
		return c.ended(PushDone, "", now), false, nil
	}
	return c, true, nil
}

// pushFailure says why an attempt failed; "" when it did not.
func pushFailure(status int, err error) string {
	switch {
	case err != nil:
		return webhook.Tellable(err)
	case status >= 300 && status < 400:
		return fmt.Sprintf("answered %d; redirects are not followed", status)
	case status < 200 || status >= 300:
		return fmt.Sprintf("answered %d", status)
	}
	return ""
}

// failed returns c after an attempt that failed: to be tried again, or given up.
func (c PushConfig) failed(why string, status int, err error, now time.Time) PushConfig {
	waits := pushRetries()
	if c.Failures >= len(waits) || status == http.StatusGone || fault.KindOf(err) == fault.Forbidden {
		return c.ended(PushFailed, why, now)
	}
	c.NextAt, c.UpdatedAt = now.Add(waits[c.Failures]), now
	c.Failures++
	return c
}

func (c PushConfig) ended(as PushState, why string, now time.Time) PushConfig {
	c.State, c.Error, c.EndedAt, c.UpdatedAt = as, why, now, now
	return c
}

var (
	errPushTimeout = fault.New(fault.Timeout, "push_timeout", "no answer in time")
	errPushSealed  = fault.New(fault.Unavailable, "push_sealed", "the server could not open what it authenticates with")
)

// post sends one notification.
func (s *Pushes) post(ctx context.Context, c PushConfig, number int64, body []byte) (int, error) {
	header := map[string]string{
		"Content-Type": "application/json", HeaderPushID: c.Task.String() + "/" + c.ID + "/" + strconv.FormatInt(number, 10),
	}
	if c.Protocol == Push10 {
		header["Content-Type"], header[HeaderPushVersion] = "application/a2a+json", version10
	}
	if c.Sealed != nil {
		plain, err := s.d.Keeper.Open(ctx, c.place(), c.Sealed)
		var with sealedPush
		if err == nil {
			err = json.Unmarshal(plain, &with)
		}
		if err != nil {
			s.d.Logger.LogAttrs(ctx, slog.LevelError, "the secrets of a push notification cannot be opened",
				slog.String("task_id", c.Task.String()), slog.Any("error", err))
			return 0, errPushSealed
		}
		if with.Token != "" {
			header[HeaderPushToken] = with.Token
		}
		if with.Credentials != "" {
			header["Authorization"] = c.Scheme + " " + with.Credentials
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	status, err := s.d.Sender.Send(ctx, webhook.Request{URL: c.URL, Header: header, Body: body})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errPushTimeout.Withf("no answer within %s", s.c.Timeout).Wrap(err)
	}
	return status, err
}

const prunePushes = 1000

// Prune forgets configurations that ended before KeepPushes, and those whose task is gone, and returns how many. Several processes may do so at
// once.
func (s *Pushes) Prune(ctx context.Context) (int, error) {
	before, total := s.now().Add(-KeepPushes), 0
	for {
		n, err := s.d.Sweeps.Prune(ctx, before, prunePushes)
		total += n
		if err != nil || n < prunePushes {
			return total, err
		}
	}
}

// PushRef names a configuration.
type PushRef struct {
	Tenant id.Tenant
	Task   id.Turn
	ID     string
}
