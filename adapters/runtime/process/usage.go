package process

import "time"

// usage returns how much the sandbox's files take, counted anew if that may have changed.
func (s *sandbox) usage() int64 {
	s.counting.Lock()
	defer s.counting.Unlock()
	if s.dirty.Swap(false) {
		return s.measure()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// recount has the next usage count.
func (s *sandbox) recount() { s.dirty.Store(true) }

// count counts now, or returns what was counted a moment ago.
func (s *sandbox) count() int64 {
	s.counting.Lock()
	defer s.counting.Unlock()
	if time.Since(s.counted) < firstCount/2 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.used
	}
	return s.measure()
}

// measure walks over all files; s.counting is held.
func (s *sandbox) measure() int64 {
	sum := measureRoots(s.roots)
	s.counted = time.Now()
	s.mu.Lock()
	s.used = sum
	s.mu.Unlock()
	return sum
}
