package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Publish stores a notice in the transaction in ctx, queued for every webhook that wants it; deliveries begin after the commit. kind is one of Kinds.
// agent is whom it concerns, zero for the account as a whole; it becomes the member agent_id of data. Ids in data are UUIDs, under the
// names that spellings knows; money is decimal strings.
func (s *Service) Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error {
	_, err := s.publish(ctx, sc, "", kind, agent, data)
	return err
}

// PublishOnce is Publish of what is to be told of once only. once names it within the tenant; false: a notice of that name was stored
// within KeepFor, and this one is not.
func (s *Service) PublishOnce(
	ctx context.Context, sc account.Scope, once, kind string, agent id.Agent, data map[string]any,
) (bool, error) {
	return s.publish(ctx, sc, once, kind, agent, data)
}

func (s *Service) publish(
	ctx context.Context, sc account.Scope, once, kind string, agent id.Agent, data map[string]any,
) (fresh bool, err error) {
	if !known(kind) {
		return false, fmt.Errorf("webhook: %q is not one of the kinds of notices", kind)
	}
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	if !agent.IsZero() {
		data["agent_id"] = agent.UUID().String()
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return false, fmt.Errorf("webhook: the data of a notice: %w", err)
	}
	n := Notice{
		ID: id.New[id.NoticeKind](s.d.IDs), Tenant: sc.Tenant, Kind: kind, Agent: agent, Data: raw, CreatedAt: s.now(),
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		wanted, ok, err := s.d.Notices.Insert(ctx, sc, n, once, patterns(kind))
		fresh = ok
		if err != nil || len(wanted) == 0 {
			return err
		}
		all := make([]Delivery, len(wanted))
		for i, w := range wanted {
			all[i] = s.queued(w, n)
		}
		return s.queue(ctx, sc, all...)
	})
	return fresh, err
}

// queued makes the delivery of a notice.
func (s *Service) queued(w id.Webhook, n Notice) Delivery {
	now := s.now()
	return Delivery{
		ID: id.New[id.AttemptKind](s.d.IDs), Tenant: n.Tenant, Webhook: w, Notice: n.ID, Kind: n.Kind, Status: Pending, NextAt: now,
		CreatedAt: now, UpdatedAt: now,
	}
}

// queue stores deliveries and begins them after the commit.
func (s *Service) queue(ctx context.Context, sc account.Scope, all ...Delivery) error {
	if err := s.d.Deliveries.Insert(ctx, sc, all...); err != nil {
		return err
	}
	s.d.TX.AfterCommit(ctx, s.lanes.Nudge)
	return nil
}

// Notice returns a notice. account.ErrForbidden when the caller may not read its kind.
func (s *Service) Notice(ctx context.Context, sc account.Scope, notice id.Notice) (Notice, error) {
	n, err := s.d.Notices.Get(ctx, sc, notice)
	if err != nil {
		return Notice{}, err
	}
	if err := mayRead(sc, n.Kind); err != nil {
		return Notice{}, err
	}
	return n, nil
}

// Notices lists the notices that the caller may read, newest first. account.ErrForbidden when it asks for a kind that it may not.
func (s *Service) Notices(ctx context.Context, sc account.Scope, r ListNotices) (page.Page[Notice], error) {
	if err := mayRead(sc, r.Kind); err != nil {
		return page.Page[Notice]{}, err
	}
	if may := readable(sc); len(may) < len(kinds) {
		r.Kinds = may
	}
	return s.d.Notices.List(ctx, sc, r)
}

// Deliveries lists the deliveries of a webhook, the last queued first; "" is every status. id.NotFound of the webhook.
func (s *Service) Deliveries(
	ctx context.Context, sc account.Scope, webhook id.Webhook, status Status, r page.Request,
) (page.Page[Delivery], error) {
	if _, err := s.d.Webhooks.Get(ctx, sc, webhook); err != nil {
		return page.Page[Delivery]{}, err
	}
	return s.d.Deliveries.List(ctx, sc, webhook, status, r)
}

// Delivery returns a delivery of a webhook; id.NotFound of either.
func (s *Service) Delivery(ctx context.Context, sc account.Scope, webhook id.Webhook, delivery id.Attempt) (Delivery, error) {
	if _, err := s.d.Webhooks.Get(ctx, sc, webhook); err != nil {
		return Delivery{}, err
	}
	d, err := s.d.Deliveries.Get(ctx, sc, delivery)
	if err == nil && d.Webhook != webhook {
		return Delivery{}, id.NotFound[id.AttemptKind](delivery.String())
	}
	return d, err
}

// Redeliver sends the notice of a finished delivery again, under the same webhook-id and out of turn, and returns the new delivery. ErrWaiting,
// ErrDisabled, ErrPruned.
func (s *Service) Redeliver(ctx context.Context, sc account.Scope, webhook id.Webhook, delivery id.Attempt) (Delivery, error) {
	was, err := s.Delivery(ctx, sc, webhook, delivery)
	if err != nil {
		return Delivery{}, err
	}
	if was.Status == Pending {
		return Delivery{}, ErrWaiting
	}
	return s.manual(ctx, sc, webhook, func(ctx context.Context) (Notice, error) {
		n, err := s.d.Notices.Get(ctx, sc, was.Notice)
		if isNotFound(err) {
			err = ErrPruned
		}
		return n, err
	})
}

// Test sends a notice of KindTest to a webhook, once and out of turn, and returns its delivery. ErrDisabled.
func (s *Service) Test(ctx context.Context, sc account.Scope, webhook id.Webhook) (Delivery, error) {
	return s.manual(ctx, sc, webhook, func(ctx context.Context) (Notice, error) {
		data, err := json.Marshal(map[string]string{"webhook_id": webhook.UUID().String()})
		if err != nil {
			return Notice{}, fmt.Errorf("webhook: %w", err)
		}
		n := Notice{ID: id.New[id.NoticeKind](s.d.IDs), Tenant: sc.Tenant, Kind: KindTest, Data: data, CreatedAt: s.now()}
		_, _, err = s.d.Notices.Insert(ctx, sc, n, "", nil)
		return n, err
	})
}

func (s *Service) manual(
	ctx context.Context, sc account.Scope, webhook id.Webhook, notice func(context.Context) (Notice, error),
) (d Delivery, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		w, err := s.d.Webhooks.Get(ctx, sc, webhook)
		if err != nil {
			return err
		}
		if !w.Enabled {
			return ErrDisabled
		}
		n, err := notice(ctx)
		if err != nil {
			return err
		}
		d = s.queued(webhook, n)
		d.Manual = true
		return s.queue(ctx, sc, d)
	})
	return d, err
}

// pruneBatch is how many notices one transaction of Prune removes.
const pruneBatch = 1000

// Prune forgets what is older than KeepFor, and returns how many notices that were. A chore calls it; several processes may do so at once.
func (s *Service) Prune(ctx context.Context) (int, error) {
	before, total := s.now().Add(-KeepFor), 0
	for {
		n, err := s.d.Notices.Prune(ctx, before, pruneBatch)
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
}

// retryAfter returns when a delivery is tried again that has failed n times; false: it is given up.
func retryAfter(n int) (time.Duration, bool) {
	all := Retries()
	if n < 1 || n > len(all) {
		return 0, false
	}
	return all[n-1], true
}
