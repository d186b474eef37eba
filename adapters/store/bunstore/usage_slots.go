package bunstore

import (
	"math/bits"
	"sync"

	"github.com/bureau-agents/bureau/ports/id"
)

// usageSlots keeps the transactions of this process out of each other's way that add to the same day on Postgres, where the first one
// locks the day's row until it has committed: each takes a slot of its own, the lowest that is free, and has a row for it. While nobody
// comes at the same time, all use the first. The zero value is ready for use.
type usageSlots struct {
	mu    sync.Mutex
	taken map[slotOf]uint8 // a bit for each slot
}

// slotOf is whose slots they are.
type slotOf struct {
	tenant id.Tenant
	day    usageDay
}

// takenSlot is a slot that a transaction has.
type takenSlot struct {
	of   slotOf
	slot int
}

// take returns a slot, which st has until free. When all are taken, it is one that another has, too.
func (s *usageSlots) take(st *txState, of slotOf) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == nil {
		s.taken = map[slotOf]uint8{}
	}
	for _, t := range st.slots {
		if t.of == of { // its row is locked by this transaction already
			return t.slot
		}
	}
	busy := s.taken[of]
	slot := bits.TrailingZeros8(^busy)
	if slot > 7 {
		return 7
	}
	s.taken[of] = busy | 1<<slot
	st.slots = append(st.slots, takenSlot{of, slot})
	return slot
}

// free gives back what an ended transaction has taken.
func (s *usageSlots) free(st *txState) {
	if len(st.slots) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range st.slots {
		if s.taken[t.of] &^= 1 << t.slot; s.taken[t.of] == 0 {
			delete(s.taken, t.of)
		}
	}
	st.slots = nil
}
