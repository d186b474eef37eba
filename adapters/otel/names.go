package otel

import (
	"log/slog"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxName is how many characters of a name become the value of a label.
	maxName = 64
	// maxText is how many characters of a name become an attribute of a span.
	maxText = 256
	// nameOther stands for every name that came too late.
	nameOther = "other"
	// nameNone stands for a name that is not there.
	nameNone = "none"
)

// names bounds how many values a label has. It is safe for concurrent use.
type names struct {
	label string
	limit int
	log   *slog.Logger

	mu   sync.RWMutex
	seen map[string]struct{}
	full bool
}

func newNames(label string, limit int, log *slog.Logger) *names {
	return &names{label: label, limit: limit, log: log, seen: map[string]struct{}{}}
}

// admit returns the label of a name, which gets one when it is new and there is room.
func (n *names) admit(name string) string {
	name = nameLabel(name)
	if n.has(name) {
		return name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.seen[name]; ok {
		return name
	}
	if len(n.seen) < n.limit {
		n.seen[strings.Clone(name)] = struct{}{} // name may be a piece of something large
		return name
	}
	if !n.full {
		n.full = true
		n.log.Warn("a label of the metrics has all the values that it may have; further ones are counted together",
			slog.String("label", n.label), slog.Int("values", n.limit), slog.String("counted_as", nameOther))
	}
	return nameOther
}

// known returns the label of a name that has one already.
func (n *names) known(name string) string {
	if name = nameLabel(name); n.has(name) {
		return name
	}
	return nameOther
}

func (n *names) has(name string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	_, ok := n.seen[name]
	return ok
}

func nameLabel(name string) string {
	if name == "" {
		return nameNone
	}
	return cut(name, maxName)
}

// cut returns the first limit characters of s, made valid UTF-8, without which a label is refused.
func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if len(s) <= limit {
		return s
	}
	for i := range s {
		if limit == 0 {
			return s[:i]
		}
		limit--
	}
	return s
}
