// Package sandboxes holds the tests of core/sandbox on the process runtime, which core itself may not know.
package sandboxes
