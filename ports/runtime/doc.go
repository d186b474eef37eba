// Package runtime is the port to the places where programs that a model or a tenant chose are run: sandboxes, which see their own
// files and nothing of the server.
package runtime
