// Package telemetry keeps what agents report of themselves: events, the messages between them, and what users thought of their work.
//
// A report is stored when it is accepted: whoever was answered finds it again, whatever happens to the process then. The reports of one
// batch are stored together or not at all.
package telemetry
