package kubernetes

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

func lines(t *testing.T, text string) (all []runtime.LogLine) {
	t.Helper()
	if err := parse(strings.NewReader(text), func(l runtime.LogLine) error { all = append(all, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestParse(t *testing.T) {
	long := strings.Repeat("x", runtime.MaxLogLine)
	got := lines(t, "2026-03-04T05:06:07.000000001Z one\n2026-03-04T06:06:07+01:00 two words \nno time\n\n2026-03-04T05:06:07Z\n"+
		"2026-03-04T05:06:07Z "+long+"\n2026-03-04T05:06:07Z "+long+"y\n2026-03-04T05:06:07Z no end")
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	want := []runtime.LogLine{
		{Time: at.Add(1), Text: "one"}, {Time: at, Text: "two words "}, {Time: at}, {Time: at, Text: long},
		{Time: at, Text: long[:runtime.MaxLogLine-3] + "..."}, {Time: at, Text: "no end"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d lines: %.300v", len(got), got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2026-03-04T05:06:07Z a line\n2026-03-04T05:06:07.5Z another"))
	f.Add([]byte(" \n\n2026-03-04T05:06:07Z"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, l := range lines(t, string(text)) {
			if len(l.Text) > runtime.MaxLogLine || strings.Contains(l.Text, "\n") {
				t.Errorf("%q", l.Text)
			}
		}
	})
}

// Whoever reads a log again from a second before gets each line once, also where several have one time.
func TestPosition(t *testing.T) {
	var all []runtime.LogLine
	random := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for range 200 {
		at = at.Add(time.Duration(random.IntN(3)) * 100 * time.Millisecond)
		all = append(all, runtime.LogLine{Time: at})
	}
	var p position
	read := 0
	for read < len(all) {
		p.reread()
		from := 0
		for read > 0 && all[from].Time.Before(p.time.Truncate(time.Second)) {
			from++
		}
		until := min(len(all), read+random.IntN(9))
		n := 0
		for _, l := range all[from:until] {
			if p.pass(l) {
				n++
			}
		}
		if n != until-read {
			t.Fatalf("after %d lines %d are new, want %d", read, n, until-read)
		}
		read = until
	}
}

func TestPack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var text bytes.Buffer
	for text.Len() < 2*maxKept {
		for range 60 {
			text.WriteByte(byte(' ' + random.IntN(95)))
		}
		text.WriteByte('\n')
	}
	packed := pack(text.Bytes())
	got := unpack(packed)
	if len(packed) > maxPacked || len(got) < maxKept/4 || len(got) > maxKept || !bytes.HasSuffix(text.Bytes(), got) || len(got)%61 != 0 {
		t.Errorf("%d bytes packed, %d of them again", len(packed), len(got))
	}
	if got := unpack(pack([]byte("a\nb\n"))); string(got) != "a\nb\n" {
		t.Errorf("%q", got)
	}
	if got := unpack([]byte("nothing of ours")); got != nil {
		t.Errorf("%q", got)
	}
}
