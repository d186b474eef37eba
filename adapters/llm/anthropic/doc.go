// Package anthropic is an llm.Provider over Anthropic's Messages API, through the official client.
//
// Reasoning goes back to the model as it came, with its signature; reasoning of another provider's models, which has none, is left
// out. Only this package's configuration counts: the client's own environment variables and credential files are not read.
package anthropic
