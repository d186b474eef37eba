package agento

import "testing"

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		1: "1B", 1023: "1023B", 1024: "1KiB", 128 << 20: "128MiB", 512 << 20: "512MiB", 5<<20 + 300<<10: "5.29MiB", 30 << 40: "30720GiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}
