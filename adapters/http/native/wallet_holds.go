package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

type holdWire struct {
	ID          string     `json:"id" doc:"hold_..."`
	Type        string     `json:"type" enum:"hold"`
	AgentID     *string    `json:"agent_id" doc:"Whose wallet it is; null for the account's own."`
	Amount      moneyWire  `json:"amount" doc:"What is, or was, set aside."`
	Captured    *moneyWire `json:"captured" doc:"What of it was paid; null unless captured."`
	Status      string     `json:"status" enum:"open,captured,voided,expired"`
	Payee       *string    `json:"payee"`
	Category    *string    `json:"category"`
	Description string     `json:"description"`
	ActionID    *string    `json:"action_id" doc:"The act that the money is for."`
	ExpiresAt   stamp      `json:"expires_at" doc:"When the money is free again, unless it was paid before."`
	ResolvedAt  *stamp     `json:"resolved_at" doc:"null while open."`
	CreatedAt   stamp      `json:"created_at"`
}

func showHold(h wallet.Hold) holdWire {
	w := holdWire{
		ID: h.ID.String(), Type: "hold", AgentID: textPtr(h.Agent.String()), Amount: showMoney(h.Amount), Status: string(h.Status),
		Payee: textPtr(h.Payee), Category: textPtr(h.Category), Description: h.Description, ActionID: textPtr(h.Act.String()),
		ExpiresAt: stampOf(h.ExpiresAt), ResolvedAt: stampPtr(h.ResolvedAt), CreatedAt: stampOf(h.CreatedAt),
	}
	if h.Status == wallet.HoldCaptured {
		captured := h.Amount
		captured.Micros = h.Captured
		w.Captured = showMoneyPtr(&captured)
	}
	return w
}

type listHoldsInput struct {
	AgentInput
	Status string `query:"status" enum:"open,captured,voided,expired" doc:"Only those; open ones when left out." default:"open"`
	httpx.PageQuery
}

type holdInput struct {
	HoldID string `path:"hold_id" doc:"The id of a hold."`
}

func (f *face) registerHolds() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listHolds", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/wallet/holds", Tag: "wallets",
		Summary: "List what is set aside in an agent's wallets, newest first", Permission: account.WalletsRead,
		Description: "In all currencies. Money is held for payments whose end is not known yet.",
	}, func(ctx context.Context, in *listHoldsInput) (*output[httpx.List[holdWire]], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Wallets.Holds(ctx, httpx.Scope(ctx), agent, wallet.HoldStatus(in.Status), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showHold)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getHold", Method: http.MethodGet, Path: "/v1/holds/{hold_id}", Tag: "wallets",
		Summary: "Read a hold", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *holdInput) (*output[holdWire], error) {
		hold, err := id.Parse[id.HoldKind](in.HoldID)
		if err != nil {
			return nil, err
		}
		h, err := f.deps.Wallets.GetHold(ctx, httpx.Scope(ctx), hold)
		if err != nil {
			return nil, err
		}
		return ok(showHold(h)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "voidHold", Method: http.MethodPost, Path: "/v1/holds/{hold_id}/void", Tag: "wallets",
		Summary: "Free what is set aside", Permission: account.WalletsWrite,
		Description: "A hold whose payment is under way is a 409 `hold_in_use`: the money may have left already, and its end decides. One that has " +
			"ended is a 409 `hold_resolved`.",
	}, func(ctx context.Context, in *holdInput) (*output[holdWire], error) {
		hold, err := id.Parse[id.HoldKind](in.HoldID)
		if err != nil {
			return nil, err
		}
		h, err := f.deps.Wallets.Release(ctx, httpx.Scope(ctx), hold)
		if err != nil {
			return nil, err
		}
		return ok(showHold(h)), nil
	})
}
