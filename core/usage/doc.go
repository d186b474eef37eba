// Package usage counts tokens and prices them.
//
// A Row is one report of a model's use, by the server itself or by a client. Its tokens lie in disjoint buckets
// (llm.Usage), its cost is computed when it is stored, from the price that was in force when it was used, and the row names that
// price. Costs are integers of picodollars: prices per token are whole numbers of them, so no cost is ever rounded but by
// a multiplier, and then up.
//
// A model without a known price costs null. It never costs zero in silence, and it never keeps a row from being stored. What is odd about
// a row is kept with it, see Flags.
//
// Prices stand in the database: the server's, and those that tenants set for themselves, which go first (PriceBook). A stored price
// never changes; what takes its place has another id, and rows name prices by id. A Rerater prices again what was used before prices
// were known or right.
//
// The server's prices come from the list in prices.json, in picodollars per token, which each start brings into the database. Its figures
// are those of the LiteLLM price map (BerriAI/litellm, model_prices_and_context_window.json, MIT licence) of 2026-08-01, except that
//   - claude-3-haiku-20240307 has twice its input price for a one-hour cache write, where the map has an error,
//   - gpt-5.6-luna has its price before that day, too,
//   - Anthropic's models cost half in batches, as its documentation says; the map is silent,
//   - the ranges of Qwen's prices are tiers, of which the last has no end,
//   - the model "offline" costs nothing.
//
// It has no prices of the service tiers flex and priority. What is used in them is priced as usual, with FlagService.
//
// # Days and budgets
//
// Each row is added, in its own transaction, to what the same day (in UTC), agent, model and provider have come to. Sums of a period are
// read from whole days, and from rows only where it begins or ends within one; both ways of counting agree to the picodollar. A Board
// shows such sums beside events and feedback. A failed call is a row, too: without tokens and without a cost.
//
// A Budget tells, once per period, when rows take it to one of its alerts, in the transaction of the row. What it counts is Sums.Spent. It stops
// nothing: caps that stop are limits of core/policy.
package usage
