// Package otel shows what goes through the ports: a decorator for each port that does I/O, which measures it for
// Prometheus and traces it with OpenTelemetry. Core and the other adapters know nothing of it; app wraps what it wires.
//
// Spans follow the semantic conventions of OpenTelemetry, those of generative AI included (version 1.41.0, the last
// with gen_ai in it before these moved to a repository of their own). Model calls, tool calls, rules, jobs and HTTP
// requests begin a trace when there is none; blobs and the bus appear only within one. Transactions are measured and
// not traced.
//
// What passes through is never recorded, neither in spans nor in labels: no prompt, answer, argument, result, reason,
// payload or message of an error, only names, sizes, counts and codes. Spans may name the tenant, the agent and the
// session; labels never do, and each label has a bounded number of values.
package otel
