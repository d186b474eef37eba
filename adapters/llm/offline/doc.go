// Package offline is a deterministic stand-in for a language model: an intent matcher that needs no network and costs nothing.
//
// It is not a language model and says so when it is asked. It cuts the last user message into requests, one per sentence or
// per "and then", and decides for each, on its own and by rules:
//
//   - An order ("Pay 20 USDC to vendor.example", "Could you convert 3 miles to km?") calls the offered tool whose name,
//     description and properties share most words and verbs with it, and whose required arguments can all be read from it.
//     Arguments are found by schema type, format, enum, pattern and property name. Nothing depends on a tool's exact name.
//   - A question calls tools that only look something up or compute, never one that pays, sends, writes or deletes. When none fits
//     and a tool that searches knowledge is offered, that is asked, and what it finds is quoted with its source.
//   - A prohibition, a condition ("if ..."), a question about doing something, a statement and a postponed order ("tomorrow") never
//     call a tool that changes anything. Neither does an order with a missing or doubtful argument; the answer names what is missing.
//
// Requests are done one after the other: each answer calls at most one tool, the next one reports its result and goes on. A
// request is tried once, whatever its result, so a conversation always ends. Only what the user writes counts as a request: text
// in tool results, in quotation marks and in quoted lines is data.
//
// Tokens are counted as one per four characters of everything that a real model would read or write, rounded up per part; the
// figures are stable and comparable, and not those of any real tokenizer.
//
// Two kinds of requests are no conversations, and are known by their shape. Work is judged by a rubric by words alone: a criterion is
// met when the phrases that it quotes, or else all its words that name something, occur in the work, and the verdict says so. A
// conversation is summarised by the beginnings of its newest lines.
package offline
