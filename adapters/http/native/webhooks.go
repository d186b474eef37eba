package native

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// WebhookWire is a webhook on the wire. No secret is in it. It is exported because others embed it.
type WebhookWire struct {
	ID             string   `json:"id" doc:"whk_..."`
	Type           string   `json:"type" enum:"webhook"`
	URL            string   `json:"url"`
	Events         []string `json:"events" nullable:"false" doc:"Kinds of notices; wallet.* and * stand for several."`
	Description    string   `json:"description"`
	Enabled        bool     `json:"enabled"`
	DisabledReason *string  `json:"disabled_reason" doc:"Why the server has disabled it; null when it did not."`
	Failures       int      `json:"failures" doc:"Deliveries that were given up in a row."`
	// PreviousUntil is null unless a secret was rotated with an overlap.
	PreviousUntil *stamp `json:"previous_secret_until" doc:"Until when deliveries are signed with the secret before, too; null when they are not."`
	CreatedAt     stamp  `json:"created_at"`
	UpdatedAt     stamp  `json:"updated_at"`
}

type secretWebhookWire struct {
	WebhookWire
	Secret string `json:"secret" doc:"What deliveries are signed with. Shown this once."`
}

func (f *face) showWebhook(w webhook.Webhook) WebhookWire {
	out := WebhookWire{
		ID: w.ID.String(), Type: "webhook", URL: w.URL, Events: listed(w.Events), Description: w.Description, Enabled: w.Enabled,
		DisabledReason: textOrNull(w.Reason), Failures: w.Failures, CreatedAt: stampOf(w.CreatedAt), UpdatedAt: stampOf(w.UpdatedAt),
	}
	if w.SealedPrevious != nil && f.deps.Clock.Now().Before(w.PreviousUntil) {
		out.PreviousUntil = stampPtr(&w.PreviousUntil)
	}
	return out
}

type webhookDeliveryWire struct {
	ID            string        `json:"id" doc:"att_..."`
	Type          string        `json:"type" enum:"webhook_delivery"`
	WebhookID     string        `json:"webhook_id"`
	NoticeID      string        `json:"notice_id" doc:"What is delivered; the header webhook-id says it, too."`
	NoticeType    string        `json:"notice_type"`
	Status        string        `json:"status" enum:"pending,delivered,failed" doc:"failed: it was given up."`
	Error         *string       `json:"error" doc:"Why it was given up."`
	OutOfTurn     bool          `json:"out_of_turn" doc:"Whether it is a test, or was asked for again, and so did not wait for those before it."`
	Attempts      []attemptWire `json:"attempts" nullable:"false" doc:"The first one first."`
	NextAttemptAt *stamp        `json:"next_attempt_at" doc:"When it is tried next, at the earliest; null unless pending."`
	CreatedAt     stamp         `json:"created_at"`
	UpdatedAt     stamp         `json:"updated_at"`
}

type attemptWire struct {
	At         stamp   `json:"at"`
	DurationMS int64   `json:"duration_ms"`
	StatusCode *int    `json:"status_code" doc:"Of the answer; null when there was none."`
	Error      *string `json:"error" doc:"What was wrong; null for a status from 200 to 299."`
}

func showDelivery(d webhook.Delivery) webhookDeliveryWire {
	out := webhookDeliveryWire{
		ID: d.ID.String(), Type: "webhook_delivery", WebhookID: d.Webhook.String(), NoticeID: d.Notice.String(), NoticeType: d.Kind,
		Status: string(d.Status), Error: textOrNull(d.Error), OutOfTurn: d.Manual, Attempts: []attemptWire{},
		CreatedAt: stampOf(d.CreatedAt), UpdatedAt: stampOf(d.UpdatedAt),
	}
	for _, a := range d.Attempts {
		w := attemptWire{At: stampOf(a.At), DurationMS: a.Duration.Milliseconds(), Error: textOrNull(a.Error)}
		if a.Code != 0 {
			w.StatusCode = &a.Code
		}
		out.Attempts = append(out.Attempts, w)
	}
	if !d.NextAt.IsZero() {
		out.NextAttemptAt = stampPtr(&d.NextAt)
	}
	return out
}

type noticeWire struct {
	ID        string          `json:"id" doc:"ntc_..."`
	Type      string          `json:"type" doc:"What has happened, such as agent.frozen."`
	AgentID   *string         `json:"agent_id" doc:"Whom it concerns; null for the account as a whole."`
	CreatedAt stamp           `json:"created_at"`
	Data      json.RawMessage `json:"data" doc:"An object. Money in it is decimal strings."`
}

