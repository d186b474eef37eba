package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/lanes"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	maxLanes  = 1000 // that one look at the store finds
	laneBatch = 50   // deliveries of one lane before others get its place
	gone      = 410  // the status by which an address says that it will never take anything again
)

// errLost ends the transaction that records a delivery which somebody else has taken over.
var errLost = errors.New("webhook: the lease of the delivery was lost")

// Run delivers until ctx ends, and returns when the requests that were on their way have been called off; those are made again later.
func (s *Service) Run(ctx context.Context) { s.lanes.Run(ctx) }

// Sweep delivers what is due, waits for it, and returns how many lanes it went through. It is what Run does again and again.
func (s *Service) Sweep(ctx context.Context) (int, error) { return s.lanes.Sweep(ctx) }

// work is what the Service does, lane by lane.
func (s *Service) work() lanes.Config[Lane] {
	return lanes.Config[Lane]{
		PollEvery: s.c.PollEvery, Concurrency: s.c.Concurrency, PerTenant: s.c.PerTenant, Drain: s.drain,
		Due:    func(ctx context.Context) ([]Lane, error) { return s.d.Deliveries.Due(ctx, s.now(), maxLanes) },
		Tenant: func(l Lane) id.Tenant { return l.Tenant },
		Trouble: func(ctx context.Context, err error) {
			s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "due deliveries of webhooks could not be read", slog.Any("error", err))
		},
	}
}

// drain makes the deliveries of a lane that are due, one after the other, and reports whether it stopped before the last.
func (s *Service) drain(ctx context.Context, l Lane) (more bool) {
	for range laneBatch {
		token, now := s.d.IDs.NewUUID(), s.now()
		d, ok, err := s.d.Deliveries.Lease(ctx, l, token, now, now.Add(2*s.c.Timeout))
		if err == nil && ok {
			err = s.deliver(ctx, d, token)
		}
		if err != nil && ctx.Err() == nil {
			s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "a delivery of a webhook could not be worked on",
				slog.String("webhook_id", l.Webhook.String()), slog.Any("error", err))
		}
		if err != nil || !ok {
			return false
		}
	}
	return true
}

// deliver makes one attempt of a leased delivery and records what came of it.
func (s *Service) deliver(ctx context.Context, d Delivery, token id.UUID) error {
	sc := account.System(d.Tenant)
	w, err := s.d.Webhooks.Get(ctx, sc, d.Webhook)
	switch {
	case isNotFound(err):
		return nil // its deliveries have gone with it
	case err != nil:
		return err
	case !w.Enabled:
		return s.record(ctx, sc, w, d.failed("the webhook was disabled", s.now()), token)
	}
	n, err := s.d.Notices.Get(ctx, sc, d.Notice)
	if isNotFound(err) {
		return s.record(ctx, sc, w, d.failed("the notice is no longer kept", s.now()), token)
	}
	if err != nil {
		return err
	}
	began := s.now()
	code, err := s.send(ctx, w, n, began)
	if ctx.Err() != nil {
		// The process ends. Whether the request arrived is not known, so that it is made again, without waiting for the lease.
		d.NextAt = began
		_, err := s.d.Deliveries.Record(context.WithoutCancel(ctx), sc, d, token)
		return err
	}
	return s.record(ctx, sc, w, d.after(code, err, began, s.now()), token)
}

// send posts a notice to a webhook.
func (s *Service) send(ctx context.Context, w Webhook, n Notice, at time.Time) (int, error) {
	body, err := n.body()
	if err != nil {
		return 0, err
	}
	header, err := s.sign(ctx, w, n.ID.String(), at, body)
	if err != nil {
		s.d.Logger.LogAttrs(ctx, slog.LevelError, "a webhook's secret cannot be opened", slog.String("webhook_id", w.ID.String()), slog.Any("error", err))
		return 0, errSigning
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	code, err := s.d.Sender.Send(ctx, Request{URL: w.URL, Header: header, Body: body})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errTimeout.Withf("no answer within %s", s.c.Timeout).Wrap(err)
	}
	return code, err
}

var (
	errTimeout = fault.New(fault.Timeout, "webhook_timeout", "no answer in time")
	errSigning = fault.New(fault.Unavailable, "webhook_signing", "the server could not sign the request")
)

