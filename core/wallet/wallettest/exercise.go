package wallettest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Exercise reads ops as a sequence of operations on a fresh tenant's wallets, four bytes each, and carries them out
// beside a model of a few lines. After each of them it demands that
//
//   - the ledger's invariants hold: credits equal debits, no account of a wallet is below zero, every balance is what its
//     lines sum to, and open holds sum to what is held;
//   - every wallet has what the model says, and a statement of its whole life opens with nothing and closes with that;
//   - an operation that was refused left the store as it was, byte for byte;
//   - repeating one that succeeded, under its key or its act, changes nothing.
//
// It is the body of fuzz targets: every sequence of bytes means something.
func Exercise(tb testing.TB, st Store, ops []byte) {
	tb.Helper()
	x := &exercise{l: NewLedger(tb, st)}
	for range 3 {
		x.agents = append(x.agents, x.l.Agent())
	}
	x.agents = append(x.agents, id.Agent{}) // the tenant's own
	x.model, x.begun = make([]funds, len(x.agents)), x.l.Clock.Now()
	for len(ops) >= 4 && !tb.Failed() {
		x.step(tb, ops[0], ops[1], ops[2], ops[3])
		ops = ops[4:]
	}
}

// funds is the model of one wallet.
type funds struct{ available, held int64 }

// openHold is the model of one hold.
type openHold struct {
	id     id.Hold
	owner  int
	amount int64
	ends   time.Time
}

type exercise struct {
	l        *Ledger
	agents   []id.Agent
	model    []funds
	holds    []openHold
	payments []payment
	keys     int
	begun    time.Time
}

type payment struct {
	id    id.LedgerEntry
	owner int
	left  int64 // not refunded yet
}

// operation is what one step does: try changes the store, and when it may, then changes the model. again is try once
// more.
type operation struct {
	name   string
	may    bool
	try    func() error
	then   func()
	again  func() error // nil: cannot be repeated
	replay error        // what again returns; nil: it succeeds without effect
}

func (x *exercise) step(tb testing.TB, code, who, whom, size byte) {
	tb.Helper()
	op := x.operation(code, int(who)%len(x.agents), int(whom)%len(x.agents), int64(size))
	before := x.l.Snapshot(tb)
	err := op.try()
	switch {
	case err == nil && !op.may:
		tb.Errorf("%s succeeded and should not have", op.name)
	case err != nil && op.may:
		tb.Errorf("%s: %v", op.name, err)
	case err != nil:
		if fault.KindOf(err) == fault.Internal {
			tb.Errorf("%s: %v is no answer for a caller", op.name, err)
		}
		if diff := cmp.Diff(before, x.l.Snapshot(tb)); diff != "" {
			tb.Errorf("%s was refused and changed the store:\n%s", op.name, diff)
		}
	default:
		op.then()
		x.repeat(tb, op)
	}
	x.l.Sound(tb)
	for i, a := range x.agents {
		w, err := x.l.Ensure(bg, x.l.Scope, a, "")
		if err != nil {
			tb.Fatal(err)
		}
		if got := (funds{w.Available(), w.Held}); got != x.model[i] {
			tb.Errorf("after %s wallet %d has %+v; want %+v", op.name, i, got, x.model[i])
		}
		st, err := x.l.Statement(bg, x.l.Scope, a, "", x.begun, time.Time{})
		if err != nil {
			tb.Fatal(err)
		}
		if st.Opening != 0 || st.Closing != w.Balance || st.In-st.Out != w.Balance {
			tb.Errorf("after %s wallet %d has %d; its statement says %+v", op.name, i, w.Balance, st)
		}
	}
}

func (x *exercise) repeat(tb testing.TB, op operation) {
	tb.Helper()
	if op.again == nil {
		return
	}
	before := x.l.Snapshot(tb)
	if err := op.again(); !errors.Is(err, op.replay) {
		tb.Errorf("%s again: %v; want %v", op.name, err, op.replay)
	}
	if diff := cmp.Diff(before, x.l.Snapshot(tb)); diff != "" {
		tb.Errorf("%s again changed the store:\n%s", op.name, diff)
	}
}

func (x *exercise) operation(code byte, who, whom int, size int64) operation {
	if code >= 200 { // the operator's movements, in either direction
		return x.fund(who, whom, size)
	}
	switch code % 9 {
	case 0:
		return x.deposit(who, size)
	case 1, 2:
		return x.pay(who, size)
	case 3:
		return x.transfer(who, whom, size)
	case 4:
		return x.hold(who, size, whom)
	case 5:
		return x.capture(whom, size)
	case 6:
		return x.void(whom)
	case 7:
		return x.refund(whom, size)
	default:
		if code < 128 {
			return x.sweep(who)
		}
		return x.expire(size)
	}
}

func (x *exercise) deposit(who int, size int64) operation {
	x.keys++
	req := wallet.DepositRequest{Agent: x.agents[who], Amount: USDC(size), Key: fmt.Sprint("key-", x.keys)}
	try := func() error { _, err := x.l.Deposit(bg, x.l.Scope, req); return err }
	return operation{
		name: "deposit", may: size > 0, try: try, again: try,
		then: func() { x.model[who].available += size },
	}
}

func (x *exercise) pay(who int, size int64) operation {
	req := wallet.PayRequest{Agent: x.agents[who], Amount: USDC(size), Payee: "payee", Act: x.l.Act()}
	var got wallet.Transaction
	return operation{
		name: "pay", may: size > 0 && x.model[who].available >= size,
		try: func() (err error) { got, err = x.l.Pay(bg, x.l.Scope, req); return err },
		then: func() {
			x.model[who].available -= size
			x.payments = append(x.payments, payment{got.ID, who, size})
		},
		// A second payment of the act is refused whether or not the wallet could pay it.
		again: func() error { _, err := x.l.Pay(bg, x.l.Scope, req); return err }, replay: wallet.ErrRepeated,
	}
}

