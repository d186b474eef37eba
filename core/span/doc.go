// Package span takes what instrumented agents say of themselves in OpenTelemetry's words, spans and log records, and makes events of it
// (core/telemetry), and usage of models (core/usage). An agent that is instrumented so needs no client of Bureau's.
//
// # Events
//
// A span becomes an event of what it did: its Type is gen_ai.operation.name ("chat", "execute_tool"), or the span's name; its Source is
// service.name and the instrumentation scope; its Level is error where the status of the span is; its At is when the span began. The
// event's id is made of tenant, trace id and span id, so that an event finds its parent by the span's, whichever comes first, and so
// that an export which is repeated stores nothing twice. A log record becomes an event of type event.name, or "log".
//
// # Usage
//
// A span that asked a model becomes a usage row beside the event, once, in the same transaction. The names of attributes are those of the
// semantic conventions for generative AI (open-telemetry/semantic-conventions-genai, gen-ai/1.42.0) and the older ones that
// instrumentations still write. Which spans are billed:
//
//   - those of the operations chat, text_completion, generate_content and embeddings, and spans of before there were operation names that
//     have gen_ai.usage attributes. An agent's, a tool's or a workflow's span repeats the tokens of what it contains, and is not billed.
//   - of such spans inside of each other, which two instrumentations make of one call, one: the outermost of those that come together,
//     and where parent and child come apart, the first.
//   - those that failed, too, with the tokens that they name or none.
//
// gen_ai.usage.input_tokens includes cached tokens, whatever the provider: the conventions say so, and Anthropic's own counts, which
// leave them out, are never seen here. server.address names a proxy as often as a provider, and is not read.
//
// # Whose it is
//
// The agent is, in this order, what gen_ai.agent.id names (an id of this server, in any spelling), what gen_ai.agent.name names, the agent
// of the nearest span around it that came with it, what the resource's gen_ai.agent.id or gen_ai.agent.name name, and the agent that is
// called as service.name says. Names are compared whatever their case, among agents that are not archived. A name that nobody has is
// registered when the key may write agents; otherwise what bears it is rejected, and that is said.
package span
