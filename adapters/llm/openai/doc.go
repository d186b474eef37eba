// Package openai is an llm.Provider over the chat completions API: OpenAI's own and every server that speaks it (vLLM, Ollama,
// llama.cpp, OpenRouter, Groq, Mistral, DeepSeek, Google's compatible endpoint, ...).
//
// What the API cannot carry is left out: reasoning is shown and not sent back, a failed tool result is marked by the word
// "Error:", and documents other than text are refused.
package openai
