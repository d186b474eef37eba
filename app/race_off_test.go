//go:build !race

package app_test

// raceDetector is whether this is a run under the race detector.
const raceDetector = false
