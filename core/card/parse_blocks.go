package card

import "sync"

// blocks are what trees are cut from, with the checker that looks at one. Reading a card takes a handful of allocations so, and none when the
// blocks of an earlier one are at hand.
type blocks struct {
	room    int // how many values a block has room for
	items   block[node]
	members block[member]
	insides block[inside]
	checker checker
}

// block is what slices of one kind are cut from. The children of arrays and objects that are open lie on its stack; at the closing
// bracket they are copied to their final place.
type block[T any] struct {
	stack []T
	high  int // how long the stack has been since the block was emptied
	all   []T // the newest block, cut up to used
	used  int
}

// empty forgets what lies in the block and on its stack: what is left there would keep the memory of earlier trees.
func (b *block[T]) empty() {
	clear(b.all[:b.used])
	clear(b.stack[:b.high])
	b.stack, b.high, b.used = b.stack[:0], 0, 0
}

// cut returns n zero values. They lie in the newest block, in a new one of room, or, when there are more than that, by themselves.
func (b *block[T]) cut(n, room int) []T {
	if b.used+n > len(b.all) {
		if n >= room {
			return make([]T, n)
		}
		b.all, b.used = make([]T, max(room, min(2*len(b.all), 4096))), 0 // so that blocks used again come to hold whole cards
	}
	b.used += n
	return b.all[b.used-n : b.used : b.used]
}

// push puts a value on the stack, which doubles when it is full: append lets large slices grow by a quarter, and copies them four times
// as often.
func (b *block[T]) push(v T) {
	if len(b.stack) == cap(b.stack) {
		b.stack = append(make([]T, 0, max(16, 2*cap(b.stack))), b.stack...)
	}
	b.stack = append(b.stack, v)
	b.high = max(b.high, len(b.stack))
}

// keep takes from the stack what lies above base, and returns it in its final place: of many values, where they are.
func (b *block[T]) keep(base, room int) []T {
	n := len(b.stack) - base
	if n >= room && n > cap(b.stack)/2 {
		kept := b.stack[base:len(b.stack):len(b.stack)]
		b.stack, b.high = append(make([]T, 0, 2*base), b.stack[:base]...), base
		return kept
	}
	kept := b.cut(n, room)
	copy(kept, b.stack[base:])
	b.stack = b.stack[:base]
	return kept
}

// spare are blocks of trees that nobody looks at any more. Those of texts longer than spareUpTo are not kept: they would hold much memory
// for few.
var spare = sync.Pool{New: func() any { return new(blocks) }}

const spareUpTo = 64 << 10

// release gives the blocks back: nothing of the tree may be looked at any more.
func (b *blocks) release(size int) {
	if size > spareUpTo {
		return
	}
	b.empty()
	spare.Put(b)
}

func (b *blocks) empty() {
	b.items.empty()
	b.members.empty()
	b.insides.empty()
	b.checker = checker{errors: b.checker.errors.emptied(), warnings: b.checker.warnings.emptied()}
}
