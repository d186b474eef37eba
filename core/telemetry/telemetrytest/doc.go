// Package telemetrytest has the suites that every store of telemetry passes.
package telemetrytest