// sign returns the headers of a request.
func (s *Service) sign(ctx context.Context, w Webhook, messageID string, at time.Time, body []byte) (map[string]string, error) {
	key, err := s.open(ctx, w, w.SealedSecret)
	if err != nil {
		return nil, err
	}
	header := map[string]string{
		"content-type": "application/json", HeaderID: messageID, HeaderTimestamp: strconv.FormatInt(at.Unix(), 10),
		HeaderSignature: Sign(key, messageID, at, body), HeaderValta: SignValta(key, body),
	}
	if w.SealedPrevious != nil && at.Before(w.PreviousUntil) {
		old, err := s.open(ctx, w, w.SealedPrevious)
		if err != nil {
			return nil, err
		}
		header[HeaderSignature] += " " + Sign(old, messageID, at, body)
		header[HeaderValtaPrevious] = SignValta(old, body)
	}
	return header, nil
}

func (s *Service) open(ctx context.Context, w Webhook, sealed []byte) (secret.Value, error) {
	plain, err := s.d.Keeper.Open(ctx, w.place(), sealed)
	return secret.NewValue(string(plain)), err
}

// failed returns d as it is when it is given up.
func (d Delivery) failed(why string, at time.Time) Delivery {
	d.Status, d.Error, d.NextAt, d.UpdatedAt = Failed, why, time.Time{}, at
	return d
}

// after returns d as it is after an attempt that had code, or err in its place.
func (d Delivery) after(code int, err error, began, ended time.Time) Delivery {
	a := Attempt{At: began, Duration: ended.Sub(began).Truncate(time.Millisecond), Code: code}
	switch {
	case err != nil:
		a.Code, a.Error = 0, Tellable(err)
	case code >= 300 && code < 400:
		a.Error = fmt.Sprintf("answered %d; redirects are not followed", code)
	case code < 200 || code >= 300:
		a.Error = fmt.Sprintf("answered %d", code)
	}
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], a)
	if a.Error == "" {
		d.Status, d.NextAt, d.UpdatedAt = Delivered, time.Time{}, ended
		return d
	}
	wait, again := retryAfter(len(d.Attempts))
	if !again || code == gone || d.Kind == KindTest || fault.KindOf(err) == fault.Forbidden {
		return d.failed(a.Error, ended)
	}
	d.NextAt, d.UpdatedAt = ended.Add(wait), ended
	return d
}

// record stores what came of a delivery, and what it says about its webhook. It locks the webhook before the delivery, like Update.
func (s *Service) record(ctx context.Context, sc account.Scope, w Webhook, d Delivery, token id.UUID) error {
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		disabled, err := s.judge(ctx, sc, w, d)
		if err != nil {
			return err
		}
		ok, err := s.d.Deliveries.Record(ctx, sc, d, token)
		switch {
		case err != nil:
			return err
		case !ok:
			return errLost
		case disabled == nil:
			return nil
		}
		return s.disable(ctx, sc, *disabled)
	})
	if errors.Is(err, errLost) {
		return nil // whoever has it now records what comes of it
	}
	return err
}

// judge counts a delivery that has ended for or against its webhook, and returns the webhook when that disables it.
func (s *Service) judge(ctx context.Context, sc account.Scope, w Webhook, d Delivery) (*Webhook, error) {
	isGone := d.Status == Failed && len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].Code == gone
	counts := !d.Manual && (d.Status == Failed || d.Status == Delivered && w.Failures > 0)
	if !w.Enabled || !counts && !isGone {
		return nil, nil
	}
	disabled := false
	w, err := s.d.Webhooks.Update(ctx, sc, w.ID, func(w *Webhook) error {
		disabled = false
		switch {
		case d.Status == Delivered:
			w.Failures = 0
		case !d.Manual:
			w.Failures++
		}
		why := ""
		switch {
		case isGone:
			why = "its address answered 410 Gone"
		case w.Failures >= s.c.DisableAfter:
			why = fmt.Sprintf("%d deliveries in a row have failed; the last one: %s", w.Failures, d.Error)
		}
		if why != "" && w.Enabled {
			disabled = true
			w.Enabled, w.Reason, w.UpdatedAt = false, why, d.UpdatedAt
		}
		return nil
	})
	if isNotFound(err) {
		return nil, errLost
	}
	if err != nil || !disabled {
		return nil, err
	}
	return &w, nil
}

// disable does what goes along with disabling a webhook.
func (s *Service) disable(ctx context.Context, sc account.Scope, w Webhook) error {
	if err := s.d.Deliveries.GiveUp(ctx, sc, w.ID, "the webhook was disabled", w.UpdatedAt); err != nil {
		return err
	}
	if err := s.note(ctx, sc, "webhook_disabled", w); err != nil {
		return err
	}
	return s.Publish(ctx, sc, KindDisabled, id.Agent{}, map[string]any{
		"webhook_id": w.ID.UUID().String(), "url": bare(w.URL), "reason": w.Reason,
	})
}

func isNotFound(err error) bool { return err != nil && fault.KindOf(err) == fault.NotFound }
