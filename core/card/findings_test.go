package card

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// samePlace holds the two spellings of a finding's place to each other: read back, both have the same steps.
func samePlace(t *testing.T, f Finding) {
	t.Helper()
	var steps []string
	for rest := f.Path; rest != ""; {
		var step string
		switch {
		case strings.HasPrefix(rest, `["`):
			d := json.NewDecoder(strings.NewReader(rest[1:]))
			if err := d.Decode(&step); err != nil || !strings.HasPrefix(rest[1+d.InputOffset():], "]") {
				t.Fatalf("the path %s cannot be read back: %v", f.Path, err)
			}
			rest = rest[2+d.InputOffset():]
		case rest[0] == '[':
			step, rest, _ = strings.Cut(rest[1:], "]")
		default:
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			step, rest = rest[:end], rest[end:]
		}
		if strings.HasPrefix(rest, ".") {
			rest = rest[1:]
			if rest == "" || rest[0] == '[' || rest[0] == '.' {
				t.Fatalf("the path %s cannot be read back", f.Path)
			}
		}
		steps = append(steps, step)
	}
	if pointer(steps) != f.Pointer {
		t.Errorf("the path %s is not the pointer %s", f.Path, f.Pointer)
	}
}

// TestConcurrent judges the corpus from several sides at once, with memory that is used again, and sees that every result is as alone.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	all := samples(t)
	var want []Result
	for _, s := range all {
		want = append(want, Validate(s.text, Options{}))
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i, s := range all {
				if got := Validate(s.text, Options{}); !reflect.DeepEqual(got, want[i]) {
					t.Errorf("%s is judged otherwise: %+v", s.file, got)
				}
			}
		})
	}
	group.Wait()
}
