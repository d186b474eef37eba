// Package web fetches pages for models: over the guarded egress client, held against an agent's domains at each redirect, with HTML
// made into Markdown.
package web
