// Package a2a asks agents that speak Agent2Agent (A2A 1.0 and 0.3, over JSON-RPC or HTTP and JSON), as if they were models, or as tools: the
// newest message is sent, in the context that the conversation has with the agent, and what the agent says is the answer. The agent keeps the
// conversation, and has tools of its own.
package a2a
