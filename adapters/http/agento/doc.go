// Package agento is the face that clients of the Agento API know: hosted agents, chat, logs, skills, swarms and knowledge. It translates;
// every rule stands in core, and everything that it does the native face does too.
package agento
