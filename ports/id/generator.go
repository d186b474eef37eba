package id

import (
	"crypto/rand"
	"sync"
	"time"
)

// Generator makes UUIDs. Implementations are safe for concurrent use.
type Generator interface {
	// NewUUID returns a UUIDv7 (RFC 9562) greater than every one that this generator returned before.
	NewUUID() UUID
}

// New makes an id of kind K.
func New[K Kind](g Generator) ID[K] { return ID[K]{g.NewUUID()} }

// NewGenerator returns a Generator that reads the time from now. Within one millisecond, and when the time goes back, it
// counts up in the 12 bits after the timestamp (RFC 9562, 6.2, method 1), so that ids sort by creation.
func NewGenerator(now func() time.Time) Generator { return &v7{now: now} }

type v7 struct {
	now func() time.Time
	mu  sync.Mutex
	ms  int64
	seq uint16
}

func (g *v7) NewUUID() UUID {
	var u UUID
	_, _ = rand.Read(u[6:]) // crypto/rand.Read never fails since Go 1.24
	g.mu.Lock()
	ms := g.now().UnixMilli()
	if ms > g.ms {
		g.ms, g.seq = ms, (uint16(u[6])<<8|uint16(u[7]))&0x03ff // start low: room to count
	} else if g.seq++; g.seq > 0x0fff {
		g.ms++
		g.seq = 0
	}
	ms, seq := g.ms, g.seq
	g.mu.Unlock()
	for i := 5; i >= 0; i-- {
		u[i] = byte(ms)
		ms >>= 8
	}
	u[6] = 0x70 | byte(seq>>8)
	u[7] = byte(seq)
	u[8] = 0x80 | u[8]&0x3f
	return u
}
