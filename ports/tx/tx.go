// Package tx is how core draws the border of a transaction without knowing the database.
//
// The transaction travels in the context: every repository call made with the context that fn receives joins it.
package tx

import "context"

// Runner runs closures in transactions.
type Runner interface {
	// Do runs fn in one READ COMMITTED transaction and commits when fn returns nil; otherwise it rolls back and returns fn's
	// error unchanged. Inside a transaction of the same Runner, Do joins it: the outer Do commits or rolls back.
	//
	// fn may run again from the start after a serialization failure or a deadlock, so it must not have effects beyond the
	// store, and it must not wait for anything but the store: no network, no channel, no lock that another transaction's
	// holder may hold. Rows that fn reads in order to change them it must lock.
	Do(ctx context.Context, fn func(ctx context.Context) error) error

	// AfterCommit runs fn once the transaction in ctx has committed, in order of registration; outside a transaction at once.
	// fn must not start a transaction with ctx; it gets no context because the transaction's has ended.
	AfterCommit(ctx context.Context, fn func())

	// OnRollback runs fn when the transaction in ctx does not commit; outside a transaction never. After a retry, only the
	// registrations of the last run count.
	OnRollback(ctx context.Context, fn func())
}
