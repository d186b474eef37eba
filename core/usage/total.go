package usage

import (
	"cmp"
	"math"
	"math/bits"

	"github.com/bureau-agents/bureau/ports/money"
)

// Compare returns -1, 0 or 1 as t is less than, equal to, or more than o. Both have Picos below money.PicosPerMicro.
func (t Total) Compare(o Total) int {
	return cmp.Or(cmp.Compare(t.Micros, o.Micros), cmp.Compare(t.Picos, o.Picos))
}

func (t Total) isZero() bool { return t == Total{} }

// less returns the difference of two totals, of which o is not the larger one.
func (t Total) less(o Total) Total {
	t.Micros, t.Picos = t.Micros-o.Micros, t.Picos-o.Picos
	if t.Picos < 0 {
		t.Micros, t.Picos = t.Micros-1, t.Picos+money.PicosPerMicro
	}
	return t
}

// percentOf returns how many percent of an amount of micro-dollars t is, rounded down; of nothing, and beyond int64, the most there is.
func (t Total) percentOf(micros int64) int64 {
	hi, lo := bits.Mul64(uint64(max(t.Micros, 0)), 100)
	lo, carry := bits.Add64(lo, uint64(max(t.Picos, 0))*100/money.PicosPerMicro, 0)
	if micros <= 0 || hi+carry >= uint64(micros) {
		return math.MaxInt64
	}
	percent, _ := bits.Div64(hi+carry, lo, uint64(micros))
	return int64(min(percent, math.MaxInt64))
}

// spent is what a row costs as far as anybody knows; see Sums.Spent.
func (r Row) spent() Total {
	p := r.Cost
	if p == nil {
		p = r.Reported
	}
	if p == nil {
		return Total{}
	}
	return Total{Micros: int64(*p) / money.PicosPerMicro, Picos: int64(*p) % money.PicosPerMicro}
}
