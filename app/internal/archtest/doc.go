// Package archtest holds the test that keeps the arrows of ARCHITECTURE.md: which folder may import which, the levels within
// core, and where each foreign library may appear, every rule with its reason.
package archtest