func showNotice(n webhook.Notice) noticeWire {
	data, err := n.Shown()
	if err != nil {
		data = json.RawMessage("{}") // what Publish stored is an object
	}
	return noticeWire{n.ID.String(), n.Kind, textOrNull(n.Agent.String()), stampOf(n.CreatedAt), data}
}

type createWebhookInput struct {
	Body struct {
		URL         string   `json:"url" minLength:"1" maxLength:"2048" doc:"http:// or https://, at a public host."`
		Events      []string `json:"events" minItems:"1" maxItems:"50" nullable:"false" doc:"Kinds of notices; wallet.* and * stand for several."`
		Description string   `json:"description,omitempty" maxLength:"500"`
		Enabled     *bool    `json:"enabled,omitempty" default:"true"`
		Secret      string   `json:"secret,omitempty" maxLength:"200" doc:"16 to 200 printable characters, or whsec_ and 24 to 64 bytes in base64. One is made when it is left out."`
	}
}

// WebhookInput names a webhook.
type WebhookInput struct {
	WebhookID string `path:"webhook_id" doc:"The webhook's id."`
}

func (in WebhookInput) webhook() (id.Webhook, error) { return id.Parse[id.WebhookKind](in.WebhookID) }

type updateWebhookInput struct {
	WebhookInput
	Body struct {
		URL         httpx.Kept[string]   `json:"url,omitempty" minLength:"1" maxLength:"2048"`
		Events      httpx.Kept[[]string] `json:"events,omitempty" minItems:"1" maxItems:"50"`
		Description httpx.Opt[string]    `json:"description,omitempty" maxLength:"500"`
		Enabled     httpx.Kept[bool]     `json:"enabled,omitempty" doc:"false gives up what waits for it; true forgives its failures."`
	}
}

type rotateWebhookInput struct {
	WebhookInput
	Body *struct {
		Secret  string `json:"secret,omitempty" maxLength:"200" doc:"The new one; one is made when it is left out."`
		Overlap *int   `json:"overlap_seconds,omitempty" minimum:"0" maximum:"604800" doc:"For how long deliveries are signed with the old one, too; a day when it is left out."`
	} `required:"false"`
}

// WebhookDeliveryInput names a delivery of a webhook.
type WebhookDeliveryInput struct {
	WebhookInput
	DeliveryID string `path:"delivery_id" doc:"The delivery's id."`
}

func (in WebhookDeliveryInput) read() (id.Webhook, id.Attempt, error) {
	w, err := in.webhook()
	if err != nil {
		return w, id.Attempt{}, err
	}
	d, err := id.Parse[id.AttemptKind](in.DeliveryID)
	return w, d, err
}

type listWebhookDeliveriesInput struct {
	WebhookInput
	Status string `query:"status" enum:"pending,delivered,failed" doc:"Only those."`
	httpx.PageQuery
}

type listNoticesInput struct {
	Type string `query:"type" doc:"Only this kind, such as agent.frozen."`
	AgentQuery
	httpx.PageQuery
}

type noticeInput struct {
	NoticeID string `path:"notice_id" doc:"The notice's id."`
}

const webhookHelp = "\n\nA delivery is a POST of `{\"id\",\"type\",\"created_at\",\"data\"}`, signed twice; either signature is enough. " +
	"`x-valta-signature` is the HMAC-SHA256 of the raw body in hexadecimal, with the text of the secret as its key. `webhook-id`, " +
	"`webhook-timestamp` and `webhook-signature` are those of the Standard Webhooks specification: `v1,` and the base64 of the HMAC-SHA256 of " +
	"`{webhook-id}.{webhook-timestamp}.{raw body}`, with the bytes behind `whsec_` as its key (or the text of a secret that does not begin so). " +
	"Refuse timestamps more than five minutes away, so that nobody can replay a request.\n\n" +
	"Answer with a status from 200 to 299 within 10 seconds. Otherwise it is tried again after 1 s, 5 s, 30 s, 2 min and 10 min, then given up; " +
	"redirects are not followed. Deliveries of a webhook come in order, one at a time, and at least once: " +
	"`webhook-id` is the same each time, so use it as an idempotency key. After ten deliveries in a row that were given up, or the answer 410, " +
	"the webhook is disabled."

