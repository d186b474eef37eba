// Package crash holds the test that kills the real binary with SIGKILL, over and over and under load, and then proves that nothing
// that was acknowledged is lost, that nothing was paid twice, and that nothing is stuck.
package crash
