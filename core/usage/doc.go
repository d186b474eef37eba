// Package usage counts tokens and prices them.
//
// A Row is one report of a model's use, by the server itself or by a client. Its tokens lie in disjoint buckets
// (llm.Usage), its cost is computed when it is stored, from the price that is in force then, and the row names that
// price. Costs are integers of picodollars: prices per token are whole numbers of them, so no cost is ever rounded.
//
// A model without a known price costs null. It never costs zero in silence, and it never keeps a row from being stored.
//
// Prices come from the list in prices.json, in picodollars per token. Its figures are those of the LiteLLM price map
// (BerriAI/litellm, model_prices_and_context_window.json, MIT licence) of 2026-08-01, except that
// claude-3-haiku-20240307 has twice its input price for a one-hour cache write, where the map has an error, and that
// gpt-5.6-luna has its price before that day, too.
package usage
