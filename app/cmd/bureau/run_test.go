package main

import (
	"errors"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "buyer")
	if out := c.must("run", "buyer", "Say hello.", "--context", "It is morning."); strings.TrimSpace(out) == "" {
		t.Error("a completed run says nothing")
	}
	c.wants([]string{"denied by no_policy"}, "run", "buyer", "Pay 5 to x.example for stamps.")
	if _, err := c.run("run", "buyer", "Pay 5 to x.example for stamps."); err == nil {
		t.Error("a failed run ends well")
	}
	c.prepare("buyer")
	_, err := c.run("run", "buyer", "Pay 15 to x.example for stamps.")
	if code := (exitError{}); !errors.As(err, &code) || code.code != exitWaiting {
		t.Errorf("%v", err)
	}
	c.wants([]string{"TASK is missing"}, "run", "buyer")
}
