//go:build !linux

package extract

// restrict leaves it to Go's own limit and to the one who asks, who ends a reader that takes too long.
func restrict(order) error { return nil }
