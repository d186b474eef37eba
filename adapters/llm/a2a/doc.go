// Package a2a asks agents that speak Agent2Agent (A2A 0.3) over JSON-RPC, as if they were models: the newest message is sent, in a context
// that is named after the conversation, and what the agent says is the answer. The agent keeps the conversation, and has tools of its own.
package a2a
