package clocktest_test

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/clock/clocktest"
)

func TestClock(t *testing.T) {
	t.Parallel()
	c := clocktest.New()
	if got := c.Now(); !got.Equal(clocktest.Start) {
		t.Errorf("a new clock shows %s; want %s", got, clocktest.Start)
	}
	want := clocktest.Start.Add(90 * time.Minute)
	if got := c.Advance(90 * time.Minute); !got.Equal(want) || !c.Now().Equal(want) {
		t.Errorf("advanced to %s, shows %s; want %s", got, c.Now(), want)
	}
	c.Set(clocktest.Start)
	if got := c.Now(); !got.Equal(clocktest.Start) {
		t.Errorf("set back, it shows %s; want %s", got, clocktest.Start)
	}
}
