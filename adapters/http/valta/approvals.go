package valta

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

type approvalWire struct {
	ID          string  `json:"id" doc:"apr_..."`
	AgentID     string  `json:"agentId"`
	Action      string  `json:"action" doc:"What waits: payment, transfer, tool_call or run_start."`
	Amount      *units  `json:"amount"`
	Payee       *string `json:"payee" doc:"Of transfers the receiving agent's id."`
	Description *string `json:"description"`
	Rule        string  `json:"rule" doc:"What asked for the approval."`
	Reason      string  `json:"reason"`
	Status      string  `json:"status" enum:"pending,approved,denied,expired"`
	DecidedBy   *string `json:"decidedBy" doc:"The API key that decided, or system."`
	DecidedAt   *stamp  `json:"decidedAt"`
	Note        *string `json:"note" doc:"Why it was denied."`
	ExpiresAt   stamp   `json:"expiresAt"`
	CreatedAt   stamp   `json:"createdAt"`
}

func showApproval(a policy.Approval) approvalWire {
	w := approvalWire{
		ID: a.ID.String(), AgentID: spellAgent(a.Agent), Action: string(a.Action), Amount: unitsPtr(a.Amount), Payee: textPtr(a.Payee),
		Description: textPtr(a.Detail), Rule: camel(a.Rule), Reason: camelWords(a.Reason, a.Rule), Status: string(a.Status),
		DecidedBy: textPtr(a.DecidedBy), DecidedAt: stampPtr(a.DecidedAt), Note: textPtr(camelWords(a.Note, a.Rule)),
		ExpiresAt: stampOf(a.ExpiresAt), CreatedAt: stampOf(a.CreatedAt),
	}
	if a.Status == policy.ApprovalVoid {
		w.Status = string(policy.ApprovalDenied) // its act was cancelled before anybody decided; the note says how
	}
	if to, err := id.Parse[id.AgentKind](a.Payee); err == nil && a.Action == rule.ActionTransfer {
		w.Payee = textPtr(spellAgent(to))
	}
	return w
}

type listApprovalsInput struct {
	PageQuery
	Status  string `query:"status" enum:"pending,approved,denied,expired" doc:"Only those."`
	AgentID string `query:"agentId" doc:"Only this agent's."`
}

func (in *listApprovalsInput) filter() (f policy.ApprovalFilter, err error) {
	if in.Status != "" {
		f.Status = append(f.Status, policy.ApprovalStatus(in.Status))
		if f.Status[0] == policy.ApprovalDenied {
			f.Status = append(f.Status, policy.ApprovalVoid) // shown as denied
		}
	}
	f.Agent, err = readAgent(in.AgentID)
	return f, err
}

// readAgent returns the agent that a query names; none for "".
func readAgent(text string) (id.Agent, error) {
	if text == "" {
		return id.Agent{}, nil
	}
	return id.Parse[id.AgentKind](text)
}

// ApprovalInput names an approval. Its type is exported because others embed it.
type ApprovalInput struct {
	ApprovalID string `path:"approvalId" doc:"The id of an approval: the requestId of a payment."`
}

func (in ApprovalInput) read() (id.Approval, error) { return id.Parse[id.ApprovalKind](in.ApprovalID) }

type denyInput struct {
	ApprovalInput
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"16384" doc:"For the agent and the audit trail."`
	} `required:"false"`
}

func (f *face) registerApprovals() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listApprovals", Method: http.MethodGet, Path: "/approvals", Tag: "approvals",
		Summary: "List approvals, newest first", Permission: account.Approvals,
	}, func(ctx context.Context, in *listApprovalsInput) (*output[listWire[approvalWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Gate.Approvals(ctx, httpx.Scope(ctx), filter, in.request())
		if err != nil {
			return nil, err
		}
		return listOf(in.PageQuery, p, showApproval), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getApproval", Method: http.MethodGet, Path: "/approvals/{approvalId}", Tag: "approvals",
		Summary: "Read an approval", Permission: account.Approvals,
	}, func(ctx context.Context, in *ApprovalInput) (*output[approvalWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Gate.Approval(ctx, httpx.Scope(ctx), a)
		if err != nil {
			return nil, err
		}
		return ok(showApproval(got)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "approve", Method: http.MethodPost, Path: "/approvals/{approvalId}/approve", Tag: "approvals",
		Summary: "Approve what waits", Permission: account.Approvals,
		Description: "It is judged once more with only the approval met, and done. Over a limit by now, it is denied, and so is the approval. " +
			"An approval is decided once; later is 409 CONFLICT.",
	}, func(ctx context.Context, in *ApprovalInput) (*output[approvalWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		got, _, err := f.deps.Gate.Approve(ctx, httpx.Scope(ctx), a)
		if err != nil {
			return nil, err
		}
		return ok(showApproval(got)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deny", Method: http.MethodPost, Path: "/approvals/{approvalId}/deny", Tag: "approvals",
		Example: `{"reason":"not this month"}`,
		Summary: "Deny what waits", Permission: account.Approvals, Description: "Nothing moves. An approval is decided once; later is 409 CONFLICT.",
	}, func(ctx context.Context, in *denyInput) (*output[approvalWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		reason := ""
		if in.Body != nil {
			reason = in.Body.Reason
		}
		got, err := f.deps.Gate.Deny(ctx, httpx.Scope(ctx), a, reason)
		if err != nil {
			return nil, err
		}
		return ok(showApproval(got)), nil
	})
}
