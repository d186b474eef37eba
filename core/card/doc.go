// Package card reads, judges, migrates and signs A2A agent cards of the protocol versions 0.2.0 to 0.2.6, 0.3.0 and 1.0.
//
// It stands by itself: it imports nothing of Bureau, does no I/O, keeps no state, and is safe for concurrent use. Time and memory grow with the
// length of the text, of which there is MaxSize at most.
//
// # What is an error
//
// An error is what the specification of the version that a card is held to forbids: what its schema does not admit (0.2.0 to 0.3.0: the JSON
// Schema in specification/json/a2a.json of the tag; 1.0: a2a.proto with sections 5.5 and 5.7 of the text). What only its prose asks for, and what
// will hurt in practice, is a warning. What would make a good card better is a suggestion.
package card
