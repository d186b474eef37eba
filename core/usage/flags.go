package usage

// Flags are what is odd about the row of a use. They are kept with it.
type Flags uint8

// The flags.
const (
	// FlagClamped: the counts contradicted each other, as cached tokens above the input that includes them do, or reasoning above the
	// output that it is a part of. They were clamped, so that no token is paid twice.
	FlagClamped Flags = 1 << iota
	// FlagService: the price says nothing of the service tier, and the usual rates counted.
	FlagService
	// FlagModifier: the price says nothing of a modifier, which changed nothing.
	FlagModifier
)

// Names returns the flags by name: "counts_clamped", "service_tier_unpriced", "modifier_unpriced".
func (f Flags) Names() []string {
	out := []string{}
	for i, name := range []string{"counts_clamped", "service_tier_unpriced", "modifier_unpriced"} {
		if f&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}
