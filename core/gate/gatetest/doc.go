// Package gatetest is the suite that the gate passes over every store, and the random exercise behind its fuzz target.
package gatetest
