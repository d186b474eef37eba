// Package otlp reads and writes what OTLP/HTTP exporters send and expect (OpenTelemetry Protocol, 1.10.0): traces and logs in both
// encodings, partial success, and errors as google.rpc.Status.
//
// Messages are read from the wire as they are, without the generated types of go.opentelemetry.io/proto/otlp: those make a hundred bytes of
// every two that a hostile export has, and their JSON has ids in base64, where OTLP has them in hexadecimal. Everything that a message
// contains is counted, and there is a limit. Fields that are not known are passed over, in both encodings.
package otlp
