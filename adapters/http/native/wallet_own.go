package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

type ownWalletInput struct{ CurrencyQuery }

type listOwnWalletsInput struct{ httpx.PageQuery }

type ownDepositInput struct{ Body DepositBody }

type listOwnTransactionsInput struct{ TransactionQuery }

func (f *face) registerOwnWallet() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getOwnWallet", Method: http.MethodGet, Path: "/v1/wallet", Tag: "wallets",
		Summary: "Read the account's own wallet", Permission: account.WalletsRead,
		Description: "Agents are funded from it, and what a destroyed agent had goes back to it. No agent can spend from it.",
	}, func(ctx context.Context, in *ownWalletInput) (*output[walletWire], error) {
		return f.wallet(ctx, "", in.CurrencyQuery)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listOwnWallets", Method: http.MethodGet, Path: "/v1/wallets", Tag: "wallets",
		Summary: "List the account's own wallets, one per currency", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *listOwnWalletsInput) (*output[httpx.List[walletWire]], error) {
		return f.wallets(ctx, "", in.PageQuery)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createOwnDeposit", Method: http.MethodPost, Path: "/v1/wallet/deposits", Tag: "wallets",
		Example: `{"amount":{"amount":"1000.00","currency":"USDC"},"description":"November"}`,
		Status:  http.StatusCreated, Summary: "Put money into the account's own wallet", Permission: account.WalletsWrite, Strict: true,
		Description: "The operator's word that the money is there: no payment provider is asked.",
	}, func(ctx context.Context, in *ownDepositInput) (*output[depositWire], error) {
		return f.deposit(ctx, id.Agent{}, in.Body)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listOwnTransactions", Method: http.MethodGet, Path: "/v1/wallet/transactions", Tag: "wallets",
		Summary: "List the transactions of the account's own wallet, newest first", Permission: account.WalletsRead,
	}, func(ctx context.Context, in *listOwnTransactionsInput) (*output[httpx.List[TransactionWire]], error) {
		return f.transactions(ctx, "", &in.TransactionQuery)
	})
}
