package app

import (
	"context"
	"crypto/subtle"
	"net/http"

	"github.com/bureau-agents/bureau/core/account"
)

// operator lets the operator's own commands in. Its handler gives every request a key that exists in this process only, and its
// Authenticate knows that key; everyone else's keys go to the account service.
type operator struct {
	*account.Service

	secret string
	scope  account.Scope
}

func newOperator(accounts *account.Service) *operator {
	return &operator{Service: accounts, secret: account.NewSecret()}
}

// adopt says whose operator it is; it is called once, before the first request.
func (o *operator) adopt(t account.Tenant) {
	o.scope = account.Scope{Tenant: t.ID, Plan: account.PlanUnlimited, Permissions: []account.Permission{account.Admin}, Operator: true}
}

// Authenticate returns the operator's scope for the process's own key.
func (o *operator) Authenticate(ctx context.Context, secret string) (account.Scope, error) {
	if subtle.ConstantTimeCompare([]byte(secret), []byte(o.secret)) == 1 {
		return o.scope, nil
	}
	return o.Service.Authenticate(ctx, secret)
}

func (o *operator) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		r.Header.Set("X-Api-Key", o.secret)
		next.ServeHTTP(w, r)
	})
}
