// Package card reads, judges, migrates and signs A2A agent cards of the protocol versions 0.2.0 to 0.2.6, 0.3.0 and 1.0.
//
// It stands by itself: it imports nothing of Bureau, does no I/O, keeps no state, and is safe for concurrent use. Time and memory grow with the
// length of the text, of which there is MaxSize at most.
//
// # What is an error
//
// An error is what the specification of the version that a card is held to forbids: what its schema does not admit (0.2.0 to 0.3.0: the JSON
// Schema in specification/json/a2a.json of the tag; 1.0: a2a.proto with sections 5.5 and 5.7 of the text). What only its prose asks for, and what
// will hurt in practice, is a warning. What would make a good card better is a suggestion. Codes lists all that is found, with explanations.
//
// # Scores
//
// A card's score is the sum of what the criteria of Weights give it. A valid card has validity's 40 points and what each criterion gives besides;
// a full one has 100 in every version, also the card of a public agent, which says so. An invalid card is graded below 40 by the number of its
// errors alone. Arithmetic is on integers, so that the same card has the same score everywhere.
//
// # Migration
//
// Migrate and MigrateHybrid work out, as a JSON Patch with an explanation of each operation, what brings a card to 0.3.0, to 1.0, or to both at
// once, and tell what is left for a person to decide.
package card