func (x *exercise) transfer(who, whom int, size int64) operation {
	req := wallet.TransferRequest{From: x.agents[who], To: x.agents[whom], Amount: USDC(size), Act: x.l.Act()}
	try := func() error { _, _, err := x.l.Transfer(bg, x.l.Scope, req); return err }
	return operation{
		name: "transfer", may: who != whom && size > 0 && x.model[who].available >= size, try: try, again: try,
		replay: wallet.ErrRepeated,
		then: func() {
			x.model[who].available -= size
			x.model[whom].available += size
		},
	}
}

// fund moves between the tenant's own wallet and an agent's; whom chooses the direction.
func (x *exercise) fund(who, whom int, size int64) operation {
	x.keys++
	own := len(x.agents) - 1
	req := wallet.FundRequest{Agent: x.agents[who], Amount: USDC(size), Key: fmt.Sprint("key-", x.keys)}
	name, from, to, move := "fund", own, who, x.l.Service.Fund
	if whom%2 == 1 {
		name, from, to, move = "withdraw", who, own, x.l.Withdraw
	}
	try := func() error { _, _, err := move(bg, x.l.Scope, req); return err }
	return operation{
		name: name, may: who != own && size > 0 && x.model[from].available >= size, try: try, again: try,
		then: func() {
			x.model[from].available -= size
			x.model[to].available += size
		},
	}
}

func (x *exercise) hold(who int, size int64, minutes int) operation {
	req := wallet.HoldRequest{Agent: x.agents[who], Amount: USDC(size), Act: x.l.Act(), TTL: time.Duration(minutes+1) * time.Minute}
	var got wallet.Hold
	return operation{
		name: "hold", may: size > 0 && x.model[who].available >= size,
		try: func() (err error) { got, err = x.l.Hold(bg, x.l.Scope, req); return err },
		then: func() {
			x.model[who].available -= size
			x.model[who].held += size
			x.holds = append(x.holds, openHold{got.ID, who, size, got.ExpiresAt})
		},
	}
}

// pick returns the hold that a byte means, or one that is not there.
func (x *exercise) pick(which int) (openHold, int) {
	if len(x.holds) == 0 {
		return openHold{id: id.New[id.HoldKind](x.l.IDs)}, -1
	}
	i := which % len(x.holds)
	return x.holds[i], i
}

func (x *exercise) release(i int) {
	h := x.holds[i]
	x.model[h.owner].held -= h.amount
	x.model[h.owner].available += h.amount
	x.holds = slices.Delete(x.holds, i, i+1)
}

func (x *exercise) capture(which int, size int64) operation {
	h, i := x.pick(which)
	var got wallet.Transaction
	return operation{
		name: "capture", may: i >= 0 && size > 0 && size <= h.amount && h.ends.After(x.l.Clock.Now()),
		try: func() (err error) { got, err = x.l.Capture(bg, x.l.Scope, h.id, USDC(size)); return err },
		then: func() {
			x.release(i)
			x.model[h.owner].available -= size
			x.payments = append(x.payments, payment{got.ID, h.owner, size})
		},
		again: func() error { _, err := x.l.Capture(bg, x.l.Scope, h.id, USDC(size)); return err }, replay: wallet.ErrHoldResolved,
	}
}

func (x *exercise) void(which int) operation {
	h, i := x.pick(which)
	try := func() error { return x.l.Void(bg, x.l.Scope, h.id) }
	return operation{name: "void", may: i >= 0, try: try, then: func() { x.release(i) }, again: try, replay: wallet.ErrHoldResolved}
}

func (x *exercise) refund(which int, size int64) operation {
	p := payment{id: id.New[id.LedgerEntryKind](x.l.IDs)}
	i := -1
	if len(x.payments) > 0 {
		i = which % len(x.payments)
		p = x.payments[i]
	}
	amount := size
	if amount == 0 {
		amount = p.left
	}
	return operation{
		name: "refund", may: i >= 0 && amount > 0 && amount <= p.left,
		try: func() error {
			_, err := x.l.Refund(bg, x.l.Scope, wallet.RefundRequest{Payment: p.id, Amount: size})
			return err
		},
		then: func() {
			x.payments[i].left -= amount
			x.model[p.owner].available += amount
		},
	}
}

func (x *exercise) sweep(who int) operation {
	try := func() error { _, err := x.l.Sweep(bg, x.l.Scope, x.agents[who]); return err }
	own := len(x.agents) - 1
	return operation{
		name: "sweep", may: who != own, try: try, again: try,
		then: func() {
			for i := len(x.holds) - 1; i >= 0; i-- {
				if x.holds[i].owner == who {
					x.release(i)
				}
			}
			x.model[own].available += x.model[who].available
			x.model[who].available = 0
		},
	}
}

func (x *exercise) expire(minutes int64) operation {
	return operation{
		name: "expire", may: true,
		try: func() error {
			x.l.Clock.Add(time.Duration(minutes%4) * time.Minute)
			_, err := x.l.ExpireDue(bg)
			return err
		},
		then: func() {
			for i := len(x.holds) - 1; i >= 0; i-- {
				if !x.holds[i].ends.After(x.l.Clock.Now()) {
					x.release(i)
				}
			}
		},
	}
}
