// Package environment keeps the templates that sessions get their sandboxes from: which programs are installed in them and what they
// may connect to.
//
// A template says what is wanted, not what a machine can do: the same one may be served by different runtimes. So it is accepted
// whenever it is well-formed, and a runtime that cannot keep it refuses the sandbox, with a reason, when a session first needs one.
package environment