// kindsHelp lists the kinds of notices.
func kindsHelp() string {
	var b strings.Builder
	b.WriteString("\n\nKinds of notices, with the scope that a key needs beside to read them, or to have them sent:\n")
	for _, k := range webhook.Kinds() {
		b.WriteString("\n- `" + k.Name + "`: " + k.Doc)
		if k.Needs != "" {
			b.WriteString(" (`" + string(k.Needs) + "`)")
		}
	}
	return b.String()
}

func (f *face) registerNotifications() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createWebhook", Method: http.MethodPost, Path: "/v1/webhooks", Tag: "webhooks", Status: http.StatusCreated,
		Example: `{"url":"https://example.com/hooks","events":["agent.*","budget.alert"]}`,
		Summary: "Add a webhook", Description: "It is told of what happens from now on." + webhookHelp + kindsHelp(),
		Permission: account.IntegrationsWrite, Strict: true, Secret: true, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *createWebhookInput) (*output[secretWebhookWire], error) {
		w, key, err := f.deps.Webhooks.Create(ctx, httpx.Scope(ctx), webhook.NewWebhook{
			URL: in.Body.URL, Events: in.Body.Events, Description: in.Body.Description,
			Disabled: in.Body.Enabled != nil && !*in.Body.Enabled, Secret: in.Body.Secret,
		})
		if err != nil {
			return nil, err
		}
		return ok(secretWebhookWire{f.showWebhook(w), key.Reveal()}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listWebhooks", Method: http.MethodGet, Path: "/v1/webhooks", Tag: "webhooks",
		Summary: "List webhooks, newest first", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *struct{ httpx.PageQuery }) (*output[httpx.List[WebhookWire]], error) {
		p, err := f.deps.Webhooks.List(ctx, httpx.Scope(ctx), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, f.showWebhook)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getWebhook", Method: http.MethodGet, Path: "/v1/webhooks/{webhook_id}", Tag: "webhooks",
		Summary: "Read a webhook", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *WebhookInput) (*output[WebhookWire], error) {
		of, err := in.webhook()
		if err != nil {
			return nil, err
		}
		w, err := f.deps.Webhooks.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(f.showWebhook(w)), nil
	})

	for method, op := range map[string]string{http.MethodPatch: "patchWebhook", http.MethodPost: "updateWebhook", http.MethodPut: "putWebhook"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/webhooks/{webhook_id}", Tag: "webhooks", Summary: "Change a webhook",
			Example:     `{"events":["*"]}`,
			Description: "Changes what the body names. POST, PATCH and PUT do the same. What waits for it goes to its new address.",
			Permission:  account.IntegrationsWrite, Strict: true,
		}, f.updateWebhook)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteWebhook", Method: http.MethodDelete, Path: "/v1/webhooks/{webhook_id}", Tag: "webhooks",
		Summary: "Delete a webhook with its deliveries", Permission: account.IntegrationsWrite,
	}, func(ctx context.Context, in *WebhookInput) (*output[httpx.Deleted], error) {
		of, err := in.webhook()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Webhooks.Delete(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "webhook_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "rotateWebhookSecret", Method: http.MethodPost, Path: "/v1/webhooks/{webhook_id}/rotate", Tag: "webhooks",
		Summary: "Replace the secret of a webhook", Permission: account.IntegrationsWrite, Strict: true, Secret: true,
		Example: `{"overlap_seconds":3600}`,
		Description: "While the old secret is still good, `webhook-signature` has two signatures with a space in between, the new secret's first. " +
			"`x-valta-signature` is the new secret's at once; `x-valta-signature-previous` is the old one's.",
	}, func(ctx context.Context, in *rotateWebhookInput) (*output[secretWebhookWire], error) {
		of, err := in.webhook()
		if err != nil {
			return nil, err
		}
		chosen, overlap := "", webhook.DefaultOverlap
		if in.Body != nil {
			chosen = in.Body.Secret
			if in.Body.Overlap != nil {
				overlap = time.Duration(*in.Body.Overlap) * time.Second
			}
		}
		w, key, err := f.deps.Webhooks.Rotate(ctx, httpx.Scope(ctx), of, chosen, overlap)
		if err != nil {
			return nil, err
		}
		return ok(secretWebhookWire{f.showWebhook(w), key.Reveal()}), nil
	})

	f.registerWebhookDeliveries()
	f.registerNotices()
}

