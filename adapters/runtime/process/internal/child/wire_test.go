package child

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	var buf bytes.Buffer
	want := []Program{{Args: []string{"a", "b\x00\n"}, Env: []string{"X=" + strings.Repeat("y", 1<<20)}, Dir: "/"}, {}}
	for _, p := range want {
		if err := Send(&buf, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range want {
		var got Program
		if err := Receive(&buf, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(w, got); d != "" {
			t.Error(d)
		}
	}
	if err := Send(io.Discard, strings.Repeat("x", maxFrame)); err == nil {
		t.Error("a message that is too long was sent")
	}
	if err := Receive(bytes.NewReader(binary.BigEndian.AppendUint32(nil, maxFrame+1)), &Program{}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a message that is too long: %v", err)
	}
}

// Whatever comes, reading it neither panics nor reads behind the message.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, '{', '}', 'x'})
	f.Add([]byte{0, 0, 0, 9, '{'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		var s Status
		if err := Receive(r, &s); err == nil && r.Len() != len(raw)-4-int(binary.BigEndian.Uint32(raw)) {
			t.Errorf("%d bytes are left of %q", r.Len(), raw)
		}
	})
}