func (f *face) updateWebhook(ctx context.Context, in *updateWebhookInput) (*output[WebhookWire], error) {
	of, err := in.webhook()
	if err != nil {
		return nil, err
	}
	var p webhook.Patch
	b := &in.Body
	if b.URL.Set {
		p.URL = &b.URL.Value // null is "", which the service refuses
	}
	if b.Events.Set {
		p.Events = &b.Events.Value
	}
	if b.Description.Set {
		p.Description = &b.Description.Value
	}
	if b.Enabled.Null {
		return nil, fault.Invalidf("enabled", "must be true or false")
	}
	if b.Enabled.Set {
		p.Enabled = &b.Enabled.Value
	}
	w, err := f.deps.Webhooks.Update(ctx, httpx.Scope(ctx), of, p)
	if err != nil {
		return nil, err
	}
	return ok(f.showWebhook(w)), nil
}

func (f *face) registerWebhookDeliveries() {
	answer := func(d webhook.Delivery, err error) (*output[webhookDeliveryWire], error) {
		if err != nil {
			return nil, err
		}
		return ok(showDelivery(d)), nil
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "testWebhook", Method: http.MethodPost, Path: "/v1/webhooks/{webhook_id}/test", Tag: "webhooks", Status: http.StatusCreated,
		Summary: "Send a webhook.test", Permission: account.IntegrationsWrite, Statuses: []int{http.StatusConflict},
		Description: "It is sent once, without waiting for what else waits for the webhook. The answer is its delivery, which is still pending.",
	}, func(ctx context.Context, in *WebhookInput) (*output[webhookDeliveryWire], error) {
		of, err := in.webhook()
		if err != nil {
			return nil, err
		}
		return answer(f.deps.Webhooks.Test(ctx, httpx.Scope(ctx), of))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listWebhookDeliveries", Method: http.MethodGet, Path: "/v1/webhooks/{webhook_id}/deliveries", Tag: "webhooks",
		Summary: "List the deliveries of a webhook, the last queued first", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *listWebhookDeliveriesInput) (*output[httpx.List[webhookDeliveryWire]], error) {
		of, err := in.webhook()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Webhooks.Deliveries(ctx, httpx.Scope(ctx), of, webhook.Status(in.Status), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showDelivery)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getWebhookDelivery", Method: http.MethodGet, Path: "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}", Tag: "webhooks",
		Summary: "Read a delivery", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *WebhookDeliveryInput) (*output[webhookDeliveryWire], error) {
		w, d, err := in.read()
		if err != nil {
			return nil, err
		}
		return answer(f.deps.Webhooks.Delivery(ctx, httpx.Scope(ctx), w, d))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "redeliverWebhook", Method: http.MethodPost, Path: "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
		Tag: "webhooks", Status: http.StatusCreated, Summary: "Send a notice again", Permission: account.IntegrationsWrite,
		Statuses: []int{http.StatusConflict},
		Description: "Makes a new delivery of the same notice, under the same `webhook-id`, without waiting for what else waits for the webhook. " +
			"A delivery that is still pending is 409.",
	}, func(ctx context.Context, in *WebhookDeliveryInput) (*output[webhookDeliveryWire], error) {
		w, d, err := in.read()
		if err != nil {
			return nil, err
		}
		return answer(f.deps.Webhooks.Redeliver(ctx, httpx.Scope(ctx), w, d))
	})
}

func (f *face) registerNotices() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listNotices", Method: http.MethodGet, Path: "/v1/notices", Tag: "webhooks",
		Summary: "List notices, newest first", Permission: account.IntegrationsRead,
		Description: "What webhooks are told, whether there are any or not. Notices are kept for 30 days." + kindsHelp(),
	}, func(ctx context.Context, in *listNoticesInput) (*output[httpx.List[noticeWire]], error) {
		agent, err := in.AgentQuery.read()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Webhooks.Notices(ctx, httpx.Scope(ctx), webhook.ListNotices{Request: in.Request(), Kind: in.Type, Agent: agent})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showNotice)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getNotice", Method: http.MethodGet, Path: "/v1/notices/{notice_id}", Tag: "webhooks",
		Summary: "Read a notice", Permission: account.IntegrationsRead,
	}, func(ctx context.Context, in *noticeInput) (*output[noticeWire], error) {
		of, err := id.Parse[id.NoticeKind](in.NoticeID)
		if err != nil {
			return nil, err
		}
		n, err := f.deps.Webhooks.Notice(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(showNotice(n)), nil
	})
}
